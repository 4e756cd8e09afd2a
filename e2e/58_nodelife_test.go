//go:build e2e

package e2e

import (
	"maps"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/e2e/photo"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestSourceCantStart breaks the source runtime while the target serves, and kills the plugin. The node can't roll back: it must
// serve with the target, stop no pod again on its own, say that it is stuck, and roll back by command once its source is mended.
func TestSourceCantStart(t *testing.T) {
	b := bed.Open(t)
	n := b.Worker(t, 0)
	reload(t, n)
	template := agent(n)
	template.Spec.Containers[0].ReadinessProbe.InitialDelaySeconds = int32(late.Seconds())
	at := prepare(t, b, n, template, func() {})
	known := n.Known(t)
	const broken = "/etc/systemd/system/containerd.service.d/50-e2e.conf"
	n.Undo(t, "rm -f "+broken+"; rmdir /etc/systemd/system/containerd.service.d 2>/dev/null || true")

	s := b.Start(t, switchArgs(n, "--confirm-timeout", "30s"))
	afterStart(target, func(t *testing.T, n *bed.Node, s *bed.Session) {
		n.Sh(t, "mkdir -p $(dirname "+broken+"); printf '[Service]\\nExecStartPre=/bin/false\\n' >"+broken+"; systemctl daemon-reload")
		s.Signal(syscall.SIGKILL)
	})(t, n)(t, b, s, known)
	s.Wait(t, time.Minute)

	run := ended(t, n, known, 10*time.Minute, v1alpha1.PhaseStuck)
	t.Logf("run %s is stuck: %s", run.ID, run.Reason)
	if !strings.Contains(run.Reason, "containerd") {
		t.Errorf("the reason doesn't name the runtime that can't start: %s", run.Reason)
	}
	n.On(t, target, 2*time.Minute)
	n.Sh(t, "systemctl is-active kubelet crio")
	b.AwaitReady(t, at.namespace, "agent", 1, 2*time.Minute)
	serving := containers(t, n)
	time.Sleep(time.Minute)
	if diff := cmp.Diff(serving, containers(t, n)); diff != "" {
		t.Errorf("a node that is stuck ended pods again (-then +a minute later):\n%s", diff)
	}
	b.Expect(t, 0, time.Minute, "status", n.Name).Says(t, "stuck")

	n.Sh(t, "rm "+broken+"; rmdir --ignore-fail-on-non-empty $(dirname "+broken+"); systemctl daemon-reload; systemctl reset-failed containerd 2>/dev/null || true")
	b.Expect(t, 0, patience, rollbackArgs(n)...)
	given(t, b, n, 2*time.Minute)
	unchanged(t, b, n, at.before)
	b.AwaitReady(t, at.namespace, "agent", 1, 2*time.Minute)
}

// containers are the containers of all pods on a node that run, by pod.
func containers(t *testing.T, n *bed.Node) map[string]string {
	t.Helper()
	pods, err := n.Pods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	running := map[string]string{}
	for _, pod := range pods {
		for _, c := range pod.Status.ContainerStatuses {
			if c.State.Running != nil {
				running[pod.Namespace+"/"+pod.Name+" "+c.Name] = c.ContainerID
			}
		}
	}
	maps.DeleteFunc(running, func(name, _ string) bool { return strings.Contains(name, "/kubectl-runtime-") })
	return running
}

// TestDiskFullAtDeadline fills the file system of the agent's own directory while the run waits to be confirmed, and kills the
// plugin. The node must roll back all the same: what that needs was reserved.
func TestDiskFullAtDeadline(t *testing.T) {
	const dir, filler = "/var/lib/kubectl-runtime", "/var/lib/kubectl-runtime/e2e-full"
	selfRollback(t, bed.Open(t).Pool(t), fault{
		grows: late, args: []string{"--confirm-timeout", "30s"}, code: -1,
		plant: func(t *testing.T, n *bed.Node) {
			n.Undo(t, "umount "+dir)
			n.Sh(t, "mkdir -p "+dir+"; mount -t tmpfs -o size=512m,mode=0700 e2e "+dir)
		},
		arm: afterStart(target, func(t *testing.T, n *bed.Node, s *bed.Session) {
			n.Undo(t, "rm -f "+filler)
			n.Sh(t, "dd if=/dev/zero of="+filler+" bs=4k 2>/dev/null || true; [ $(df --output=avail "+dir+" | tail -n 1) = 0 ]")
			s.Signal(syscall.SIGKILL)
		}),
		allowed: []photo.Allowance{{Line: regexp.MustCompile(`^ours e2e-full$`), Why: "what fills the disk"}},
	})
}

// TestDriftBeforeConfirm rewrites the kubelet's configuration, as configuration management does, while the run waits to be confirmed. It
// isn't the state after any more: it mustn't be confirmed.
func TestDriftBeforeConfirm(t *testing.T) {
	const drifted = "/var/lib/kubelet/config.yaml"
	pool := bed.Open(t).Pool(t)
	for _, test := range []struct{ name, rewrite string }{
		// Configuration management knows the file as it was before the switch.
		{"AsBefore", "cp -a /root/e2e-before.yaml " + drifted},
		{"Foreign", "echo '# e2e: managed' >>" + drifted},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b, n := bed.Open(t), pool.Worker(t)
			template := agent(n)
			template.Spec.Containers[0].ReadinessProbe.InitialDelaySeconds = 20
			at := prepare(t, b, n, template, func() {})
			known := n.Known(t)
			n.Undo(t, "rm -f /root/e2e-before.yaml")
			n.Sh(t, "cp -a "+drifted+" /root/e2e-before.yaml")

			s := b.Start(t, switchArgs(n, "--confirm-timeout", "60s"))
			afterStart(target, func(t *testing.T, n *bed.Node, _ *bed.Session) { n.Sh(t, test.rewrite) })(t, n)(t, b, s, known)
			if s.Wait(t, patience); s.Code != 3 && s.Code != 4 {
				t.Errorf("exit code %d, want 3 (rolled back) or 4 (stuck)", s.Code)
			}
			s.Says(t, drifted)
			tells(t, s)
			run := ended(t, n, known, 3*time.Minute, v1alpha1.PhaseRolledBack, v1alpha1.PhaseStuck)
			t.Logf("run %s is %s: %s", run.ID, run.Phase, run.Reason)
			n.Sh(t, "systemctl is-active kubelet")
			if run.Phase == v1alpha1.PhaseStuck {
				if !strings.Contains(run.Reason, drifted) {
					t.Errorf("the reason doesn't name %s: %s", drifted, run.Reason)
				}
				n.Sh(t, "cat /root/e2e-before.yaml >"+drifted)
				b.Runtime(t, patience, rollbackArgs(n)...)
				ended(t, n, known, 2*time.Minute, v1alpha1.PhaseRolledBack)
			}
			given(t, b, n, 2*time.Minute)
			unchanged(t, b, n, at.before)
		})
	}
}

