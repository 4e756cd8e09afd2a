//go:build e2e

// Package bed reaches the test cluster: its API, its nodes through the container engine, and the plugin under test.
// It imports the product's types alone, to read the record that a run leaves on a node.
package bed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Bed is a cluster that is up.
type Bed struct {
	Client     kubernetes.Interface
	REST       *rest.Config
	Kubeconfig string
	// Plugin is the path of the binary under test.
	Plugin string
	// Docker is the container engine's command.
	Docker string
}

// Open connects to the cluster. A cluster that doesn't answer fails the test: whoever compiles with the tag e2e asked
// for one.
func Open(t *testing.T) *Bed {
	t.Helper()
	b := &Bed{Kubeconfig: kubeconfig(), Docker: command("docker"), Plugin: os.Getenv("KUBECTL_RUNTIME_BIN")}
	if b.Plugin == "" {
		b.Plugin = filepath.Join(checkout(t), "bin", "kubectl-runtime")
	}
	config, err := clientcmd.BuildConfigFromFlags("", b.Kubeconfig)
	if err != nil {
		t.Fatalf("reading the cluster's kubeconfig %s (is the cluster of hack/cluster up?): %v", b.Kubeconfig, err)
	}
	// The harness polls; the client's default limits would slow its eye down.
	config.QPS, config.Burst = 200, 400
	b.REST = config
	if b.Client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Client.Discovery().ServerVersion(); err != nil {
		t.Fatalf("the cluster doesn't answer (hack/cluster starts one): %v", err)
	}
	return b
}

func kubeconfig() string {
	for _, name := range []string{"KUBECTL_RUNTIME_E2E_KUBECONFIG", "KUBECONFIG"} {
		if path := os.Getenv(name); path != "" {
			return path
		}
	}
	return filepath.Join(cacheDir(), "clusters", clusterName(), "kubeconfig")
}

func cacheDir() string {
	if dir := os.Getenv("KUBECTL_RUNTIME_CACHE"); dir != "" {
		return dir
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "kubectl-runtime")
}

func clusterName() string {
	if name := os.Getenv("KUBECTL_RUNTIME_CLUSTER"); name != "" {
		return name
	}
	return "kubectl-runtime"
}

// command prefers what is on PATH to what hack/cluster brought along.
func command(name string) string {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return name
		}
	}
	return filepath.Join(cacheDir(), "bin", name)
}

// Kubectl is the kubectl to run for what people do by hand.
func (b *Bed) Kubectl() string { return command("kubectl") }

// checkout is the directory with go.mod above the test's own.
func checkout(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("not inside the checkout")
	return ""
}

// Workers returns the workers in the order of their names.
func (b *Bed) Workers(t *testing.T) []*Node {
	t.Helper()
	workers, _ := b.nodes(t)
	if len(workers) < 2 {
		t.Fatalf("the cluster has %d workers, two are needed", len(workers))
	}
	return workers
}

// ControlPlane returns the first control plane node.
func (b *Bed) ControlPlane(t *testing.T) *Node {
	t.Helper()
	_, planes := b.nodes(t)
	if len(planes) == 0 {
		t.Fatal("the cluster has no control plane node")
	}
	return planes[0]
}

func (b *Bed) nodes(t *testing.T) (workers, planes []*Node) {
	t.Helper()
	list, err := b.Client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range list.Items {
		node := &Node{Name: n.Name, bed: b}
		if _, ok := n.Labels["node-role.kubernetes.io/control-plane"]; ok {
			planes = append(planes, node)
		} else {
			workers = append(workers, node)
		}
	}
	slices.SortFunc(workers, func(a, b *Node) int { return strings.Compare(a.Name, b.Name) })
	return workers, planes
}

// Await polls until done says so. done returns what is still missing; it is the message of the failure.
func Await(ctx context.Context, timeout, every time.Duration, done func(ctx context.Context) (missing string)) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	last := "nothing was seen"
	for {
		missing := done(ctx)
		if missing == "" {
			return nil
		}
		if ctx.Err() == nil {
			last = missing
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s: %s", timeout, last)
		case <-time.After(every):
		}
	}
}

// Must is Await that fails the test, naming what was waited for.
func Must(t *testing.T, what string, timeout time.Duration, done func(ctx context.Context) (missing string)) {
	t.Helper()
	if err := Await(t.Context(), timeout, 250*time.Millisecond, done); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

// Ready reports whether the node's Ready condition is True.
func Ready(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
