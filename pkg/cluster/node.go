package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/redact"
)

// manager names us where the API server remembers who wrote what.
const manager = "kubectl-runtime"

// KubeadmSocketAnnotation is where kubeadm records a node's CRI socket up to 1.34 (node-local file since).
const KubeadmSocketAnnotation = "kubeadm.alpha.kubernetes.io/cri-socket"

// Cordon makes the node unschedulable, or schedulable again.
func Cordon(ctx context.Context, client kubernetes.Interface, node string, unschedulable bool) error {
	var value any // null removes the field, as kubectl uncordon does
	if unschedulable {
		value = true
	}
	if err := patch(ctx, client, node, map[string]any{"spec": map[string]any{"unschedulable": value}}); err != nil {
		what := "cordoning"
		if !unschedulable {
			what = "uncordoning"
		}
		return fmt.Errorf("%s node %s: %w", what, node, err)
	}
	return nil
}

// Annotate sets an annotation of the node; an empty value removes it.
//
// It is a merge patch, not an apply: the node's agent writes the same annotation with the kubelet's credential when it
// ends alone, and an apply that isn't forced would then conflict for ever.
func Annotate(ctx context.Context, client kubernetes.Interface, node, key, value string) error {
	var v any
	if value != "" {
		v = value
	}
	if err := patch(ctx, client, node, map[string]any{"metadata": map[string]any{"annotations": map[string]any{key: v}}}); err != nil {
		return fmt.Errorf("setting annotation %s of node %s: %w", key, node, err)
	}
	return nil
}

// SetLastRun tells people in the node's annotation what became of its last run.
func SetLastRun(ctx context.Context, client kubernetes.Interface, node string, last v1alpha1.LastRun) error {
	last.Reason = v1alpha1.FirstLine(redact.Text(last.Reason))
	b, err := json.Marshal(last)
	if err != nil {
		return err
	}
	return Annotate(ctx, client, node, v1alpha1.LastRunAnnotation, string(b))
}

// LastRun reads the node's annotation; nil where there is none that can be read.
func LastRun(node *corev1.Node) *v1alpha1.LastRun {
	last, err := v1alpha1.ReadLastRun(node.Annotations[v1alpha1.LastRunAnnotation])
	if err != nil {
		return nil
	}
	return last
}

func patch(ctx context.Context, client kubernetes.Interface, node string, change map[string]any) error {
	b, err := json.Marshal(change)
	if err != nil {
		return err
	}
	_, err = client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, b, metav1.PatchOptions{FieldManager: manager})
	return err
}

// Reason is why an Event is written on a node.
type Reason string

// The reasons.
const (
	ReasonStarted    Reason = "RuntimeSwitchStarted"
	ReasonConfirmed  Reason = "RuntimeSwitchConfirmed"
	ReasonRolledBack Reason = "RuntimeSwitchRolledBack"
	ReasonStuck      Reason = "RuntimeSwitchStuck"
)

// Event writes an Event on the node, at once: a recorder would lose it when the program ends.
func Event(ctx context.Context, client kubernetes.Interface, node *corev1.Node, reason Reason, message string) error {
	now := time.Now()
	kind := corev1.EventTypeNormal
	if reason == ReasonRolledBack || reason == ReasonStuck {
		kind = corev1.EventTypeWarning
	}
	_, err := client.CoreV1().Events(metav1.NamespaceDefault).Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{
			// As client-go's recorder names them; the time keeps names apart.
			Name: fmt.Sprintf("%s.%x", node.Name, now.UnixNano()), Namespace: metav1.NamespaceDefault,
		},
		InvolvedObject:      corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID},
		Reason:              string(reason),
		Message:             v1alpha1.FirstLine(redact.Text(message)),
		Type:                kind,
		Source:              corev1.EventSource{Component: manager},
		FirstTimestamp:      metav1.NewTime(now),
		LastTimestamp:       metav1.NewTime(now),
		Count:               1,
		ReportingController: manager,
	}, metav1.CreateOptions{FieldManager: manager})
	if err != nil {
		return fmt.Errorf("writing an Event on node %s: %w", node.Name, err)
	}
	return nil
}
