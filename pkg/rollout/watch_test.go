package rollout

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestTell shows what the node warns of as what people should see even when all goes well.
func TestTell(t *testing.T) {
	for _, tt := range []struct {
		line v1alpha1.Progress
		want Event
	}{
		{v1alpha1.Progress{Step: "pull", Detail: "nginx:1"}, Event{Text: "pull: nginx:1"}},
		{v1alpha1.Progress{Step: "pull", Detail: "nginx:1", Error: "denied"}, Event{Text: "pull: nginx:1: denied", Warning: true}},
		{v1alpha1.Progress{Step: "warning", Detail: "image nginx:1: the registry has another"}, Event{Text: "image nginx:1: the registry has another", Warning: true}},
	} {
		var have Event
		p := &Prepared{e: &Engine{report: func(e Event) { have = e }}, node: &corev1.Node{}}
		p.tell(stepStage, tt.line)
		tt.want.Step, tt.want.Of, tt.want.Detail = stepStage, steps, true
		if diff := cmp.Diff(tt.want, have); diff != "" {
			t.Errorf("(-want +have)\n%s", diff)
		}
	}
}
