package rollout

import (
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
)

// TestStagedFor: a run that may be staged or drained without a limit has none on its node either, and its pods are replaced.
func TestStagedFor(t *testing.T) {
	for name, c := range map[string]struct{ stage, drain, want time.Duration }{
		"limited":          {30 * time.Minute, 10 * time.Minute, 100 * time.Minute},
		"a long drain":     {30 * time.Minute, 9 * time.Hour, 10*time.Hour + 30*time.Minute},
		"an endless drain": {30 * time.Minute, 0, 0},
		"endless staging":  {0, 10 * time.Minute, 0},
	} {
		m := newMachine(t)
		e := m.engine(Options{StageTimeout: c.stage, Drain: cluster.DrainOptions{Timeout: c.drain}}, nil)
		if got := e.stagedFor(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if got := e.lifetime(); got < c.stage+c.drain+2*applyLimit {
			t.Errorf("%s: its pods live for %s", name, got)
		}
		if _, err := switchOne(t.Context(), e); err != nil {
			t.Error(err)
		}
		if m.stageTimeout != c.want {
			t.Errorf("%s: the node was told %s", name, m.stageTimeout)
		}
	}
}

// TestLastRunSaysUntilWhen: who reads the annotation of a node that isn't heard of any more can tell that its run is over.
func TestLastRunSaysUntilWhen(t *testing.T) {
	m := newMachine(t)
	var open *v1alpha1.LastRun
	m.after = func(v v1alpha1.Verb) error {
		if v == v1alpha1.VerbApply {
			open = cluster.LastRun(m.node())
		}
		return nil
	}
	if r, err := switchOne(t.Context(), m.engine(Options{ConfirmTimeout: time.Minute}, nil)); err != nil || r.Outcome != Switched {
		t.Fatalf("got %+v, %v", r, err)
	}
	if open == nil || open.Phase != v1alpha1.PhaseApplying || open.Until.Sub(open.When) != 2*applyLimit+time.Minute {
		t.Errorf("while it is applied: %+v", open)
	}
	if last := cluster.LastRun(m.node()); last == nil || !last.Until.IsZero() {
		t.Errorf("at its end: %+v", last)
	}
}
