//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/e2e/photo"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// anyEnd are the ends of a run that a fault may not keep from being kept.
var anyEnd = []v1alpha1.Phase{v1alpha1.PhaseRolledBack, v1alpha1.PhaseRemoved, v1alpha1.PhaseConfirmed}

// TestDamage breaks what a switch depends on: the kubelet, the runtimes, the disk, the API server, and its own pod.
func TestDamage(t *testing.T) {
	pool := bed.Open(t).Pool(t)
	confirm := []string{"--confirm-timeout", "40s"}
	for _, d := range []struct {
		name  string
		fault fault
	}{
		{"KubeletWontStart", fault{
			plant: func(t *testing.T, n *bed.Node) {
				dropIn("kubelet.service", `ExecStartPre=/bin/sh -c "! grep -q crio.sock /var/lib/kubelet/config.yaml"`)(t, n)
				n.Sh(t, "systemctl restart kubelet") // a kubelet older than its configuration would be a reason to refuse
				n.On(t, bed.Home, time.Minute)
			},
			heal: func(t *testing.T, n *bed.Node) { n.Undo(t, "systemctl daemon-reload; systemctl restart kubelet") },
			args: confirm, code: 3,
		}},
		{"TargetDiesLater", fault{
			// The DaemonSet's pod is Ready only after that, so the proof is still under way.
			plant: dropIn("crio.service", "Restart=no\n"+`ExecStartPost=/bin/sh -c "systemd-run --quiet --collect --on-active=30 --timer-property=AccuracySec=1s systemctl kill --signal=KILL crio.service"`),
			heal:  reload, grows: 45 * time.Second, args: []string{"--confirm-timeout", "70s"}, code: 3,
		}},
		{"CgroupDriverWrong", fault{
			// In a file it would be seen, and refused.
			plant: dropIn("crio.service", "Environment=CONTAINER_CGROUP_MANAGER=cgroupfs CONTAINER_CONMON_CGROUP=pod"),
			heal:  reload, args: confirm, code: anyCode, ends: anyEnd,
		}},
		{"SandboxImageMissing", fault{
			to: "docker", args: confirm, code: 3,
			arm: once(moment{v1alpha1.PhaseApplying, "start kubelet"}, func(t *testing.T, _ *bed.Bed, n *bed.Node, unit string) {
				n.Sh(t, "docker image ls --format '{{.Repository}}:{{.Tag}}' | grep /pause: | xargs -r docker image rm --force >/dev/null; systemctl kill --signal=CONT "+unit)
			}),
		}},
		{"OldRuntimeHangsInEvacuation", fault{
			args: confirm, code: anyCode, ends: anyEnd,
			arm: once(moment{v1alpha1.PhaseApplying, "stop kubelet"}, func(t *testing.T, _ *bed.Bed, n *bed.Node, unit string) {
				n.Sh(t, "kill -STOP $(pidof containerd); systemctl kill --signal=CONT "+unit)
			}),
		}},
		{"NewRuntimeDeadInRollback", fault{
			args: confirm, code: anyCode,
			arm: func(t *testing.T, n *bed.Node) func(*testing.T, *bed.Bed, *bed.Session, []v1alpha1.Run) {
				trap := n.Trap(t, string(v1alpha1.PhaseRollingBack), "check files")
				return func(t *testing.T, _ *bed.Bed, s *bed.Session, known []v1alpha1.Run) {
					interruptApplied(t, n, s, known)
					n.Sh(t, "kill -STOP $(pidof crio); systemctl kill --signal=CONT "+trap.Sprung(t, time.Minute))
				}
			},
		}},
		{"DiskFull", fault{
			plant: func(t *testing.T, n *bed.Node) {
				const dir = "/etc/crio/crio.conf.d"
				n.Undo(t, "umount "+dir)
				n.Sh(t, "cp -a "+dir+" /root/e2e-conf.d; mount -t tmpfs -o size=64k e2e "+dir+"; cp -a /root/e2e-conf.d/. "+dir+"; rm -r /root/e2e-conf.d")
			},
			// The room is there when the plan is made.
			arm: once(moment{v1alpha1.PhaseApplying, "check files"}, func(t *testing.T, _ *bed.Bed, n *bed.Node, unit string) {
				n.Undo(t, "rm -f /etc/crio/crio.conf.d/.e2e-full")
				n.Sh(t, "dd if=/dev/zero of=/etc/crio/crio.conf.d/.e2e-full bs=1k 2>/dev/null || true; systemctl kill --signal=CONT "+unit)
			}),
			args: confirm, code: 3, allowed: []photo.Allowance{{Line: regexp.MustCompile(`^file /etc/crio/crio.conf.d/.e2e-full`), Why: "what fills the disk"}},
		}},
		{"HostPodDeleted", fault{
			args: []string{"--confirm-timeout", "60s"}, code: anyCode, ends: anyEnd,
			arm: once(moment{phase: v1alpha1.PhaseApplied}, func(t *testing.T, b *bed.Bed, n *bed.Node, unit string) {
				ours := metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=kubectl-runtime", FieldSelector: "spec.nodeName=" + n.Name}
				if err := b.Client.CoreV1().Pods("kube-system").DeleteCollection(t.Context(), metav1.DeleteOptions{}, ours); err != nil {
					t.Fatal(err)
				}
				n.Sh(t, "systemctl kill --signal=CONT "+unit)
			}),
		}},
	} {
		t.Run(d.name, func(t *testing.T) { selfRollback(t, pool, d.fault) })
	}
}

