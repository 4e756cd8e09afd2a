package check

import (
	"fmt"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// nowBack are the rules about what is on the node now that matter to a rollback: with what they refuse, it would stay down.
// Whether it is well isn't among them: one may roll back because it isn't.
var nowBack = []string{"N003", "N008", "K005", "K008", "K010", "K011", "R001", "R002", "R004", "R011"}

// thenBack are the rules that are applied to the files that a rollback restores, which are those of a kubelet of then.
var thenBack = []string{"N006", "K009", "H009"}

// Rollback returns what rules say about taking the node back to what was before a kept run, errors first. was are the facts
// with the files that it restores.
func Rollback(f, was *v1alpha1.Facts, v kubelet.View, kept v1alpha1.Plan) []v1alpha1.Finding {
	to, err := runtimes.Get(kept.From.Name)
	if err != nil {
		return []v1alpha1.Finding{{ID: "R001", Severity: v1alpha1.SeverityError, Message: err.Error(), Node: f.Node}}
	}
	now := &node{f: f, v: v, config: kubelet.Configure(f), from: runtimes.Serving(v), to: to}
	// What the kubelet is started with comes from its files again, not from its process.
	next := *was
	next.Kubelet.Argv = nil
	then := &node{f: was, v: v, config: kubelet.Configure(&next), from: now.from, to: to}
	var out []v1alpha1.Finding
	for _, r := range rules() {
		switch {
		case slices.Contains(nowBack, r.ID):
			out = append(out, identified(r.ID, f.Node, r.apply(now))...)
		case slices.Contains(thenBack, r.ID):
			found := errorsOf(r.apply(then))
			if len(errorsOf(r.apply(now))) == 0 {
				for i := range found {
					found[i].Hint = Road(f.Node, to.Name) + " keeps the kubelet's files as they are now"
				}
			}
			out = append(out, identified(r.ID, f.Node, found)...)
		}
	}
	return Sort(append(out, identified("R013", f.Node, sameVersion(now, kept))...))
}

func errorsOf(list []v1alpha1.Finding) []v1alpha1.Finding {
	return slices.DeleteFunc(list, func(x v1alpha1.Finding) bool { return x.Severity != v1alpha1.SeverityError })
}

// Road is the command that leads a node to the runtime that served before where a rollback can't: by a plan for the files and
// versions that are there now.
func Road(node string, to v1alpha1.RuntimeName) string {
	return "kubectl runtime switch " + node + " --to=" + string(to)
}

// sameVersion compares the daemons of the runtime that served before with those of then.
func sameVersion(n *node, kept v1alpha1.Plan) []v1alpha1.Finding {
	var out []v1alpha1.Finding
	for i, name := range n.to.Daemons {
		b := n.f.Runtime(n.to.Name).Binaries[name]
		was := kept.ReadSet.Binaries[b.Path]
		if was == "" && i == 0 {
			was = kept.From.Version
		}
		if b.Version == "" || was == "" || runtimes.SameRelease(was, b.Version) {
			continue
		}
		what := fmt.Sprintf("%s is %s now and was %s when it served before", name, b.Version, was)
		hint := Road(n.f.Node, n.to.Name) + " makes a plan for the version that is installed"
		if runtimes.SameMinor(was, b.Version) {
			out = append(out, shown(warn(hint, "%s", what), b.Path)...)
			continue
		}
		out = append(out, shown(stop(hint, "%s: its restored configuration is of another release", what), b.Path)...)
	}
	return out
}
