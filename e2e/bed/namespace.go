//go:build e2e

package bed

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The bed's images: one program under three names.
const (
	// ImageOpen stands in a registry that asks for nothing.
	ImageOpen = "registry.bed:5000/e2e/web:1"
	// ImagePrivate stands in a registry that asks for a password.
	ImagePrivate = "registry-auth.bed:5000/e2e/web:1"
	// ImageLocal stands in no registry: only the nodes' containerd holds it.
	ImageLocal = "local.bed/e2e/web:1"
)

const privateRegistry = "registry-auth.bed:5000"

// PullSecret is the name of the secret that opens the private registry in every namespace made by Namespace.
const PullSecret = "registry"

// Namespace makes a namespace with the pull secret of the private registry, and deletes it, waiting for its pods to be
// gone, when the test ends.
func (b *Bed) Namespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	ns, err := b.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-", Labels: labels},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := contextOf(t, 2*time.Minute)
		defer cancel()
		if t.Failed() {
			t.Log(b.podsOf(ctx, ns.Name))
		}
		if err := b.deleteNamespace(ctx, ns.Name); err != nil {
			t.Errorf("deleting the test's namespace: %v", err)
		}
	})
	user, password := b.credentials(t)
	login, err := json.Marshal(map[string]any{"auths": map[string]any{privateRegistry: map[string]string{
		"username": user, "password": password, "auth": base64.StdEncoding.EncodeToString([]byte(user + ":" + password)),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Client.CoreV1().Secrets(ns.Name).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: PullSecret},
		Type:       corev1.SecretTypeDockerConfigJson,
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: login},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// A pod that is made before its namespace has the default account is refused.
	Must(t, "the namespace's default ServiceAccount", 30*time.Second, func(ctx context.Context) string {
		if _, err := b.Client.CoreV1().ServiceAccounts(ns.Name).Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return err.Error()
		}
		return ""
	})
	return ns.Name
}

func (b *Bed) deleteNamespace(ctx context.Context, name string) error {
	if err := b.Client.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return Await(ctx, 100*time.Second, 250*time.Millisecond, func(ctx context.Context) string {
		_, err := b.Client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return ""
		case err != nil:
			return err.Error()
		}
		return "namespace " + name + " is still there"
	})
}

// podsOf is one line for each pod of a namespace, for people who read a failure.
func (b *Bed) podsOf(ctx context.Context, namespace string) string {
	list, err := b.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	lines := []string{"--- pods of " + namespace}
	for i := range list.Items {
		lines = append(lines, describePod(&list.Items[i]))
	}
	return strings.Join(lines, "\n")
}

// credentials are what hack/cluster wrote beside the kubeconfig.
func (b *Bed) credentials(t *testing.T) (user, password string) {
	t.Helper()
	path := os.Getenv("KUBECTL_RUNTIME_E2E_REGISTRY_AUTH")
	if path == "" {
		path = filepath.Join(filepath.Dir(b.Kubeconfig), "registry-auth.env")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("reading the private registry's credentials: %v", err)
	}
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[key] = strings.Trim(value, `'"`)
		}
	}
	return values["REGISTRY_AUTH_USER"], values["REGISTRY_AUTH_PASSWORD"]
}

// AwaitReady waits until n pods of a namespace with the label app=app are Ready, and returns them.
func (b *Bed) AwaitReady(t *testing.T, namespace, app string, n int, timeout time.Duration) []corev1.Pod {
	t.Helper()
	var ready []corev1.Pod
	Must(t, fmt.Sprintf("%d Ready pods %s/%s", n, namespace, app), timeout, func(ctx context.Context) string {
		list, err := b.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
		if err != nil {
			return err.Error()
		}
		ready = nil
		states := make([]string, 0, len(list.Items))
		for _, pod := range list.Items {
			if PodReady(&pod) {
				ready = append(ready, pod)
			}
			states = append(states, describePod(&pod))
		}
		if len(ready) != n || len(list.Items) != n {
			return fmt.Sprintf("%d are Ready: %s", len(ready), strings.Join(states, "; "))
		}
		return ""
	})
	return ready
}

// PodReady reports whether the pod is Ready and isn't being deleted.
func PodReady(pod *corev1.Pod) bool {
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

// describePod is one line about a pod that isn't as it should be.
func describePod(pod *corev1.Pod) string {
	state := string(pod.Status.Phase)
	for _, c := range pod.Status.ContainerStatuses {
		switch {
		case c.State.Waiting != nil:
			state += fmt.Sprintf(" %s: %s %s", c.Name, c.State.Waiting.Reason, c.State.Waiting.Message)
		case c.State.Terminated != nil:
			state += fmt.Sprintf(" %s: %s exit %d", c.Name, c.State.Terminated.Reason, c.State.Terminated.ExitCode)
		case !c.Ready:
			state += fmt.Sprintf(" %s: not ready", c.Name)
		}
	}
	if pod.DeletionTimestamp != nil {
		state += " (being deleted)"
	}
	return fmt.Sprintf("%s/%s on %s %s", pod.Namespace, pod.Name, pod.Spec.NodeName, state)
}
