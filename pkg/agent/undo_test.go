package agent_test

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
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

				f := gathered(t, n)
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

// TestUndoBehindWhatWasUndone goes back from a switch behind which another one was made and taken back: what that pair of runs
// touched stands as the first switch left it, so the first run alone leads back.
func TestUndoBehindWhatWasUndone(t *testing.T) {
	done := map[v1alpha1.RuntimeName]bool{}
	for _, c := range layout.All() {
		if c.Refused || done[c.To] {
			continue
		}
		done[c.To] = true
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n, p := layoutNode(t, c)
				defer n.PowerOff(nil)
				through := func(p *v1alpha1.Plan, err error) map[string]hosttest.File {
					t.Helper()
					if err != nil {
						t.Fatal(err)
					}
					n.Install(agentProgram())
					script(t, n, p, confirms)
					if run := rest(t, n); run == nil || run.ID != p.Run || run.Phase != v1alpha1.PhaseConfirmed {
						t.Fatalf("run %s ended as %+v", p.Run, run)
					}
					return n.Snapshot(watched...)
				}
				undo := func(run, by string) (*v1alpha1.Plan, error) {
					view := must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbShow, Run: run}).View
					return plan.Inverse(*view, gathered(t, n), by)
				}
				before := n.Snapshot(watched...)
				switched := through(p, nil)
				through(plan.Build(gathered(t, n), plan.Goal{Run: "r-0000000b", To: c.Node.Runtime}))
				if diff := cmp.Diff(switched, through(undo("r-0000000b", "r-0000000c"))); diff != "" {
					t.Errorf("taken back to the first switch (-before +now):\n%s", diff)
				}
				way, _ := v1alpha1.WayBack(gathered(t, n).Runs)
				if len(way) != 1 || way[0].ID != runID {
					t.Fatalf("the way back is %+v", way)
				}
				if diff := cmp.Diff(before, through(undo(runID, "r-0000000d"))); diff != "" {
					t.Errorf("the node isn't as before (-before +now):\n%s", diff)
				}
			})
		})
	}
}
