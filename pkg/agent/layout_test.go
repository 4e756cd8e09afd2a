package agent_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/facts"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// layoutNode is a node as an installer leaves it, with the plan that the product makes for it.
func layoutNode(t testing.TB, c layout.Case) (*hosttest.Node, *v1alpha1.Plan) {
	t.Helper()
	n := c.Node.Build()
	n.Install(agentProgram())
	n.Animate()
	f, err := facts.Gather(t.Context(), n.Machine(), "node-1")
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Build(f, plan.Goal{Run: runID, To: c.To})
	if err != nil {
		t.Fatal(err)
	}
	return n, p
}

// TestLayouts runs the product's own plans on every node that it knows: to the end, and back at the deadline.
func TestLayouts(t *testing.T) {
	for i, c := range layout.All() {
		if c.Refused || i%4 != 0 && !*every || testing.Short() && i%16 != 0 {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			for _, end := range []ending{confirms, leaves} {
				synctest.Test(t, func(t *testing.T) {
					n, p := layoutNode(t, c)
					defer n.PowerOff(nil)
					before := photograph(n)
					script(t, n, p, end)
					run := rest(t, n)
					switch {
					case run == nil:
						t.Fatal("the plan was not taken in")
					case end == confirms && run.Phase == v1alpha1.PhaseConfirmed:
						if got := n.Sandboxes(c.To); len(got) == 0 {
							t.Error("no pod runs in the new runtime")
						}
					case end == leaves && run.Phase == v1alpha1.PhaseRolledBack:
						if diff := cmp.Diff(before, photograph(n)); diff != "" {
							t.Errorf("the node isn't as before (-before +now):\n%s", diff)
						}
					default:
						t.Errorf("%s: the run ended as %s: %s", end, run.Phase, run.Reason)
					}
					ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish, Run: runID})
					clean(t, n)
				})
			}
		})
	}
}

// TestLayoutCrashes crashes the product's own plans here and there.
func TestLayoutCrashes(t *testing.T) {
	for i, c := range layout.All() {
		if c.Refused || i%23 != 3 && !*every || testing.Short() {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			for j, k := range kinds {
				for at := 90 + (i*5+j*3)%31; ; at += 31 {
					crashed := ""
					t.Run(fmt.Sprintf("%s/%d", k.name, at), func(t *testing.T) {
						synctest.Test(t, func(t *testing.T) {
							n, p := layoutNode(t, c)
							defer func() { n.PowerOff(nil) }()
							before := photograph(n)
							n.CrashAt(at, k.before, k.kind)
							script(t, n, p, leaves)
							time.Sleep(3 * time.Minute)
							_, crashed = n.Acts()
							if !n.On() {
								n.PowerOff(k.keep(at))
								n.Boot()
							}
							n.CrashAt(0, false, k.kind)
							run := rest(t, n)
							ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish, Run: runID})
							if diff := cmp.Diff(before, photograph(n)); diff != "" {
								t.Errorf("crashed at %q, ended %+v: the node isn't as before (-before +now):\n%s", crashed, run, diff)
							}
							clean(t, n)
						})
					})
					if crashed == "" {
						break
					}
				}
			}
		})
	}
}
