//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// moment is where in a run the agent is caught: at the progress line of a phase and, in a phase that acts, of a step.
type moment struct {
	phase v1alpha1.Phase
	step  string
}

func (m moment) String() string {
	return strings.TrimSuffix(string(m.phase)+"/"+strings.ReplaceAll(m.step, " ", "-"), "/")
}

// moments are the phases of a run, and converge's acts in those that converge.
func moments() []moment {
	out := []moment{{phase: v1alpha1.PhaseStaging, step: "start the staging instance"}, {phase: v1alpha1.PhaseStaged}}
	for _, step := range []string{
		"check files", "stop kubelet", "evacuate", "stop runtimes", "write files", "reload systemd", "set kernel", "start runtime",
		"wait for the runtime", "start kubelet", "wait for the kubelet",
	} {
		out = append(out, moment{v1alpha1.PhaseApplying, step})
	}
	out = append(out, moment{phase: v1alpha1.PhaseApplied})
	for _, step := range []string{"check files", "evacuate", "write files", "start runtime", "start kubelet"} {
		out = append(out, moment{v1alpha1.PhaseRollingBack, step})
	}
	return out
}

// TestFaults ends the agent in every phase and at each act, in three ways, on the way to two runtimes. The node must end
// as it was or as it shall be, Ready and schedulable, and nobody does anything.
func TestFaults(t *testing.T) {
	for _, to := range []string{"cri-o", "docker"} {
		t.Run(to, func(t *testing.T) {
			free := newSites(t)
			for _, m := range moments() {
				for _, how := range []string{"killed", "stopped", "rebooted"} {
					t.Run(fmt.Sprintf("%s/%s", m, how), func(t *testing.T) {
						t.Parallel()
						b := bed.Open(t)
						caught(to, m, how).on(t, b, free.take(t, b))
					})
				}
			}
		})
	}
}

// caught stops the agent at a moment and does to it what the case says.
func caught(to string, m moment, how string) fault {
	f := fault{
		to: to, args: []string{"--confirm-timeout", "40s"}, code: anyCode,
		ends: []v1alpha1.Phase{v1alpha1.PhaseRolledBack, v1alpha1.PhaseRemoved, v1alpha1.PhaseConfirmed},
	}
	if how == "rebooted" {
		f.allowed = rebooted
	}
	f.arm = func(t *testing.T, n *bed.Node) func(*testing.T, *bed.Bed, *bed.Session, []v1alpha1.Run) {
		if m.phase == v1alpha1.PhaseStaged {
			return whileDrained(t, n, how)
		}
		trap := n.Trap(t, string(m.phase), m.step)
		return func(t *testing.T, _ *bed.Bed, s *bed.Session, known []v1alpha1.Run) {
			if m.phase == v1alpha1.PhaseRollingBack {
				interruptApplied(t, n, s, known)
			}
			unit := trap.Sprung(t, time.Minute)
			strike(t, n, how, "systemctl kill --signal=KILL "+unit, unit)
		}
	}
	return f
}

// interruptApplied interrupts the plugin when the node is changed and not yet proved. The plugin is held from before that: on a busy
// machine the proof may be over before anybody has seen that it began.
func interruptApplied(t *testing.T, n *bed.Node, s *bed.Session, known []v1alpha1.Run) {
	t.Helper()
	ended(t, n, known, patience, v1alpha1.PhaseApplying, v1alpha1.PhaseApplied)
	s.Signal(syscall.SIGSTOP)
	ended(t, n, known, patience, v1alpha1.PhaseApplied)
	s.Signal(syscall.SIGINT)
	s.Signal(syscall.SIGCONT)
}

// whileDrained strikes a node whose run is staged, which a pod that takes its time to end holds there. Of the agent nothing runs then
// but what the plugin asks, and the timer that looks after the run.
func whileDrained(t *testing.T, n *bed.Node, how string) func(*testing.T, *bed.Bed, *bed.Session, []v1alpha1.Run) {
	t.Helper()
	b := bed.Open(t)
	slow := bed.Pin(bed.Web("slow", bed.ImageOpen, corev1.PullIfNotPresent), n.Name)
	slow.Spec.Containers[0].Args = []string{"serve", "-grace", "6s"}
	b.Deploy(t, b.Namespace(t, nil), 1, slow)
	return func(t *testing.T, _ *bed.Bed, _ *bed.Session, known []v1alpha1.Run) {
		ended(t, n, known, patience, v1alpha1.PhaseStaged)
		strike(t, n, how, "pkill --signal KILL --full '^/var/lib/kubectl-runtime/agents/' || true", "kubectl-runtime-recover.timer kubectl-runtime-recover.service")
	}
}

// strike kills, stops units, or cuts the power, as the case says.
func strike(t *testing.T, n *bed.Node, how, kill, units string) {
	t.Helper()
	var err error
	switch how {
	case "killed":
		_, err = n.Run(t.Context(), kill)
	case "stopped":
		_, err = n.Run(t.Context(), "systemctl stop "+units)
	case "rebooted":
		err = n.Reboot(t.Context(), true)
	}
	if err != nil {
		t.Fatal(err)
	}
}
