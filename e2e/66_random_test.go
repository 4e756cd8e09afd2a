//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/e2e/photo"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestRandomFaults disturbs switches between random runtimes, by random faults at random moments. Whatever it is, the node must end on its
// own in exactly the state before or exactly the state after: Ready, schedulable as before, with nothing of the plugin left.
//
// Everything is drawn from KUBECTL_RUNTIME_E2E_SEED, by default the clock, and the number of the trial, of which there are
// KUBECTL_RUNTIME_E2E_TRIALS; KUBECTL_RUNTIME_E2E_TRIAL runs one of them alone.
func TestRandomFaults(t *testing.T) {
	seed, trials := setting(t, "KUBECTL_RUNTIME_E2E_SEED", int(time.Now().UnixNano()%1_000_000)), setting(t, "KUBECTL_RUNTIME_E2E_TRIALS", 60)
	first := 1
	if one := setting(t, "KUBECTL_RUNTIME_E2E_TRIAL", 0); one != 0 {
		first, trials = one, one
	}
	t.Logf("trials %d to %d of seed %d (KUBECTL_RUNTIME_E2E_SEED)", first, trials, seed)
	free := newSites(t)
	walks := map[string]map[string]*walk{}
	for _, n := range bed.Open(t).Workers(t) {
		walks[n.Name] = map[string]*walk{}
	}
	var well atomic.Int32
	t.Run("Trials", func(t *testing.T) {
		for number := first; number <= trials; number++ {
			tr := draw(seed, number)
			t.Run(fmt.Sprintf("%03d-%s-to-%s", number, tr.from, tr.to), func(t *testing.T) {
				t.Parallel()
				b := bed.Open(t)
				at := free.take(t, b)
				if tr.run(t, b, at, walks[at.n.Name]) {
					well.Add(1)
				}
			})
		}
	})
	t.Logf("%d of %d trials of seed %d ended well", well.Load(), trials-first+1, seed)
}

// walk is an undisturbed switch from one runtime to another: how long it takes on a node, and how the node looks then.
type walk struct {
	took  time.Duration
	after *photo.Photo
}

