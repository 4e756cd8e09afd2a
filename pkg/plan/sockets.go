package plan

import (
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// socketsOf are the paths at which the units of these runtimes make sockets on this node, those of the containerd that Docker uses
// among them.
func socketsOf(f *v1alpha1.Facts, v kubelet.View, names ...v1alpha1.RuntimeName) []string {
	if runtimes.DockerSharesContainerd(f) {
		names = append(names, v1alpha1.Containerd)
	}
	var out []string
	for _, name := range names {
		d, err := runtimes.Get(name)
		if err != nil {
			continue // a run of a runtime that this version doesn't know
		}
		out = append(out, d.Binds(f, v)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