// TestAPIServerAway takes the API server away for a minute while the node changes. It stands apart: nobody else could
// work meanwhile.
func TestAPIServerAway(t *testing.T) {
	b := bed.Open(t)
	t.Run("WhileApplying", func(t *testing.T) {
		selfRollback(t, b.Pool(t), fault{
			args: []string{"--confirm-timeout", "2m"}, code: anyCode, ends: anyEnd,
			arm: once(moment{v1alpha1.PhaseApplying, "stop kubelet"}, func(t *testing.T, b *bed.Bed, n *bed.Node, unit string) {
				back := awayAPIServer(t, b)
				n.Sh(t, "systemctl kill --signal=CONT "+unit)
				time.Sleep(time.Minute)
				back()
			}),
		})
	})
}

// awayAPIServer pauses the control plane until it is asked back, or the test ends.
func awayAPIServer(t *testing.T, b *bed.Bed) (back func()) {
	t.Helper()
	plane := b.ControlPlane(t).Name
	engine := func(verb string) {
		if out, err := exec.CommandContext(context.WithoutCancel(t.Context()), b.Docker, verb, plane).CombinedOutput(); err != nil {
			t.Errorf("docker %s %s: %v: %s", verb, plane, err, out)
		}
	}
	back = sync.OnceFunc(func() { engine("unpause") })
	engine("pause")
	t.Cleanup(back)
	return back
}

// TestClockJumps sets the clock an hour ahead while the node changes, and back again while it is proved. Nodes share the clock of the
// machine that the test runs on, so it must be asked for.
func TestClockJumps(t *testing.T) {
	if os.Getenv("KUBECTL_RUNTIME_E2E_CLOCK") == "" {
		t.Skip("sets this machine's clock: only with KUBECTL_RUNTIME_E2E_CLOCK=1")
	}
	b := bed.Open(t)
	t.Run("AnHourAheadAndBack", func(t *testing.T) {
		selfRollback(t, b.Pool(t), fault{
			args: []string{"--confirm-timeout", "60s"}, code: 0, ends: []v1alpha1.Phase{v1alpha1.PhaseConfirmed},
			arm: once(moment{v1alpha1.PhaseApplying, "stop kubelet"}, func(t *testing.T, _ *bed.Bed, n *bed.Node, unit string) {
				began := time.Now()
				set := func(to time.Time) {
					if _, err := n.Run(context.WithoutCancel(t.Context()), fmt.Sprintf("date --set=@%.3f >/dev/null", float64(to.UnixMilli())/1000)); err != nil {
						t.Error(err)
					}
				}
				// What has passed since is told by the clock that nobody sets.
				now := func() time.Time { return began.Add(time.Since(began)) }
				back := make(chan struct{})
				t.Cleanup(func() { <-back })
				set(now().Add(time.Hour))
				go func() {
					defer close(back)
					time.Sleep(12 * time.Second)
					set(now())
				}()
				n.Sh(t, "systemctl kill --signal=CONT "+unit)
			}),
		})
	})
}

// TestTenOperators starts ten switches of one node at once: one goes through, and nine are told who is at it since when.
func TestTenOperators(t *testing.T) {
	b := bed.Open(t)
	n := b.Worker(t, 0)
	ns := b.Namespace(t, nil)
	b.DaemonSet(t, ns, bed.Pin(bed.Web("agent", bed.ImagePrivate, corev1.PullIfNotPresent, bed.PullSecret), n.Name))
	before := n.Photo(t)
	var all []*bed.Session
	for range 10 {
		all = append(all, b.Start(t, switchArgs(n)))
	}
	switched, told := 0, 0
	for _, s := range all {
		switch s.Wait(t, patience); {
		case s.Code == 0 && strings.Contains(s.Output(), "switched"):
			switched++
		case s.Code == 1 && strings.Contains(s.Output(), "@") && strings.Contains(s.Output(), "since"):
			told++
		default:
			t.Errorf("one ended with %d:\n%s", s.Code, s.Transcript())
		}
	}
	if switched != 1 || told != 9 {
		t.Errorf("%d switched and %d were told who is at it, want 1 and 9", switched, told)
	}
	n.On(t, target, time.Minute)
	b.Expect(t, 0, patience, rollbackArgs(n)...)
	unchanged(t, b, n, before)
}

// dropIn plants lines in a service, as an operator's drop-in.
func dropIn(unit, lines string) func(t *testing.T, n *bed.Node) {
	return func(t *testing.T, n *bed.Node) {
		n.Undo(t, "systemctl reset-failed "+unit+" 2>/dev/null || true")
		n.Write(t, "/etc/systemd/system/"+unit+".d/50-e2e.conf", "[Service]\n"+lines+"\n")
		n.Sh(t, "systemctl daemon-reload")
	}
}

func reload(t *testing.T, n *bed.Node) { n.Undo(t, "systemctl daemon-reload") }
