package rollout

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// TestSavedPlanIsMadeAnew: what a file says is compared with what follows from the node, before the node is told anything of it; what is
// applied is what was made.
func TestSavedPlanIsMadeAnew(t *testing.T) {
	for name, tt := range map[string]struct {
		change  func(p *v1alpha1.Plan)
		rules   error // what rules say now
		runtime string
		want    string // in the error; empty: it is applied
		stale   bool
	}{
		"as it was made":               {change: func(*v1alpha1.Plan) {}},
		"a command":                    {change: func(p *v1alpha1.Plan) { p.Staging.Argv = []string{"/bin/sh", "-c", "id"} }, want: "staging.argv"},
		"a health check":               {change: func(p *v1alpha1.Plan) { p.Kubelet.Healthz = "http://evil.example/healthz" }, want: "kubelet.healthz"},
		"another content":              {change: func(p *v1alpha1.Plan) { p.After.Files = []v1alpha1.FileState{{Path: "/etc/crictl.yaml"}} }, want: "after.files"},
		"a node that changed":          {change: func(p *v1alpha1.Plan) { p.ReadSet.Boot = "another" }, want: "the node has changed since the plan was made: it was rebooted", stale: true},
		"a node that is there already": {change: func(*v1alpha1.Plan) {}, runtime: crio, want: "the node has changed since the plan was made", stale: true},
		"rules that refuse now": {
			change: func(*v1alpha1.Plan) {}, rules: &plan.RefusedError{Findings: []v1alpha1.Finding{{ID: "K006", Severity: v1alpha1.SeverityError, Message: "ill"}}},
			want: "K006 ill",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			e := m.engine(Options{Version: "v1.0.0"}, nil)
			e.decide.verify = func(*v1alpha1.Plan) error { return nil }
			saved, err := e.decide.build(nil, plan.Goal{Run: "r-00000001", To: v1alpha1.CRIO})
			if err != nil {
				t.Fatal(err)
			}
			tt.change(saved)
			saved.Version, saved.Digest = "forged", plan.Digest(saved)
			if tt.rules != nil {
				e.decide.build = func(*v1alpha1.Facts, plan.Goal) (*v1alpha1.Plan, error) { return nil, tt.rules }
			}
			if tt.runtime != "" {
				m.runtime = tt.runtime
				m.show()
			}
			p, err := e.PrepareFromPlan(t.Context(), saved)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if r := p.Execute(t.Context()); r.Outcome != Switched || m.plan.Run != "r-00000001" || m.plan.Version != "v1.0.0" {
					t.Errorf("%+v, staged %+v", r, m.plan)
				}
				if err := p.Close(t.Context()); err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || errors.As(err, new(*plan.StaleError)) != tt.stale {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if slices.Contains(m.verbs, v1alpha1.VerbStage) {
				t.Errorf("the node was told of it: %v", m.verbs)
			}
		})
	}
}

// TestSavedRollbackIsMadeAnew: a plan that undoes a run is held against the way back that the node's own record gives.
func TestSavedRollbackIsMadeAnew(t *testing.T) {
	for name, change := range map[string]func(p *v1alpha1.Plan){
		"as it was made": nil, "a command": func(p *v1alpha1.Plan) { p.Staging.Validate = [][]string{{"/bin/sh"}} },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			e := m.engine(Options{}, nil)
			if r, err := switchOne(t.Context(), e); err != nil || r.Outcome != Switched {
				t.Fatalf("%+v, %v", r, err)
			}
			kept := m.kept[0].ID
			e = m.engine(Options{}, nil)
			e.decide.verify = func(*v1alpha1.Plan) error { return nil }
			e.decide.inverse = func(view v1alpha1.RunView, _ *v1alpha1.Facts, run string) (*v1alpha1.Plan, error) {
				return &v1alpha1.Plan{Node: worker, Run: run, Restores: view.Run.ID, To: v1alpha1.RuntimeRef{Name: v1alpha1.Docker}}, nil
			}
			saved := &v1alpha1.Plan{Node: worker, Run: "r-00000002", Restores: kept, To: v1alpha1.RuntimeRef{Name: v1alpha1.Docker}}
			if change != nil {
				change(saved)
			}
			saved.Digest = plan.Digest(saved)
			p, err := e.PrepareFromPlan(t.Context(), saved)
			if (err == nil) != (change == nil) || err != nil && !errors.As(err, new(*plan.DifferentError)) {
				t.Fatalf("%v", err)
			}
			if p != nil {
				if err := p.Close(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
