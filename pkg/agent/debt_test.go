package agent_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
)

// TestDebtWaitsForAnOpenRun: what a run owes isn't paid in the middle of the next one, whose drain it would undo.
func TestDebtWaitsForAnOpenRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		server := &api{}
		n.API = server.serve
		n.Boot()
		defer n.PowerOff(nil)
		staged(t, n, v1alpha1.Containerd, v1alpha1.CRIO)
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: runID, Restore: v1alpha1.APIRestore{Uncordon: true}})
		// Another plugin takes the node over: it gives the staged run up and begins its own.
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbDiscard, Run: runID})
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, "r-0000000b", v1alpha1.Containerd, v1alpha1.CRIO)})
		until(t, n, "r-0000000b", v1alpha1.PhaseStaged)
		for range 10 { // it drains, and is heard
			time.Sleep(20 * time.Second)
			must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: "r-0000000b"})
			n.Kill("kubectl-runtime-stage-" + runID + ".service")
			_ = ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish})
		}
		if len(server.log) > 0 {
			t.Errorf("the API server was asked in the middle: %q", server.log)
		}
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbDiscard, Run: "r-0000000b"})
		time.Sleep(5 * time.Minute)
		if len(server.log) != 1 {
			t.Errorf("afterwards it was asked %q", server.log)
		}
		clean(t, n)
	})
}
