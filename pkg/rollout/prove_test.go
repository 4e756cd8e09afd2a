package rollout

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestResidents: the pods that must be Ready again are those that were Ready right before the node changed, whatever they were when the
// run was prepared, but for those whose DaemonSet is gone by then.
func TestResidents(t *testing.T) {
	for name, tt := range map[string]struct {
		// ill are the pods that aren't Ready: when the run is prepared, when the node is drained, and from its change on.
		ill [3][]string
		// drained and changed are done behind those moments.
		drained, changed func(m *machine)
		want             string // what is missed
	}{
		"Ready throughout":            {},
		"broken before":               {ill: [3][]string{{"proxy"}, {"proxy"}, {"proxy"}}},
		"broken while it was drained": {ill: [3][]string{nil, {"proxy"}, {"proxy"}}},
		"broken since":                {ill: [3][]string{nil, nil, {"proxy"}}, want: "DaemonSet kube-system/kube-proxy"},
		"well while it was drained":   {ill: [3][]string{{"broken"}, nil, {"broken"}}, want: "DaemonSet kube-system/broken"},
		"gone while it was drained": {drained: func(m *machine) {
			m.api.Delete("apps/daemonsets", "kube-system", "kube-proxy")
			m.api.Delete("pods", "kube-system", "proxy")
		}},
		"gone since": {changed: func(m *machine) {
			m.api.Delete("apps/daemonsets", "kube-system", "kube-proxy")
			m.api.Delete("pods", "kube-system", "proxy")
		}},
		"its pod alone is gone": {changed: func(m *machine) { m.api.Delete("pods", "kube-system", "proxy") }, want: "DaemonSet kube-system/kube-proxy"},
		"new": {ill: [3][]string{nil, nil, {"late"}}, drained: func(m *machine) {
			m.addPod("kube-system", "late", "DaemonSet", "late")
			m.api.Put("apps/daemonsets", &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"}, ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "late"}})
		}, want: "DaemonSet kube-system/late"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			if tt.want != "" {
				m.deadline = proofMargin + time.Second
			}
			then := func(moment int, do func(*machine)) {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.ill = tt.ill[moment]
				if do != nil {
					do(m)
				}
				m.show()
			}
			m.ill = tt.ill[0]
			m.show()
			staged := false
			m.before = func(v v1alpha1.Verb) error {
				switch {
				case v == v1alpha1.VerbStage && !staged:
					staged = true
					then(1, tt.drained)
				case v == v1alpha1.VerbApply:
					then(2, tt.changed)
				}
				return nil
			}
			r, err := switchOne(t.Context(), m.engine(Options{}, nil))
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" && r.Outcome != Switched {
				t.Errorf("%s: %v", r.Outcome, r.Err)
			}
			if tt.want != "" && (r.Outcome != RolledBack || !strings.Contains(r.Err.Error(), tt.want)) {
				t.Errorf("%s: %v, want %s", r.Outcome, r.Err, tt.want)
			}
		})
	}
}

// TestProofEndsWithTheRun: a node that has gone back alone, as after a reboot, isn't waited for to its deadline, and what is said is what
// it says.
func TestProofEndsWithTheRun(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.deadline, m.ill = 10*time.Minute, []string{"broken", "proxy"}
	residents := false // the proxy is Ready until the node changes
	m.before = func(v v1alpha1.Verb) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.ill = []string{"broken"}
		if residents = residents || v == v1alpha1.VerbApply; residents {
			m.ill = []string{"broken", "proxy"}
		}
		m.show()
		return nil
	}
	m.after = func(v v1alpha1.Verb) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.run != nil && m.run.Phase == v1alpha1.PhaseApplied {
			time.AfterFunc(time.Second, func() {
				m.mu.Lock()
				defer m.mu.Unlock()
				if m.run.Phase == v1alpha1.PhaseApplied {
					m.goBack("the node was rebooted before the run was confirmed")
				}
			})
		}
		return nil
	}
	began := time.Now()
	r, err := switchOne(t.Context(), m.engine(Options{}, nil))
	if err != nil || r.Outcome != RolledBack || !strings.HasPrefix(r.Err.Error(), "the node was rebooted") {
		t.Errorf("got %s: %v, %v", r.Outcome, r.Err, err)
	}
	if took := time.Since(began); took > proofPause+attendPause/2 {
		t.Errorf("after %s", took)
	}
}
