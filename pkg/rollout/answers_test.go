package rollout

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		ready corev1.ConditionStatus
		last  string
		want  string
	}{
		"ready":                      {ready: corev1.ConditionTrue},
		"away":                       {ready: corev1.ConditionUnknown, want: "node n is NotReady (Kubelet stopped posting node status.)"},
		"not ready":                  {ready: corev1.ConditionFalse, want: "next: kubectl describe node n"},
		"away in the midst of a run": {ready: corev1.ConditionUnknown, last: `{"run":"r-1","phase":"applying"}`},
		"away after a run":           {ready: corev1.ConditionUnknown, last: `{"run":"r-1","phase":"confirmed"}`, want: "nothing was changed"},
	} {
		t.Run(name, func(t *testing.T) {
			node := &corev1.Node{
				ObjectMeta: metav1.ObjectMeta{Name: "n", Annotations: map[string]string{v1alpha1.LastRunAnnotation: c.last}},
				Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
					{Type: corev1.NodeReady, Status: c.ready, Message: "Kubelet stopped posting node status."},
				}},
			}
			err := answers(node)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want %q in it", err, c.want)
			}
		})
	}
}
