//go:build e2e

package e2e

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestSocketDirectories switches nodes with a DaemonSet that mounts the sockets of all runtimes without a type. Whichever runtime
// serves makes a directory where another one is to listen: the node must get out of that alone, forward and back.
func TestSocketDirectories(t *testing.T) {
	pool := bed.Open(t).Pool(t)
	for _, to := range []string{"cri-o", "docker"} {
		t.Run(to, func(t *testing.T) {
			t.Parallel()
			t.Run("ThereAndBack", func(t *testing.T) {
				selfRollback(t, pool, fault{to: to, sockets: true, ends: []v1alpha1.Phase{v1alpha1.PhaseConfirmed}})
			})
			t.Run("PluginKilled", func(t *testing.T) {
				selfRollback(t, pool, fault{
					to: to, sockets: true, grows: late, args: []string{"--confirm-timeout", "30s"}, code: -1,
					arm: afterStart(to, func(_ *testing.T, _ *bed.Node, s *bed.Session) { s.Signal(syscall.SIGKILL) }),
				})
			})
			t.Run("RebootedWhenApplied", func(t *testing.T) {
				selfRollback(t, pool, fault{
					to: to, sockets: true, grows: late, code: 3, allowed: rebooted,
					arm: afterStart(to, func(t *testing.T, n *bed.Node, _ *bed.Session) {
						if err := n.Reboot(t.Context(), false); err != nil {
							t.Fatal(err)
						}
					}),
				})
			})
		})
	}
	t.Run("DirectoryWithContent", func(t *testing.T) { keptAside(t, pool) })
}

// late is how long a DaemonSet's pod takes to be Ready where a run mustn't be confirmed meanwhile.
const late = 45 * time.Second

// afterStart does something once the run is applied and the DaemonSet's pod has started in the target runtime.
func afterStart(to string, do func(t *testing.T, n *bed.Node, s *bed.Session)) func(*testing.T, *bed.Node) func(*testing.T, *bed.Bed, *bed.Session, []v1alpha1.Run) {
	return func(_ *testing.T, n *bed.Node) func(*testing.T, *bed.Bed, *bed.Session, []v1alpha1.Run) {
		return func(t *testing.T, _ *bed.Bed, s *bed.Session, known []v1alpha1.Run) {
			ended(t, n, known, patience, v1alpha1.PhaseApplied)
			bed.Must(t, "the DaemonSet's pod in "+to, 25*time.Second, func(ctx context.Context) string {
				pods, err := n.Pods(ctx)
				if err != nil {
					return err.Error()
				}
				for _, pod := range pods {
					for _, c := range pod.Status.ContainerStatuses {
						if pod.Labels["app"] == "agent" && c.State.Running != nil && strings.HasPrefix(c.ContainerID, to+"://") {
							return ""
						}
					}
				}
				return "it hasn't started there"
			})
			do(t, n, s)
		}
	}
}

// keptAside puts a directory with content where the target is to listen. The switch must go through, tell of it, and lose nothing.
func keptAside(t *testing.T, pool *bed.Pool) {
	t.Parallel()
	b, n := bed.Open(t), pool.Worker(t)
	const socket = "/run/crio/crio.sock"
	n.Undo(t, "rm -rf $(find /run /var/lib/kubectl-runtime -xdev -path '*/crio.sock*/e2e-note' -printf %h)")
	n.Sh(t, "rm -rf "+socket+"; mkdir -p "+socket+"; echo precious >"+socket+"/e2e-note")
	before := n.Photo(t)
	b.Expect(t, 0, patience, switchArgs(n)...).Says(t, socket)
	n.On(t, target, time.Minute)
	if kept := n.Sh(t, "find /run /var/lib/kubectl-runtime -xdev -name e2e-note -exec grep -lx precious {} +"); kept == "" {
		t.Errorf("what stood below %s is lost", socket)
	} else {
		t.Logf("kept as %s", kept)
	}
	b.Expect(t, 0, patience, rollbackArgs(n)...)
	unchanged(t, b, n, before)
}
