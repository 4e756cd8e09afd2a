//go:build e2e

package e2e

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
)

const (
	// evil is named as the newest of all pauses, by a registry of nobody's.
	evil = "evil.bed/me/pause:99.9"
	// marks is where code of that image leaves its files on the node.
	marks = "/root/e2e-hostile"
)

// TestHostileImage holds that an image that a tenant brings to a node never becomes that of the host pod, and that even of one that the
// operator names nothing acts. That the image is what it should be is seen first, in a pod that is as privileged and takes no care.
func TestHostileImage(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the image's code is amd64's")
	}
	b := bed.Open(t)
	n := b.Worker(t, 0)
	// The host's own root, for whoever has its processes before him.
	archive := hostileImage(t, evil, runtime.GOARCH, "/proc/1/root"+marks)
	n.Undo(t, "ctr -n k8s.io images rm "+evil+" >/dev/null; rm -rf "+marks)
	n.Sh(t, "rm -rf "+marks+"; mkdir -m 0777 "+marks)
	if _, err := n.RunIn(t.Context(), archive, "ctr -n k8s.io images import - >/dev/null"); err != nil {
		t.Fatal(err)
	}
	end := careless(t, b, n)
	for _, args := range [][]string{
		{"status", n.Name, "--deep"},
		{"check", n.Name, "--to", target},
	} {
		t.Run(args[0], func(t *testing.T) {
			if used := imagesOf(t, b, n, args...); len(used) == 0 || slices.Contains(used, evil) {
				t.Errorf("the pods there ran %q", used)
			}
			unmarked(t, n)
		})
		t.Run(args[0]+" with it", func(t *testing.T) {
			if used := imagesOf(t, b, n, append(args, "--image", evil)...); !slices.Equal(used, []string{evil}) {
				t.Errorf("the pods there ran %q", used)
			}
			unmarked(t, n)
		})
	}
	end()
	for _, c := range []struct {
		args    []string
		runtime string
	}{
		{switchArgs(n), target}, {rollbackArgs(n), bed.Home}, {switchArgs(n, "--image", evil), target}, {append(rollbackArgs(n), "--image", evil), bed.Home},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			given := slices.Contains(c.args, evil)
			if used := imagesOf(t, b, n, c.args...); len(used) == 0 || slices.Contains(used, evil) != given {
				t.Errorf("the pods there ran %q", used)
			}
			n.On(t, c.runtime, time.Minute)
			unmarked(t, n)
		})
	}
	b.NothingOfOurs(t, n, 10*time.Second)
}

// careless runs the image with the node's programs and the privileges of a host pod, sees that it acts, and waits until the node reports
// to have it. The pod stays, as a tenant's would, until it is ended.
func careless(t *testing.T, b *bed.Bed, n *bed.Node) (end func()) {
	t.Helper()
	namespace := b.Namespace(t, nil)
	template := bed.Pin(bed.Shell(bed.Web("tenant", evil, corev1.PullNever), "nsenter\n/bin/sleep 3600 & wait", "/marks", marks), n.Name)
	template.Spec.HostPID = true
	template.Spec.Containers[0].SecurityContext.Privileged = new(true)
	b.Deploy(t, namespace, 1, template)
	bed.Must(t, "what the image does where no care is taken", 20*time.Second, func(ctx context.Context) string {
		out, err := n.Run(ctx, "ls "+marks)
		if err != nil {
			return err.Error()
		}
		for _, mark := range []string{"by-variable", "by-file", "by-volume"} {
			if !slices.Contains(strings.Fields(string(out)), mark) {
				return "only these acted: " + strings.Join(strings.Fields(string(out)), ", ")
			}
		}
		return ""
	})
	n.Sh(t, "rm -f "+marks+"/*")
	bed.Must(t, "the node to report the image", 2*time.Minute, func(ctx context.Context) string {
		o, err := n.Object(ctx)
		if err != nil {
			return err.Error()
		}
		if !slices.ContainsFunc(o.Status.Images, func(i corev1.ContainerImage) bool { return slices.Contains(i.Names, evil) }) {
			return "it isn't among those of the node"
		}
		return ""
	})
	return func() {
		if err := b.Client.AppsV1().Deployments(namespace).Delete(t.Context(), "tenant", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		bed.Must(t, "the end of the tenant's pod", time.Minute, func(ctx context.Context) string {
			list, err := b.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
			if err != nil {
				return err.Error()
			}
			if len(list.Items) > 0 {
				return "it is there still"
			}
			return ""
		})
		n.Sh(t, "rm -f "+marks+"/*")
	}
}

// imagesOf runs the plugin, which must succeed, and returns the images of its pods on the node.
func imagesOf(t *testing.T, b *bed.Bed, n *bed.Node, args ...string) []string {
	t.Helper()
	var used []string
	s := b.Start(t, args)
	for !s.Ended() {
		pods, err := n.OurPods(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, pod := range pods {
			used = append(used, pod.Spec.Containers[0].Image)
		}
		time.Sleep(100 * time.Millisecond)
	}
	// Findings of check are no matter here; that it could not look would be 1.
	if s.Wait(t, patience).Code == 1 {
		t.Errorf("%s failed", s)
	}
	slices.Sort(used)
	return slices.Compact(used)
}

// unmarked fails the test when code of the image ran.
func unmarked(t *testing.T, n *bed.Node) {
	t.Helper()
	if acted := n.Sh(t, "ls "+marks); acted != "" {
		t.Errorf("the image acted: %s", acted)
	}
}
