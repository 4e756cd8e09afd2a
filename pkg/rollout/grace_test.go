package rollout

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// grace gives a pod of the machine a termination grace period.
func (m *machine) grace(namespace, name string, seconds int64) {
	var pod corev1.Pod
	m.api.Get("pods", namespace, name, &pod)
	pod.Spec.TerminationGracePeriodSeconds = &seconds
	m.api.Put("pods", &pod)
}

// TestEvacuationGrace: a plan says how long the pods that stay may take to end, its digest is of that, and who asks for more is named. Pods
// that are drained count for nothing.
func TestEvacuationGrace(t *testing.T) {
	for name, tt := range map[string]struct {
		pod, drained int64
		flag         time.Duration
		want         time.Duration
		warned       bool
	}{
		"nobody asks":           {},
		"the default's":         {pod: 30},
		"less":                  {pod: 5},
		"more":                  {pod: 90, want: 90 * time.Second},
		"too much":              {pod: 300, want: 2 * time.Minute, warned: true},
		"a flag":                {pod: 300, flag: 5 * time.Minute, want: 5 * time.Minute},
		"a flag that is more":   {pod: 5, flag: 5 * time.Minute, want: 5 * time.Minute},
		"a flag that is less":   {pod: 30, flag: 10 * time.Second, want: 10 * time.Second, warned: true},
		"no limit":              {pod: 3600, flag: NoGraceLimit, want: time.Hour},
		"no limit, none needed": {pod: 5, flag: NoGraceLimit},
		"no limit, a mad pod":   {pod: math.MaxInt64, flag: NoGraceLimit, want: 24 * time.Hour, warned: true},
		"the least by a flag":   {pod: 5, flag: 30 * time.Second},
		"of a drained pod":      {pod: 40, drained: 600, want: 40 * time.Second},
	} {
		for _, back := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, back %v", name, back), func(t *testing.T) {
				m := newMachine(t)
				e := m.engine(Options{EvacuationGrace: tt.flag}, nil)
				if back {
					if r, err := switchOne(t.Context(), e); err != nil || r.Outcome != Switched {
						t.Fatalf("%+v, %v", r, err)
					}
					e = m.engine(Options{EvacuationGrace: tt.flag}, nil)
					e.decide.inverse = func(_ v1alpha1.RunView, _ *v1alpha1.Facts, run string) (*v1alpha1.Plan, error) {
						made, err := e.decide.build(nil, planGoal())
						made.Run, made.Restores = run, "r-before"
						return made, err
					}
				}
				if tt.pod > 0 {
					m.grace("kube-system", "proxy", tt.pod)
				}
				if tt.drained > 0 && !back {
					m.grace("shop", "web", tt.drained)
				}
				var p *Prepared
				var err error
				if back {
					p, err = e.PrepareRollback(t.Context(), worker, "")
				} else {
					p, err = e.Prepare(t.Context(), worker, v1alpha1.CRIO)
				}
				if err != nil {
					t.Fatal(err)
				}
				if have := p.Plan(); have.EvacuationGrace != tt.want || tt.want > 0 && have.Digest != plan.Digest(have) {
					t.Errorf("the plan says %s, want %s; digest %s, want %s", have.EvacuationGrace, tt.want, have.Digest, plan.Digest(have))
				}
				if have := slices.ContainsFunc(p.Findings(), func(f v1alpha1.Finding) bool { return f.ID == "W040" }); have != tt.warned {
					t.Errorf("findings %+v", p.Findings())
				}
				if have := slices.ContainsFunc(p.Steps(), func(s plan.Step) bool { return strings.Contains(s.Text, "to end") }); have != (tt.want > 0) {
					t.Errorf("the steps name the grace: %v, of %s", have, tt.want)
				}
				if have, least := p.patience(), 2*applyLimit+2*cmp.Or(tt.want, 30*time.Second)+p.e.opts.ConfirmTimeout; have < least {
					t.Errorf("the node is given up after %s, though it may take %s", have, least)
				}
				if err := p.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestEvacuationGraceOfSavedPlan: a saved plan is applied as it is, whatever pods ask for now, unless a flag says otherwise.
func TestEvacuationGraceOfSavedPlan(t *testing.T) {
	for name, tt := range map[string]struct{ saved, flag, want time.Duration }{
		"as it is":            {saved: 45 * time.Second, want: 45 * time.Second},
		"without":             {},
		"with a flag":         {saved: 45 * time.Second, flag: time.Minute, want: time.Minute},
		"with no limit":       {saved: 45 * time.Second, flag: NoGraceLimit, want: 90 * time.Second},
		"the default, a flag": {flag: 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.grace("kube-system", "proxy", 90)
			e := m.engine(Options{EvacuationGrace: tt.flag}, nil)
			e.decide.verify = func(*v1alpha1.Plan) error { return nil }
			saved, err := e.decide.build(nil, plan.Goal{Run: "r-00000001", To: v1alpha1.CRIO})
			if err != nil {
				t.Fatal(err)
			}
			saved.EvacuationGrace = tt.saved
			saved.Digest = plan.Digest(saved)
			p, err := e.PrepareFromPlan(t.Context(), saved)
			if err != nil {
				t.Fatal(err)
			}
			if have := p.Plan(); have.EvacuationGrace != tt.want || have.Digest != plan.Digest(have) {
				t.Errorf("%s, want %s; digest %s, want %s", have.EvacuationGrace, tt.want, have.Digest, plan.Digest(have))
			}
			r := p.Execute(t.Context())
			if r.Outcome != Switched || m.plan.EvacuationGrace != tt.want || m.plan.Digest != plan.Digest(m.plan) {
				t.Errorf("%+v, staged with %s", r, m.plan.EvacuationGrace)
			}
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