// TestAPIServerLongAway takes the plugin and the API server away for a quarter of an hour, in which the node rolls back. Once the API
// server is there again the node must give back what the plugin took. It stands apart: no other test could work meanwhile.
func TestAPIServerLongAway(t *testing.T) {
	minutes := setting(t, "KUBECTL_RUNTIME_E2E_AWAY_MINUTES", 15)
	b := bed.Open(t)
	n := b.Worker(t, 0)
	template := agent(n)
	template.Spec.Containers[0].ReadinessProbe.InitialDelaySeconds = int32(late.Seconds())
	at := prepare(t, b, n, template, func() {})
	known := n.Known(t)
	s := b.Start(t, switchArgs(n, "--confirm-timeout", "30s"))
	back := func() {}
	afterStart(target, func(t *testing.T, _ *bed.Node, s *bed.Session) {
		s.Signal(syscall.SIGKILL)
		back = awayAPIServer(t, b)
	})(t, n)(t, b, s, known)
	s.Wait(t, time.Minute)
	time.Sleep(time.Duration(minutes) * time.Minute)
	run := ended(t, n, known, time.Minute, v1alpha1.PhaseRolledBack)
	t.Logf("run %s is rolled back: %s", run.ID, run.Reason)
	back()
	given(t, b, n, 15*time.Minute) // it pauses for up to ten minutes between two attempts
	unchanged(t, b, n, at.before)
	b.AwaitReady(t, at.namespace, "agent", 1, 2*time.Minute)
}
