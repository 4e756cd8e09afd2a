//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/e2e/photo"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestNothingRemains holds that after every end nothing of the plugin is left but the kept run: no pod, Lease, unit or
// drop-in, and the cordon as it was.
func TestNothingRemains(t *testing.T) {
	t.Run("Success", func(t *testing.T) {
		b := bed.Open(t)
		n := b.Worker(t, 0)
		before, known := n.Photo(t), n.Known(t)
		// What one operator looked at and saved, another applies: exactly that.
		saved := b.Expect(t, 0, patience, "switch", n.Name, "--to", target, "--dry-run=server", "-o", "yaml").Stdout()
		b.Expect(t, 0, patience, "switch", "--plan", file(t, "plan.yaml", saved), "--yes").Says(t, "switched")
		n.On(t, target, time.Minute)
		if run := n.LastRun(t, known); run == nil || run.PlanDigest == "" || !strings.Contains(saved, run.PlanDigest) {
			t.Errorf("run %+v isn't of the plan that was saved", run)
		}
		schedulable(t, n, true)
		nothingOnNode(t, b, n)

		// Somebody cordons the node meanwhile: that isn't ours to undo.
		if err := n.Cordon(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		b.Expect(t, 0, patience, rollbackArgs(n)...)
		n.On(t, bed.Home, time.Minute)
		schedulable(t, n, false)
		nothingOnNode(t, b, n)
		if err := n.Cordon(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		unchanged(t, b, n, before)
	})
	t.Run("DrainBlocked", func(t *testing.T) {
		b := bed.Open(t)
		n := b.Worker(t, 0)
		blocked(t, b, n)
		before := n.Photo(t)
		s := b.Expect(t, 1, patience, switchArgs(n, "--drain-timeout", "5s", "--ignore", neverMoves)...)
		s.Says(t, "blocker")
		tells(t, s)
		unchanged(t, b, n, before)
	})
	t.Run("CordonedBefore", func(t *testing.T) {
		b := bed.Open(t)
		n := b.Worker(t, 0)
		blocked(t, b, n)
		if err := n.Cordon(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		before := n.Photo(t)
		tells(t, b.Expect(t, 1, patience, switchArgs(n, "--drain-timeout", "5s", "--ignore", neverMoves)...))
		schedulable(t, n, false)
		nothingOnNode(t, b, n)
		if err := n.Cordon(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		unchanged(t, b, n, before)
	})
	t.Run("Interrupted", func(t *testing.T) {
		moments, seed := setting(t, "KUBECTL_RUNTIME_E2E_MOMENTS", 6), setting(t, "KUBECTL_RUNTIME_E2E_SEED", int(time.Now().UnixNano()%100000))
		longest := setting(t, "KUBECTL_RUNTIME_E2E_LONGEST_SECONDS", 12)
		t.Logf("interrupting at %d moments, seed %d (KUBECTL_RUNTIME_E2E_SEED)", moments, seed)
		random, pool := rand.New(rand.NewPCG(uint64(seed), 0)), bed.Open(t).Pool(t)
		// One moment in each equal part of a switch: chance alone would leave some parts out.
		for i := range moments {
			part := float64(longest) / float64(moments)
			at := time.Duration((float64(i) + random.Float64()) * part * float64(time.Second)).Round(time.Millisecond)
			t.Run(fmt.Sprintf("After%s", at), func(t *testing.T) {
				t.Parallel()
				interrupted(t, pool, at)
			})
		}
	})
}

// interrupted sends SIGINT to a switch at a moment. However far it was, it must end by itself in one of the two states,
// and say in which.
func interrupted(t *testing.T, pool *bed.Pool, at time.Duration) {
	b := bed.Open(t)
	n := pool.Worker(t)
	before, known := n.Photo(t), n.Known(t)
	s := b.Start(t, switchArgs(n, "--confirm-timeout", "60s"))
	time.Sleep(at)
	phase := "before any run"
	if run := n.LastRun(t, known); run != nil {
		phase = string(run.Phase)
	}
	s.Signal(syscall.SIGINT)
	s.Wait(t, patience)
	run := n.LastRun(t, known)
	switch {
	case s.Code == 0 && (run == nil || run.Phase != v1alpha1.PhaseConfirmed):
		t.Errorf("it says that the switch is done, the node's record says %v", run)
	case s.Code != 0 && s.Code != 130 && s.Code != 3:
		t.Errorf("exit code %d, want 130 (interrupted), 3 (rolled back) or 0 (it was through)", s.Code)
	}
	if s.Code != 0 {
		tells(t, s)
	}
	if run != nil && run.Phase.Open() {
		ended(t, n, known, 2*time.Minute, v1alpha1.PhaseRemoved, v1alpha1.PhaseRolledBack, v1alpha1.PhaseConfirmed)
		run = n.LastRun(t, known)
	}
	end := "nothing begun"
	if run != nil {
		end = string(run.Phase)
	}
	t.Logf("interrupted after %s in phase %s; ended %s later: exit %d, %s", at, phase, max(s.Took-at, 0).Round(time.Second/10), s.Code, end)
	b.NothingOfOurs(t, n, 30*time.Second)
	if run != nil && run.Phase == v1alpha1.PhaseConfirmed {
		n.On(t, target, time.Minute)
		schedulable(t, n, true)
		b.Expect(t, 0, patience, rollbackArgs(n)...)
	}
	unchanged(t, b, n, before)
}

// guards are the files that exist while a run is open alone: they take it to its end when nobody else does.
var guards = regexp.MustCompile(`/kubectl-runtime-[^/]*\.(service|timer|socket|path)$|/00-kubectl-runtime-early\.conf$`)

// nothingOnNode fails when the node or the cluster holds anything of ours but the kept runs, and what a switch wrote to
// stay: the target's configuration and the parking of the runtime that rests.
func nothingOnNode(t *testing.T, b *bed.Bed, n *bed.Node) {
	t.Helper()
	b.NothingOfOurs(t, n, 30*time.Second)
	p := n.Photo(t)
	for _, unit := range p.Keys("our-unit") {
		t.Errorf("%s: unit %s remains", n.Name, unit)
	}
	for _, path := range p.Keys("file") {
		if guards.MatchString(path) {
			t.Errorf("%s: %s remains", n.Name, path)
		}
	}
	for _, exe := range p.Keys("process") {
		if strings.HasPrefix(exe, "/var/lib/kubectl-runtime/") {
			t.Errorf("%s: a process %s remains", n.Name, exe)
		}
	}
	for _, path := range p.Keys("ours") {
		if !photo.Excuses("ours "+path, photo.Kept) {
			t.Errorf("%s: /var/lib/kubectl-runtime/%s remains", n.Name, path)
		}
	}
}

func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
