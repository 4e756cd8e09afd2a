package plan

import (
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// socketsOf are the paths where the units of these runtimes bind on this node.
func socketsOf(f *v1alpha1.Facts, names ...v1alpha1.RuntimeName) []string {
	var out []string
	for _, name := range names {
		d, err := runtimes.Get(name)
		if err != nil {
			continue // a run of a runtime that this version doesn't know
		}
		sockets, _ := d.Listening(f)
		out = append(out, sockets...)
	}
	out = slices.DeleteFunc(out, func(p string) bool { return !strings.HasSuffix(p, ".sock") })
	slices.Sort(out)
	return slices.Compact(out)
}
