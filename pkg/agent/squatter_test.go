package agent_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
)

// These tests hold that nobody keeps a node from going there or back by listening where the kubelet does.

// healthPort is where the kubelet of the test node is asked for its health.
const healthPort = 10248

// squatted takes a run to one of its ends on a node with a local user who listens at a port whenever the kubelet doesn't.
func squatted(t *testing.T, from, to v1alpha1.RuntimeName, port int, again bool, end v1alpha1.Phase) (n *hosttest.Node, said string) {
	t.Helper()
	n = newNode(t, from, hosttest.RealTime())
	n.Boot()
	before := photograph(n)
	n.Squat(port, again)
	applied(t, n, from, to)
	if end == v1alpha1.PhaseConfirmed {
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: runID})
	} else {
		n.Squat(port, again)
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbRollback, Run: runID})
	}
	if r := until(t, n, runID, end); r.Phase != end {
		t.Fatalf("the run is %s (%s)", r.Phase, r.Reason)
	}
	said = told(t, n)
	time.Sleep(time.Minute)
	clean(t, n)
	if end == v1alpha1.PhaseConfirmed {
		serves(t, n, to)
		return n, said
	}
	serves(t, n, from)
	if diff := cmp.Diff(before, photograph(n)); diff != "" {
		t.Errorf("the node isn't as before (-before +now):\n%s", diff)
	}
	return n, said
}

// TestSquatter: whoever takes the kubelet's place is ended and told. Where another one follows at the health check, the node is judged
// without it, which is told, too.
func TestSquatter(t *testing.T) {
	for name, c := range map[string]struct {
		port  int
		again bool
		want  string
	}{
		"health check":           {healthPort, false, "warning ended process"},
		"health check, for ever": {healthPort, true, "warning the kubelet could not be asked for its health"},
		"kubelet's own port":     {hosttest.KubeletPort, false, "warning ended process"},
	} {
		for _, d := range directions {
			for _, end := range []v1alpha1.Phase{v1alpha1.PhaseConfirmed, v1alpha1.PhaseRolledBack} {
				t.Run(name+"/"+d.name+"/"+string(end), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						n, said := squatted(t, d.from, d.to, c.port, c.again, end)
						defer n.PowerOff(nil)
						if n.Squatters(c.port) == 0 || !strings.Contains(said, c.want) || !strings.Contains(said, "user 65534") {
							t.Errorf("%d were ended, and this was told:\n%s", n.Squatters(c.port), said)
						}
						if lines := strings.Count(said, "warning ended process"); lines > 10 {
							t.Errorf("%d lines tell of those that were ended", lines)
						}
					})
				})
			}
		}
	}
}

// TestHealthUnasked: where nothing but the health check fails, pods aren't ended once more for it. The node serves as before, and is
// stuck so until somebody asks again.
func TestHealthUnasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		plan := newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)
		plan.Kubelet.Healthz = "http://127.0.0.1:10299/healthz"
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: plan, By: "ana@laptop"})
		until(t, n, runID, v1alpha1.PhaseStaged)
		stops := 0
		n.Fault(func(act string) error {
			if act == "stop kubelet.service" {
				stops++
			}
			return nil
		})
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
		time.Sleep(20 * time.Minute)
		r := must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: runID}).Run
		if r.Phase != v1alpha1.PhaseStuck || r.Serving != v1alpha1.Containerd || !strings.Contains(r.Reason, "10299") {
			t.Errorf("the run is %s, served by %q (%s)", r.Phase, r.Serving, r.Reason)
		}
		if stops != 2 {
			t.Errorf("the kubelet was stopped %d times, want once there and once back", stops)
		}
		serves(t, n, v1alpha1.Containerd)
		for _, b := range n.Broken() {
			t.Errorf("broken: %s", b)
		}
	})
}
