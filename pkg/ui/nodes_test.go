package ui

import (
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestNodeNext: a run that never told its end is asked for on its node, or the node is looked at where it can't be asked.
func TestNodeNext(t *testing.T) {
	node := func(name string, state v1alpha1.NodeState, ready bool, phase v1alpha1.Phase) v1alpha1.NodeStatus {
		s := v1alpha1.NodeStatus{Metadata: v1alpha1.ObjectName{Name: name}, State: state, Ready: ready}
		if phase != "" {
			s.LastRun = &v1alpha1.LastRun{Phase: phase}
		}
		return s
	}
	well := node("a", v1alpha1.StateSettled, true, v1alpha1.PhaseConfirmed)
	away := node("b", v1alpha1.StateNotReady, false, v1alpha1.PhaseApplying)
	untold := node("c", v1alpha1.StateSettled, true, v1alpha1.PhaseApplying)
	moving := node("d", v1alpha1.StateSwitching, true, v1alpha1.PhaseApplying)
	for name, c := range map[string]struct {
		nodes []v1alpha1.NodeStatus
		want  string
	}{
		"all well":           {[]v1alpha1.NodeStatus{well, node("n", v1alpha1.StateNotReady, false, "")}, ""},
		"not heard of":       {[]v1alpha1.NodeStatus{well, away, untold}, "  Next: kubectl describe node b"},
		"never told its end": {[]v1alpha1.NodeStatus{well, untold, away}, "  Next: kubectl runtime status c --deep"},
		"another is moving":  {[]v1alpha1.NodeStatus{untold, away, moving}, "  Next: kubectl runtime status d --watch"},
	} {
		if got := nodeNext(c.nodes, "kubectl runtime"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
