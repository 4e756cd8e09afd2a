//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
)

// TestRefusals holds that what the plugin can't do well it doesn't begin: exit code 1, the reason said, the node and
// the cluster untouched.
func TestRefusals(t *testing.T) {
	// The API server needs most of a minute to find out, in which the other refusals are looked at.
	silent := silence(t)
	t.Run("ControlPlane", func(t *testing.T) {
		b := bed.Open(t)
		n := b.ControlPlane(t)
		refuses(t, b, n, switchArgs(n), "control plane")
	})
	t.Run("NotInstalled", func(t *testing.T) {
		b := bed.Open(t)
		n := b.Worker(t, 0)
		n.Undo(t, "mv /usr/bin/crio.e2e /usr/bin/crio")
		n.Sh(t, "mv /usr/bin/crio /usr/bin/crio.e2e")
		refuses(t, b, n, switchArgs(n), "installed")
	})
	t.Run("ForeignContainer", func(t *testing.T) {
		b := bed.Open(t)
		n := b.Worker(t, 0)
		n.Undo(t, `ctr -n default task kill -s KILL e2e-foreign >/dev/null 2>&1 || true; sleep 1
			ctr -n default container rm e2e-foreign >/dev/null 2>&1 || true; ctr -n default image rm `+bed.ImageLocal+" >/dev/null; ctr namespace rm default 2>/dev/null || true")
		n.Sh(t, "ctr -n k8s.io image export --platform linux/$(dpkg --print-architecture) /root/e2e-image.tar "+bed.ImageLocal+"; "+
			"ctr -n default image import /root/e2e-image.tar >/dev/null; rm /root/e2e-image.tar; "+
			"ctr -n default run --detach "+bed.ImageLocal+" e2e-foreign /web sleep 10m")
		refuses(t, b, n, switchArgs(n), "e2e-foreign")
	})
	t.Run("StaleDaemon", func(t *testing.T) {
		b := bed.Open(t)
		n := b.Worker(t, 0)
		const config = "/etc/containerd/config.toml"
		n.Keep(t, config)
		n.Sh(t, "sed -i 's/max_concurrent_downloads = 5/max_concurrent_downloads = 4/' "+config+"; touch "+config)
		refuses(t, b, n, switchArgs(n), config)
	})
	t.Run("BudgetThatNeverLetsGo", func(t *testing.T) {
		b := bed.Open(t)
		n := b.Worker(t, 0)
		blocked(t, b, n)
		refuses(t, b, n, switchArgs(n), neverMoves, "PodDisruptionBudget/blocker")
	})
	t.Run("MissingRight", func(t *testing.T) {
		b := bed.Open(t)
		n := b.Worker(t, 0)
		before := n.Photo(t)
		s := b.Start(t, switchArgs(n), bed.With(b.Operator(t, "pods/exec"))).Wait(t, patience).Exited(t, 1)
		// The rule that is missing is printed so that it can be pasted into a role.
		s.Says(t, "pods/exec", "apiGroups:", "resources:", "verbs:")
		unchanged(t, b, n, before)
	})
	t.Run("PodSecurity", func(t *testing.T) {
		b := bed.Open(t)
		n := b.Worker(t, 0)
		ns := b.Namespace(t, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
		refuses(t, b, n, switchArgs(n, "--namespace", ns), "PodSecurity", "kubectl label namespace "+ns)
	})
	t.Run("PlanOfAChangedNode", planOfAChangedNode)
	t.Run("SecondOperator", secondOperator)
	t.Run("EditedSince", editedSince)
	t.Run("NotReady", func(t *testing.T) {
		b := bed.Open(t)
		bed.Must(t, "the node to be NotReady", 2*time.Minute, func(ctx context.Context) string {
			o, err := silent.Object(ctx)
			switch {
			case err != nil:
				return err.Error()
			case bed.Ready(o):
				return "it is Ready"
			}
			return ""
		})
		s := b.Expect(t, 1, patience, switchArgs(silent)...)
		s.Says(t, "ready")
		b.NothingOfOurs(t, silent, 10*time.Second)
	})
}

// silence stops the kubelet of the second worker, which gets NotReady by that, until the test ends.
func silence(t *testing.T) *bed.Node {
	t.Helper()
	n := bed.Open(t).Worker(t, 1)
	n.Undo(t, "systemctl start kubelet")
	n.Sh(t, "systemctl stop kubelet")
	return n
}

// refuses runs the plugin, which must exit with 1, say all of why, and leave everything as it is.
func refuses(t *testing.T, b *bed.Bed, n *bed.Node, args []string, why ...string) *bed.Session {
	t.Helper()
	before := n.Photo(t)
	s := b.Expect(t, 1, patience, args...)
	s.Says(t, why...)
	unchanged(t, b, n, before)
	return s
}

// planOfAChangedNode holds that a saved plan is applied exactly or not at all.
func planOfAChangedNode(t *testing.T) {
	b := bed.Open(t)
	n := b.Worker(t, 0)
	dry := b.Expect(t, 0, patience, "switch", n.Name, "--to", target, "--dry-run=server", "-o", "yaml")
	saved := file(t, "plan.yaml", dry.Stdout())
	const edited = "/etc/crictl.yaml"
	n.Keep(t, edited)
	n.Sh(t, "echo '# e2e: edited after the plan' >>"+edited)
	refuses(t, b, n, []string{"switch", "--plan", saved, "--yes"}, edited)
}

// secondOperator starts two switches of one node at once. A budget keeps the one that wins in its drain, so that both
// live at the same time; it must be turned back by the budget, the other by the first.
func secondOperator(t *testing.T) {
	b := bed.Open(t)
	n := b.Worker(t, 0)
	blocked(t, b, n)
	before := n.Photo(t)
	args := switchArgs(n, "--drain-timeout", "15s", "--ignore", neverMoves)
	first, second := b.Start(t, args), b.Start(t, args)
	first.Wait(t, patience).Exited(t, 1)
	second.Wait(t, patience).Exited(t, 1)
	turnedBack := 0
	for _, s := range []*bed.Session{first, second} {
		out := s.Output()
		if strings.Contains(out, "@") && !strings.Contains(strings.ToLower(out), "cannot evict") && !strings.Contains(out, "blocker") {
			turnedBack++
		}
	}
	if turnedBack != 1 {
		t.Errorf("%d of two switches were told who is at it already, want 1", turnedBack)
	}
	unchanged(t, b, n, before)
}

// editedSince edits a file that a switch wrote. The rollback must show the edit and leave it alone; once the operator
// has taken it back, the rollback must go through.
func editedSince(t *testing.T) {
	b := bed.Open(t)
	n := b.Worker(t, 0)
	before := n.Photo(t)
	b.Expect(t, 0, patience, switchArgs(n)...)
	const edited, note = "/var/lib/kubelet/config.yaml", "# e2e: note of an operator"
	n.Undo(t, "[ ! -e /root/e2e-as-switched ] || { cp -a /root/e2e-as-switched "+edited+"; rm /root/e2e-as-switched; }")
	n.Sh(t, "cp -a "+edited+" /root/e2e-as-switched; echo '"+note+"' >>"+edited)
	switched := n.Photo(t)
	s := b.Expect(t, 1, patience, rollbackArgs(n)...)
	s.Says(t, edited, note)
	n.Same(t, switched)
	n.On(t, target, time.Minute)
	b.NothingOfOurs(t, n, 30*time.Second)

	n.Sh(t, "cp -a /root/e2e-as-switched "+edited+"; rm /root/e2e-as-switched")
	b.Expect(t, 0, patience, rollbackArgs(n)...)
	unchanged(t, b, n, before)
}

// TestFilesThatCantBeReplaced makes a path of the plan one that can't be replaced, in each way that a node has for it. It must be
// noticed while everything still runs.
func TestFilesThatCantBeReplaced(t *testing.T) {
	pool := bed.Open(t).Pool(t)
	for _, test := range []struct{ name, path, do, undo string }{
		{"Immutable", "/var/lib/kubelet/config.yaml", "chattr +i", "chattr -i"},
		{"AppendOnly", "/var/lib/kubelet/config.yaml", "chattr +a", "chattr -a"},
		{"MountedOver", "/etc/crictl.yaml", "mount --bind /etc/crictl.yaml", "umount"},
		{"ReadOnlyDirectory", "/etc/crio/crio.conf.d", "mount --bind -o ro /etc/crio/crio.conf.d", "umount"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b, n := bed.Open(t), pool.Worker(t)
			if _, err := n.Run(t.Context(), test.do+" "+test.path); err != nil {
				t.Skipf("this node's file system has no such thing: %v", err)
			}
			n.Undo(t, test.undo+" "+test.path)
			refuses(t, b, n, switchArgs(n), test.path)
		})
	}
}
