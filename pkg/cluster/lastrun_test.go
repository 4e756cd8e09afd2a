package cluster

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
)

// alpha1LastRun is the annotation as programs of the first format read and write it.
type alpha1LastRun struct {
	Run    string    `json:"run"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Phase  string    `json:"phase"`
	When   time.Time `json:"when"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// TestLastRunOfOtherVersions: the annotation is read by earlier and later programs, whichever of them wrote it.
func TestLastRunOfOtherVersions(t *testing.T) {
	when := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	theirs := alpha1LastRun{"r-0000000a", "containerd", "cri-o", "rolledBack", when, "ana@laptop", "no confirmation came within 5m0s"}
	ours := v1alpha1.LastRun{
		Run: "r-0000000a", From: v1alpha1.Containerd, To: v1alpha1.CRIO, Phase: v1alpha1.PhaseRolledBack, When: when, By: "ana@laptop",
		Reason: "no confirmation came within 5m0s",
	}
	text, err := json.Marshal(theirs)
	if err != nil {
		t.Fatal(err)
	}
	later := `{"format":9,"sequence":4,"of":["x"],` + string(text[1:])
	for name, text := range map[string]string{"an earlier one": string(text), "a later one": later} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.LastRunAnnotation: text}}}
		if diff := cmp.Diff(&ours, LastRun(node)); diff != "" {
			t.Errorf("of %s, -want +read:\n%s", name, diff)
		}
	}
	api := apitest.New(t)
	addNode(api, "w1", nil)
	if err := SetLastRun(t.Context(), api.Client(), "w1", ours); err != nil {
		t.Fatal(err)
	}
	var node corev1.Node
	api.Get("nodes", "", "w1", &node)
	var read alpha1LastRun
	if err := json.Unmarshal([]byte(node.Annotations[v1alpha1.LastRunAnnotation]), &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(theirs, read); diff != "" {
		t.Errorf("as an earlier one reads ours, -want +read:\n%s", diff)
	}
}
