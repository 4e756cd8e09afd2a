//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/e2e/photo"
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
	out := []moment{{phase: v1alpha1.PhaseStaging, step: "start the staging instance"}}
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
	pool := bed.Open(t).Pool(t)
	for _, to := range []string{"cri-o", "docker"} {
		for _, m := range moments() {
			for _, how := range []string{"killed", "stopped", "rebooted"} {
				t.Run(fmt.Sprintf("%s/%s/%s", to, m, how), func(t *testing.T) {
					t.Parallel()
					caught(t, pool, to, m, how)
				})
			}
		}
	}
}

// caught stops the agent at a moment, does to it what the case says, and holds what must hold in the end.
func caught(t *testing.T, pool *bed.Pool, to string, m moment, how string) {
	b := bed.Open(t)
	n := pool.Worker(t)
	ns := b.Namespace(t, nil)
	b.DaemonSet(t, ns, bed.Pin(bed.Web("agent", bed.ImagePrivate, corev1.PullIfNotPresent, bed.PullSecret), n.Name))
	before, known := n.Photo(t), n.Known(t)
	allowed := []photo.Allowance{}
	if to == "docker" {
		allowed = dockerWas
	}
	if how == "rebooted" {
		allowed = append(allowed, photo.Restarted...)
	}

	trap := n.Trap(t, string(m.phase), m.step)
	s := b.Start(t, []string{"switch", n.Name, "--to", to, "--yes", "--confirm-timeout", "40s"})
	if m.phase == v1alpha1.PhaseRollingBack {
		ended(t, n, known, patience, v1alpha1.PhaseApplied, v1alpha1.PhaseConfirmed)
		s.Signal(syscall.SIGINT)
	}
	unit := trap.Sprung(t, time.Minute)
	var err error
	switch how {
	case "killed":
		_, err = n.Run(t.Context(), "systemctl kill --signal=KILL "+unit)
	case "stopped":
		_, err = n.Run(t.Context(), "systemctl stop "+unit)
	case "rebooted":
		err = n.Reboot(t.Context(), true)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Wait(t, patience)
	run := ended(t, n, known, 3*time.Minute, v1alpha1.PhaseRolledBack, v1alpha1.PhaseRemoved, v1alpha1.PhaseConfirmed)
	t.Logf("%s at %s, to %s: exit %d after %s, run %s %s: %s", how, m, to, s.Code, s.Took.Round(time.Second/10), run.ID, run.Phase, run.Reason)
	if s.Code != 0 {
		tells(t, s)
	}
	if run.Phase == v1alpha1.PhaseConfirmed {
		n.On(t, to, time.Minute)
		schedulable(t, n, true)
		b.Expect(t, 0, patience, "rollback", n.Name, "--to-run", run.ID, "--yes")
	}
	given(t, b, n)
	unchanged(t, b, n, before, allowed)
	b.AwaitReady(t, ns, "agent", 1, time.Minute)
}

// given waits for what a node that ended alone gives back at the API server.
func given(t *testing.T, b *bed.Bed, n *bed.Node) {
	t.Helper()
	bed.Must(t, "the node to give back what the plugin took", 2*time.Minute, func(ctx context.Context) string {
		left, err := b.Ours(ctx, n)
		if err != nil {
			return err.Error()
		}
		if o, err := n.Object(ctx); err != nil {
			return err.Error()
		} else if o.Spec.Unschedulable {
			left = append(left, "the cordon")
		}
		return strings.Join(left, ", ")
	})
}
