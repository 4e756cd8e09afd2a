package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestOrder(t *testing.T) {
	node := func(name, label string) corev1.Node {
		n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if label != "" {
			n.Labels = map[string]string{label: ""}
		}
		return n
	}
	got := Order([]corev1.Node{
		node("cp-1", "node-role.kubernetes.io/control-plane"), node("w2", "node-role.kubernetes.io/worker"), node("cp-0", "node-role.kubernetes.io/master"), node("w1", ""),
	})
	if diff := cmp.Diff([]string{"w2", "w1", "cp-1", "cp-0"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
