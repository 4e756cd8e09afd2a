package rollout

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// A control plane that changes takes its own API server down: what is asked then is asked again.
func TestAPIServerIsAwayWhileTheNodeChanges(t *testing.T) {
	m := newMachine(t)
	var away atomic.Int64
	m.before = func(v v1alpha1.Verb) error {
		if v == v1alpha1.VerbApply {
			away.Store(8)
		}
		return nil
	}
	m.onRequest(func(string) error {
		if away.Add(-1) >= 0 {
			return errors.New("etcd is away")
		}
		return nil
	})
	r, err := switchOne(t.Context(), m.engine(Options{}, nil))
	if err != nil || r.Outcome != Switched || r.Err != nil {
		t.Errorf("got %s: %v, %v", r.Outcome, r.Err, err)
	}
	m.nothingLeft(t, false)
}

// A node that went back alone has deleted our pod: another one asks what became of the run.
func TestNodeTidiesUpBeforeWeAsk(t *testing.T) {
	m := newMachine(t)
	m.applyFails, m.tidies = "cri-o didn't answer", true
	r, err := switchOne(t.Context(), m.engine(Options{}, nil))
	if err != nil || r.Outcome != RolledBack {
		t.Errorf("got %s: %v, %v", r.Outcome, r.Err, err)
	}
	if len(m.ours) != 2 {
		t.Errorf("%d pods were started, want a second one", len(m.ours))
	}
	m.nothingLeft(t, false)
}

func TestRollback(t *testing.T) {
	kept := []v1alpha1.Run{
		{ID: "r-00000003", Phase: v1alpha1.PhaseConfirmed}, {ID: "r-00000002", Phase: v1alpha1.PhaseRolledBack}, {ID: "r-00000001", Phase: v1alpha1.PhaseConfirmed},
	}
	undone := append([]v1alpha1.Run{
		{ID: "r-00000006", Phase: v1alpha1.PhaseConfirmed},
		{ID: "r-00000005", Phase: v1alpha1.PhaseConfirmed, Restores: "r-00000003"},
		{ID: "r-00000004", Phase: v1alpha1.PhaseRemoved},
	}, kept...)
	tests := map[string]struct {
		runs  []v1alpha1.Run
		run   string
		shown []string
		err   string
	}{
		"the newest":                               {shown: []string{"r-00000003"}},
		"behind an older one":                      {run: "r-00000001", shown: []string{"r-00000003", "r-00000001"}},
		"one that was rolled back":                 {run: "r-00000002", err: "run r-00000002 on node worker-1 is rolledBack: it changed nothing that could be taken back"},
		"the newest is a rollback":                 {runs: undone[1:], shown: []string{"r-00000005"}},
		"the newest is a rollback, and named":      {runs: undone[1:], run: "r-00000005", shown: []string{"r-00000005"}},
		"behind one that was undone":               {runs: undone[1:], run: "r-00000001", shown: []string{"r-00000001"}},
		"behind one that was undone, from a later": {runs: undone, run: "r-00000001", shown: []string{"r-00000006", "r-00000001"}},
		"one that was undone":                      {runs: undone, run: "r-00000003", err: "run r-00000003 on node worker-1 leads back to nothing any more: it was undone since, or undid a run itself"},
		"a rollback that isn't the newest":         {runs: undone, run: "r-00000005", err: "run r-00000005 on node worker-1 leads back to nothing any more: it was undone since, or undid a run itself"},
		"none":                                     {runs: kept[1:2], err: "node worker-1 keeps no run that could be taken back"},
		"one that isn't kept":                      {run: "r-0000000f", err: "node worker-1 keeps no run r-0000000f"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.kept = kept
			if tt.runs != nil {
				m.kept = tt.runs
			}
			m.plan = &v1alpha1.Plan{}
			e := m.engine(Options{}, nil)
			var shown []string
			e.decide.compose = func(views []v1alpha1.RunView) (v1alpha1.RunView, error) {
				for _, v := range views {
					shown = append(shown, v.Run.ID)
				}
				return views[0], nil
			}
			e.decide.inverse = func(view v1alpha1.RunView, _ *v1alpha1.Facts, run string) (*v1alpha1.Plan, error) {
				if len(shown) == 0 {
					shown = []string{view.Run.ID}
				}
				return e.decide.build(nil, plan.Goal{Run: run, To: v1alpha1.CRIO})
			}
			p, err := e.PrepareRollback(t.Context(), worker, tt.run)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("got %v", err)
				}
				m.nothingLeft(t, false)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(shown, tt.shown) {
				t.Errorf("undoes %v, want %v", shown, tt.shown)
			}
			if err := p.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
			m.nothingLeft(t, false)
		})
	}
}
