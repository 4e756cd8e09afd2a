//go:build e2e

package e2e

import (
	"context"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/e2e/photo"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestPluginGone kills the plugin before anything is applied. The node must give back what was taken, and no privileged pod may
// outlive its plugin by more than minutes.
func TestPluginGone(t *testing.T) {
	pool := bed.Open(t).Pool(t)
	for _, test := range []struct {
		name string
		gone func(t *testing.T, b *bed.Bed, n *bed.Node) []photo.Allowance
	}{
		{"Reaching", func(t *testing.T, b *bed.Bed, n *bed.Node) []photo.Allowance {
			goneReaching(t, b, n, func() {})
			return nil
		}},
		{"ReachingThenRebooted", func(t *testing.T, b *bed.Bed, n *bed.Node) []photo.Allowance {
			goneReaching(t, b, n, func() {
				if err := n.Reboot(t.Context(), false); err != nil {
					t.Fatal(err)
				}
			})
			return rebooted
		}},
		{"Staging", goneStaging},
		{"Draining", goneDraining},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b, n := bed.Open(t), pool.Worker(t)
			before := n.Photo(t)
			allowed := test.gone(t, b, n)
			given(t, b, n, 5*time.Minute)
			unchanged(t, b, n, before, allowed)
		})
	}
}

// goneReaching kills the plugin when its pod runs and no run was begun.
func goneReaching(t *testing.T, b *bed.Bed, n *bed.Node, then func()) {
	t.Helper()
	known := n.Known(t)
	s := b.Start(t, switchArgs(n))
	err := bed.Await(t.Context(), time.Minute, 20*time.Millisecond, func(ctx context.Context) string {
		pods, err := n.OurPods(ctx)
		switch {
		case err != nil:
			return err.Error()
		case len(pods) == 0 || pods[0].Status.Phase != corev1.PodRunning:
			return "it doesn't run"
		}
		return ""
	})
	if err != nil {
		t.Fatalf("waiting for the plugin's pod: %v", err)
	}
	s.Signal(syscall.SIGKILL)
	s.Wait(t, time.Minute)
	if run := n.LastRun(t, known); run != nil {
		t.Fatalf("the plugin was killed too late: run %s is %s", run.ID, run.Phase)
	}
	then()
	b.NoneLives(t, n, 4*time.Minute)
}

// goneStaging kills the plugin while the staging instance starts.
func goneStaging(t *testing.T, b *bed.Bed, n *bed.Node) []photo.Allowance {
	t.Helper()
	known := n.Known(t)
	trap := n.Trap(t, string(v1alpha1.PhaseStaging), "start the staging instance")
	s := b.Start(t, switchArgs(n))
	unit := trap.Sprung(t, time.Minute)
	s.Signal(syscall.SIGKILL)
	n.Sh(t, "systemctl kill --signal=CONT "+unit)
	s.Wait(t, time.Minute)
	run := ended(t, n, known, 5*time.Minute, v1alpha1.PhaseRemoved)
	t.Logf("run %s is removed: %s", run.ID, run.Reason)
	return nil
}

// goneDraining kills the plugin in its drain, which a budget holds.
func goneDraining(t *testing.T, b *bed.Bed, n *bed.Node) []photo.Allowance {
	t.Helper()
	blocked(t, b, n)
	known := n.Known(t)
	s := b.Start(t, switchArgs(n, "--drain-timeout", "20m", "--ignore", neverMoves))
	ended(t, n, known, patience, v1alpha1.PhaseStaged)
	schedulable(t, n, false)
	time.Sleep(2 * time.Second)
	s.Signal(syscall.SIGKILL)
	s.Wait(t, time.Minute)
	run := ended(t, n, known, 5*time.Minute, v1alpha1.PhaseRemoved)
	t.Logf("run %s is removed: %s", run.ID, run.Reason)
	return nil
}

// TestAgentKilledInStaging kills the agent while it stages, on nodes that each runtime serves. The node removes the run, its agent with
// it; on some hosts no exec into the host pod succeeds then. The plugin must end within two minutes and say in which state the node is.
func TestAgentKilledInStaging(t *testing.T) {
	pool := bed.Open(t).Pool(t)
	for from, to := range map[string]string{bed.Home: "cri-o", "cri-o": bed.Home, "docker": "cri-o"} {
		t.Run("On-"+from, func(t *testing.T) {
			t.Parallel()
			b, n := bed.Open(t), pool.Worker(t)
			home := n.Photo(t)
			leave := away(t, b, n, from)
			before, known := n.Photo(t), n.Known(t)
			trap := n.Trap(t, string(v1alpha1.PhaseStaging), "start the staging instance")
			s := b.Start(t, []string{"switch", n.Name, "--to", to, "--yes"})
			n.Sh(t, "systemctl kill --signal=KILL "+trap.Sprung(t, time.Minute))
			killed := time.Now()
			s.Wait(t, patience)
			if took := time.Since(killed); took > 2*time.Minute {
				t.Errorf("the plugin ended %s after the agent was killed, want two minutes at most", took.Round(time.Second))
			}
			if s.Code == 0 {
				t.Error("it says that the switch is done")
			}
			tells(t, s)
			run := ended(t, n, known, 3*time.Minute, v1alpha1.PhaseRemoved)
			t.Logf("exit %d %s after the kill; run %s is removed: %s", s.Code, time.Since(killed).Round(time.Second), run.ID, run.Reason)
			given(t, b, n, 5*time.Minute)
			n.On(t, from, time.Minute)
			n.Same(t, before, photo.Kept, dockerWas)
			leave()
			unchanged(t, b, n, home, dockerWas)
		})
	}
}

// away takes a node to a runtime, and returns what rolls that back.
func away(t *testing.T, b *bed.Bed, n *bed.Node, to string) (back func()) {
	t.Helper()
	if to == bed.Home {
		return func() {}
	}
	known := n.Known(t)
	b.Expect(t, 0, patience, "switch", n.Name, "--to", to, "--yes")
	n.On(t, to, time.Minute)
	run := n.LastRun(t, known)
	if run == nil {
		t.Fatal("the switch left no run")
	}
	return func() {
		b.Expect(t, 0, patience, "rollback", n.Name, "--to-run", run.ID, "--yes")
		n.On(t, bed.Home, time.Minute)
	}
}
