//go:build e2e

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/e2e/photo"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

const (
	// target is the runtime that the tests switch to.
	target = "cri-o"
	// patience is how long one run of the plugin may take at most; a run that takes longer hangs.
	patience = 4 * time.Minute
)

func switchArgs(n *bed.Node, more ...string) []string {
	return append([]string{"switch", n.Name, "--to", target, "--yes"}, more...)
}

func rollbackArgs(n *bed.Node) []string { return []string{"rollback", n.Name, "--yes"} }

// neverMoves is the rule that stops a switch for a budget by which no pod ever goes.
const neverMoves = "W030"

// blocked puts a pod on the node that a budget keeps there: a drain can't end.
func blocked(t *testing.T, b *bed.Bed, n *bed.Node) corev1.Pod {
	t.Helper()
	ns := b.Namespace(t, nil)
	b.Budget(t, ns, "blocker", 1)
	return b.Deploy(t, ns, 1, bed.Pin(bed.Web("blocker", bed.ImageOpen, corev1.PullAlways), n.Name))[0]
}

// unchanged is everything that must hold after a command that must have changed nothing, or taken everything back.
func unchanged(t *testing.T, b *bed.Bed, n *bed.Node, before *photo.Photo, allowed ...[]photo.Allowance) {
	t.Helper()
	n.On(t, bed.Home, 2*time.Minute)
	schedulable(t, n, true)
	b.NothingOfOurs(t, n, 30*time.Second)
	n.Same(t, before, append(allowed, photo.Kept)...)
}

// schedulable waits until the node is, or isn't, cordoned.
func schedulable(t *testing.T, n *bed.Node, want bool) {
	t.Helper()
	err := bed.Await(t.Context(), 20*time.Second, 250*time.Millisecond, func(ctx context.Context) string {
		o, err := n.Object(ctx)
		switch {
		case err != nil:
			return err.Error()
		case o.Spec.Unschedulable == want && want:
			return "it is cordoned, though it wasn't before"
		case o.Spec.Unschedulable == want:
			return "it isn't cordoned, though it was before"
		}
		return ""
	})
	if err != nil {
		t.Errorf("%s: %v", n.Name, err)
	}
}

// ended waits until a run that isn't in known is in one of phases; the node has to get there alone.
func ended(t *testing.T, n *bed.Node, known []v1alpha1.Run, timeout time.Duration, phases ...v1alpha1.Phase) v1alpha1.Run {
	t.Helper()
	run, err := n.AwaitPhase(t.Context(), known, timeout, phases...)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// tells fails unless the plugin's last words say what to do next, or that there is nothing to do.
func tells(t *testing.T, s *bed.Session) {
	t.Helper()
	out := strings.ToLower(s.Output())
	for _, word := range []string{"kubectl runtime ", "kubectl uncordon", "next:", "nothing was changed", "no node was changed"} {
		if strings.Contains(out, word) {
			return
		}
	}
	t.Errorf("%s: its output names no next command", s)
}

// file writes a file for the plugin to read.
func file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
