//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
)

// TestPrivateImages has the kubelet verify who may use an image that is on the node. A pod without the pull secret may not, under the
// source, the target, and the source again: not even where the kubelet under the target has forgotten the source's image.
func TestPrivateImages(t *testing.T) {
	const config, records = "/var/lib/kubelet/config.yaml", "/var/lib/kubelet/image_manager"
	b := bed.Open(t)
	n := b.Worker(t, 0)
	emptyStore(t, n)
	n.Undo(t, "rm -rf "+records+"; systemctl restart kubelet")
	n.Keep(t, config)
	// The kubelet must pull it itself to know whose it is.
	n.Sh(t, `printf 'featureGates:\n  KubeletEnsureSecretPulledImages: true\n' >>`+config+`
		ctr -n k8s.io images ls -q | grep '^`+strings.Split(bed.ImagePrivate, "/")[0]+`/' | xargs -r ctr -n k8s.io images rm >/dev/null
		systemctl restart kubelet`)
	n.On(t, bed.Home, time.Minute)

	namespace := b.Namespace(t, nil)
	b.Deploy(t, namespace, 1, bed.Pin(bed.Web("owner", bed.ImagePrivate, corev1.PullIfNotPresent, bed.PullSecret), n.Name))
	n.Sh(t, "ls "+records+"/pulled/sha256-*")
	refused(t, b, n, namespace, "before")

	b.Expect(t, 0, patience, switchArgs(n)...)
	n.On(t, target, time.Minute)
	b.AwaitReady(t, namespace, "owner", 1, time.Minute)
	refused(t, b, n, namespace, "on-target")

	// As it does when it frees disk space: the target has no image of these IDs.
	n.Sh(t, "grep -l '\"imageRef\":\"sha256:' "+records+"/pulled/sha256-* | xargs rm")
	b.Expect(t, 0, patience, rollbackArgs(n)...)
	n.On(t, bed.Home, time.Minute)
	b.AwaitReady(t, namespace, "owner", 1, time.Minute)
	refused(t, b, n, namespace, "back")
}

// refused runs a pod that has no credentials for the private image, and sees that the kubelet doesn't let it use the one that is there.
func refused(t *testing.T, b *bed.Bed, n *bed.Node, namespace, name string) {
	t.Helper()
	template := bed.Web(name, bed.ImagePrivate, corev1.PullNever)
	template.Spec.NodeName = n.Name
	pods := b.Client.CoreV1().Pods(namespace)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: template.Labels}, Spec: template.Spec}
	if _, err := pods.Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	bed.Must(t, "the kubelet's word on a pod without credentials", time.Minute, func(ctx context.Context) string {
		pod, err := pods.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		for _, c := range pod.Status.ContainerStatuses {
			if c.State.Running != nil || c.State.Terminated != nil {
				t.Errorf("a pod without credentials runs a private image (%s)", name)
				return ""
			}
			if c.State.Waiting != nil && c.State.Waiting.Reason == "ErrImageNeverPull" {
				return ""
			}
		}
		return "no container of it has come so far"
	})
	// A pod without a controller would stop the drain.
	if err := pods.Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
		t.Fatal(err)
	}
}
