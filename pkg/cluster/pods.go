package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/until"
)

// NodePods reads the pods of a node.
func NodePods(ctx context.Context, client kubernetes.Interface, node string) ([]corev1.Pod, error) {
	list, err := client.CoreV1().Pods(corev1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: onNode(node)})
	if err != nil {
		return nil, fmt.Errorf("listing the pods of node %s: %w", node, err)
	}
	return list.Items, nil
}

func onNode(node string) string { return fields.OneTermEqualSelector("spec.nodeName", node).String() }

// resident identifies a pod that stays with its node through a drain, by what brings it back: its manifest or its
// DaemonSet. Empty for all others.
func resident(pod *corev1.Pod) string {
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return staticPrefix + pod.Namespace + "/" + pod.Name
	}
	if c := metav1.GetControllerOf(pod); c != nil && c.Kind == "DaemonSet" && pod.Status.Phase != corev1.PodSucceeded {
		return daemonSetPrefix + pod.Namespace + "/" + c.Name
	}
	return ""
}

const (
	daemonSetPrefix = "DaemonSet "
	staticPrefix    = "static pod "
)

// Residents are the static and DaemonSet pods that are well on a node: what must be well again after its runtime was
// replaced. One that is broken before is nobody's proof.
func Residents(pods []corev1.Pod) []string {
	set := map[string]bool{}
	for i := range pods {
		if r := resident(&pods[i]); r != "" && isReady(&pods[i]) {
			set[r] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// ReadResidents reads which residents of a node are well now.
func ReadResidents(ctx context.Context, client kubernetes.Interface, node string) ([]string, error) {
	var pods []corev1.Pod
	err := until.Try(ctx, func(ctx context.Context) (err error) {
		pods, err = NodePods(ctx, client, node)
		return err
	})
	return Residents(pods), err
}

// WaitResidents waits until every one of the residents is Ready on the node with containers of the runtime that scheme
// names. One whose DaemonSet or manifest is gone meanwhile isn't waited for. report gets a line whenever fewer are missing.
func WaitResidents(ctx context.Context, client kubernetes.Interface, node string, residents []string, scheme string, report func(string)) error {
	missing := len(residents) + 1
	var names []string
	src := until.Pods(client, corev1.NamespaceAll, onNode(node))
	src.Patient = true
	err := until.Set(ctx, src, func(items map[types.UID]*corev1.Pod) (bool, error) {
		well, there := map[string]bool{}, map[string]bool{}
		for _, pod := range items {
			r := resident(pod)
			well[r] = well[r] || isReady(pod) && runsUnder(pod, scheme)
			there[r] = there[r] || pod.DeletionTimestamp == nil
		}
		names = names[:0]
		for _, r := range residents {
			if !well[r] && (there[r] || !ownerGone(ctx, client, r)) {
				names = append(names, r)
			}
		}
		if len(names) > 0 && len(names) < missing {
			missing = len(names)
			report(fmt.Sprintf("waiting for %d of %d static and DaemonSet pods", missing, len(residents)))
		}
		return len(names) == 0, nil
	})
	if err != nil && len(names) > 0 {
		return fmt.Errorf("not Ready under %s: %s: %w", scheme, strings.Join(names, ", "), err)
	}
	return err
}

// ownerGone reports whether what brings a resident back is gone.
func ownerGone(ctx context.Context, client kubernetes.Interface, r string) bool {
	if key, ok := strings.CutPrefix(r, staticPrefix); ok {
		return manifestGone(ctx, client, key)
	}
	namespace, name, _ := strings.Cut(strings.TrimPrefix(r, daemonSetPrefix), "/")
	gone := false
	err := until.Try(ctx, func(ctx context.Context) error {
		owner, err := client.AppsV1().DaemonSets(namespace).Get(ctx, name, metav1.GetOptions{})
		gone = err == nil && owner.DeletionTimestamp != nil
		return err
	})
	return gone || apierrors.IsNotFound(err)
}

// mirrorTimeout is how long a kubelet that serves may take to make the mirror pod of a manifest anew. It makes one within a sync.
var mirrorTimeout = 10 * time.Second

// manifestGone reports whether the manifest of a static pod is gone: its kubelet doesn't make its mirror pod again.
func manifestGone(ctx context.Context, client kubernetes.Interface, key string) bool {
	namespace, name, _ := strings.Cut(key, "/")
	for end := time.Now().Add(mirrorTimeout); ; {
		gone := false
		err := until.Try(ctx, func(ctx context.Context) error {
			// By a list, as that is what the plugin may do in every namespace.
			list, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{FieldSelector: until.Named(name)})
			gone = err == nil && len(list.Items) == 0
			return err
		})
		if err != nil || !gone || time.Now().After(end) {
			return gone
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(mirrorTimeout / 10):
		}
	}
}

func isReady(pod *corev1.Pod) bool {
	if pod.DeletionTimestamp != nil {
		return false
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// runsUnder reports whether all containers of a pod run under the runtime whose name starts their IDs.
func runsUnder(pod *corev1.Pod, scheme string) bool {
	for _, s := range pod.Status.ContainerStatuses {
		if s.State.Running == nil || !strings.HasPrefix(s.ContainerID, scheme+"://") {
			return false
		}
	}
	return len(pod.Status.ContainerStatuses) > 0
}
