package workload

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestGraces names the pods that the limit would cut short, their grace period and the flag.
func TestGraces(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    string
		seconds *int64
		limit   time.Duration
		pods    []Placed
		want    v1alpha1.Finding
	}{
		{
			"beyond the default", "DaemonSet", new(int64(600)), 0,
			[]Placed{{"log-1", "a", false}, {"log-2", "b", false}, {"log-3", "away", false}},
			v1alpha1.Finding{
				Message:  "stays on its node while that is switched, and is killed after 2m although its termination grace period is 10m",
				Evidence: []string{"pods log-1, log-2: terminationGracePeriodSeconds 600"},
				Hint:     "switch with --evacuation-grace=10m0s, or lower terminationGracePeriodSeconds",
			},
		},
		{
			"beyond the flag", "DaemonSet", new(int64(45)), 40 * time.Second,
			[]Placed{{"log-1", "a", false}},
			v1alpha1.Finding{
				Message:  "stays on its node while that is switched, and is killed after 40s although its termination grace period is 45s",
				Evidence: []string{"pod log-1: terminationGracePeriodSeconds 45"},
				Hint:     "switch with --evacuation-grace=45s, or lower terminationGracePeriodSeconds",
			},
		},
		{
			"of a template", "DaemonSet", new(int64(121)), 0, nil,
			v1alpha1.Finding{
				Message:  "stays on its node while that is switched, and is killed after 2m although its termination grace period is 2m1s",
				Evidence: []string{"pod template: terminationGracePeriodSeconds 121"},
				Hint:     "switch with --evacuation-grace=2m1s, or lower terminationGracePeriodSeconds",
			},
		},
		{
			"a static pod", "Pod", new(int64(180)), 0,
			[]Placed{{"etcd-a", "a", true}},
			v1alpha1.Finding{
				Message:  "stays on its node while that is switched, and is killed after 2m although its termination grace period is 3m",
				Evidence: []string{"pod etcd-a: terminationGracePeriodSeconds 180"},
				Hint:     "switch with --evacuation-grace=3m0s, or lower terminationGracePeriodSeconds",
			},
		},
		{"as long as the limit", "DaemonSet", new(int64(45)), 45 * time.Second, []Placed{{"log-1", "a", false}}, v1alpha1.Finding{}},
		{"no limit below it", "DaemonSet", new(int64(600)), time.Hour, []Placed{{"log-1", "a", false}}, v1alpha1.Finding{}},
		{"the default's", "DaemonSet", nil, 0, []Placed{{"log-1", "a", false}}, v1alpha1.Finding{}},
		{"on another node", "DaemonSet", new(int64(600)), 0, []Placed{{"log-1", "away", false}}, v1alpha1.Finding{}},
		{"drained", "Deployment", new(int64(600)), 0, []Placed{{"log-1", "a", false}}, v1alpha1.Finding{}},
		{"a pod of nobody", "Pod", new(int64(600)), 0, []Placed{{"log-1", "a", false}}, v1alpha1.Finding{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := Workload{Object: Object{"apps/v1", c.kind, "ns", "log"}, Pods: c.pods, Spec: corev1.PodSpec{TerminationGracePeriodSeconds: c.seconds}}
			o := Options{To: v1alpha1.CRIO, From: map[string]v1alpha1.RuntimeName{"a": v1alpha1.Containerd, "b": v1alpha1.Containerd, "away": v1alpha1.CRIO}, EvacuationGrace: c.limit}
			have := v1alpha1.Finding{}
			for _, f := range Check(&Inventory{Workloads: []Workload{w}}, o) {
				if f.ID == "W040" {
					have = v1alpha1.Finding{Message: f.Message, Evidence: f.Evidence, Hint: f.Hint}
				}
			}
			if diff := cmp.Diff(c.want, have); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
		})
	}
	w := Workload{Object: Object{"apps/v1", "DaemonSet", "ns", "log"}, Spec: corev1.PodSpec{TerminationGracePeriodSeconds: new(int64(math.MaxInt64))}}
	if have := said(t, "W040", w, Options{}); have != "stays on its node while that is switched, and is killed after 2m although its termination grace period is 292y" {
		t.Errorf("a grace period that no duration holds: %s", have)
	}
}