// run takes the node to where the trial starts, strikes, and judges.
func (tr trial) run(t *testing.T, b *bed.Bed, at *site, walks map[string]*walk) (well bool) {
	n, began := at.n, time.Now()
	how, end := tr.describe(0), "it didn't come to its end"
	t.Cleanup(func() {
		verdict := "ok"
		if t.Failed() {
			verdict = "FAILED"
		}
		t.Logf("trial %d of seed %d on %s: %s: %s: %s, after %s", tr.number, tr.seed, n.Name, verdict, how, end, time.Since(began).Round(time.Second))
	})
	leave := away(t, b, n, tr.from)
	before := n.Photo(t)
	undisturbed := walks[tr.to+" from "+tr.from]
	if undisturbed == nil {
		undisturbed = walked(t, b, n, tr.from, tr.to)
		n.Same(t, before, photo.Kept, dockerWas)
		walks[tr.to+" from "+tr.from] = undisturbed
		before = n.Photo(t) // Docker leaves something behind wherever it runs for the first time
	}
	how = tr.describe(undisturbed.took)
	if err := n.Cordon(t.Context(), tr.cordoned); err != nil {
		t.Fatal(err)
	}
	known := n.Known(t)

	s := b.Start(t, []string{"switch", n.Name, "--to", tr.to, "--yes", "--confirm-timeout", "60s"})
	tr.strike(t, &victim{b, n, s, tr.to, tr.cut}, undisturbed.took)
	s.Wait(t, patience)
	struck := time.Now()
	run := settled(t, n, known)
	phase := v1alpha1.Phase("no run")
	if run != nil {
		phase = run.Phase
	}
	end = fmt.Sprintf("exit %d, %s", s.Code, phase)
	if kept := phase == v1alpha1.PhaseConfirmed; s.Code == 0 && !kept || s.Code == 3 && phase != v1alpha1.PhaseRolledBack {
		t.Errorf("the plugin ended with %d, the node's run is %s", s.Code, phase)
	}
	if s.Code > 0 {
		tells(t, s)
	}
	runtime, want := tr.from, before
	if phase == v1alpha1.PhaseConfirmed {
		runtime, want = tr.to, undisturbed.after
	}
	n.On(t, runtime, 3*time.Minute)
	tr.givenBack(t, b, n, run != nil, max(5*time.Minute-time.Since(struck), 30*time.Second))
	bed.Must(t, "the end of the node's own guard", max(5*time.Minute-time.Since(struck), 30*time.Second), func(ctx context.Context) string {
		out, err := n.Run(ctx, "ls -d /etc/systemd/system/kubectl-runtime-* /var/lib/kubectl-runtime/guard.json 2>/dev/null || true")
		if err != nil {
			return err.Error()
		}
		return strings.Join(strings.Fields(string(out)), ", ")
	})
	if slices.ContainsFunc(tr.blows, func(b blow) bool { return b.name == daemonKilled }) {
		if left := n.Sh(t, forgotten); left != "" {
			t.Logf("what the killed daemon forgot: %s", strings.Join(strings.Fields(left), ", "))
		}
	}
	nothingOnNode(t, b, n)
	n.Same(t, want, photo.Kept, dockerWas, photo.Restarted)
	b.AwaitReady(t, at.namespace, "agent", 1, time.Minute)

	if err := n.Cordon(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if phase == v1alpha1.PhaseConfirmed {
		b.Expect(t, 0, patience, "rollback", n.Name, "--to-run", run.ID, "--yes")
		n.On(t, tr.from, time.Minute)
		n.Same(t, before, photo.Kept, dockerWas, photo.Restarted)
	}
	leave()
	unchanged(t, b, n, at.before, dockerWas, photo.Restarted)
	at.before = n.Photo(t)
	return !t.Failed()
}

// walked makes an undisturbed switch and rolls it back.
func walked(t *testing.T, b *bed.Bed, n *bed.Node, from, to string) *walk {
	t.Helper()
	known := n.Known(t)
	s := b.Expect(t, 0, patience, "switch", n.Name, "--to", to, "--yes")
	n.On(t, to, time.Minute)
	w := &walk{s.Took, n.Photo(t)}
	run := n.LastRun(t, known)
	if run == nil {
		t.Fatal("the switch left no run")
	}
	b.Expect(t, 0, patience, "rollback", n.Name, "--to-run", run.ID, "--yes")
	n.On(t, from, time.Minute)
	return w
}

// settled waits until no run on the node is open any more, and returns the one that isn't in known, if there is one.
func settled(t *testing.T, n *bed.Node, known []v1alpha1.Run) *v1alpha1.Run {
	t.Helper()
	bed.Must(t, "the end of the run", 6*time.Minute, func(ctx context.Context) string {
		run, err := n.OpenRun(ctx)
		switch {
		case err != nil:
			return err.Error()
		case run != nil:
			return fmt.Sprintf("run %s is %s: %s", run.ID, run.Phase, run.Reason)
		}
		return ""
	})
	runs := n.Since(t, known)
	runs = slices.DeleteFunc(runs, func(r v1alpha1.Run) bool { return r.Restores != "" })
	if len(runs) == 0 {
		return nil
	}
	return &runs[len(runs)-1]
}

// givenBack holds that nothing of the plugin is left and the node is schedulable as before. Where no run was begun a pod that has ended
// may stand: only the next run would delete it.
func (tr trial) givenBack(t *testing.T, b *bed.Bed, n *bed.Node, begun bool, timeout time.Duration) {
	t.Helper()
	if !begun {
		b.NoneLives(t, n, timeout)
	}
	if !tr.cordoned {
		given(t, b, n, timeout)
	}
	b.NothingOfOurs(t, n, timeout)
	schedulable(t, n, !tr.cordoned)
}
