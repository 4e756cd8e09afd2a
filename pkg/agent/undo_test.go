package agent_test

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/facts"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// TestUndo keeps the product's own plans and goes back by a run of its own: files must be as before, directories too.
func TestUndo(t *testing.T) {
	done := map[[2]v1alpha1.RuntimeName]bool{}
	for _, c := range layout.All() {
		pair := [2]v1alpha1.RuntimeName{c.Node.Runtime, c.To}
		if c.Refused || done[pair] && !*every {
			continue
		}
		done[pair] = true
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, p := layoutNode(t, c)
				defer n.PowerOff(nil)
				before := n.Snapshot(watched...)
				script(t, n, p, confirms)

				f, err := facts.Gather(t.Context(), n.Machine(), "node-1")
				if err != nil {
					t.Fatal(err)
				}
				view := must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbShow, Run: runID}).View
				back, err := plan.Inverse(*view, f, "r-0000000b")
				if err != nil {
					t.Fatal(err)
				}
				n.Install(agentProgram()) // the first run took its own away
				script(t, n, back, confirms)
				if diff := cmp.Diff(before, n.Snapshot(watched...)); diff != "" {
					t.Errorf("the node isn't as before (-before +now):\n%s", diff)
				}
			})
		})
	}
}
