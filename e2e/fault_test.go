//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/e2e/photo"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// fault is one way to break a switch.
type fault struct {
	// to is where the switch is to lead; empty: target.
	to string
	// plant breaks something before the run, so that it is part of the first photograph; heal is registered before it,
	// so that it runs after the plant is taken away.
	plant, heal func(t *testing.T, n *bed.Node)
	// grows is a pod of the node's DaemonSet that is slower than usual to be Ready.
	grows time.Duration
	// sockets says that this pod mounts the sockets of all runtimes.
	sockets bool
	args    []string
	// arm prepares what breaks something while the run is under way, and act does it.
	arm func(t *testing.T, n *bed.Node) (act func(t *testing.T, b *bed.Bed, s *bed.Session, known []v1alpha1.Run))
	// ends are the phases in which the run may end; none: rolled back. A run that is kept is taken back by a rollback.
	ends []v1alpha1.Phase
	// code is the plugin's exit code; anyCode where that is left to chance.
	code    int
	allowed []photo.Allowance
}

const anyCode = -2

// site is a worker that is ready to be broken: a pod of a DaemonSet runs on it, and it was photographed.
type site struct {
	n         *bed.Node
	namespace string
	before    *photo.Photo
}

// agent is the pod of a site's DaemonSet.
func agent(n *bed.Node) corev1.PodTemplateSpec {
	return bed.Pin(bed.Web("agent", bed.ImagePrivate, corev1.PullIfNotPresent, bed.PullSecret), n.Name)
}

// prepare makes a site of a worker.
func prepare(t *testing.T, b *bed.Bed, n *bed.Node, agent corev1.PodTemplateSpec, plant func()) site {
	t.Helper()
	s := site{n: n, namespace: b.Namespace(t, nil)}
	b.DaemonSet(t, s.namespace, agent)
	plant()
	s.before = n.Photo(t)
	return s
}

// sites are workers that many faults share: each must leave its site as it found it.
type sites chan *site

// newSites makes a site of every worker, whose DaemonSet mounts the sockets of all runtimes.
func newSites(t *testing.T) sites {
	t.Helper()
	b := bed.Open(t)
	workers := b.Workers(t)
	free := make(sites, len(workers))
	for i := range workers {
		n := b.Worker(t, i)
		s := prepare(t, b, n, bed.MountSockets(agent(n)), func() {})
		free <- &s
	}
	return free
}

// take waits for a site that no other test has. One that a test leaves broken is mended for the next.
func (free sites) take(t *testing.T, b *bed.Bed) *site {
	t.Helper()
	s := <-free
	known, began := s.n.Known(t), time.Now()
	t.Cleanup(func() {
		if t.Failed() {
			b.Diagnose(t, s.n, began)
			b.Mend(t, s.n, s.before, known)
		}
		free <- s
	})
	return s
}

// selfRollback breaks a switch of a worker of the pool, which is prepared for it.
func selfRollback(t *testing.T, pool *bed.Pool, f fault) {
	t.Helper()
	t.Parallel()
	b, n := bed.Open(t), pool.Worker(t)
	template := agent(n)
	if f.grows > 0 {
		template.Spec.Containers[0].ReadinessProbe.InitialDelaySeconds = int32(f.grows.Seconds())
	}
	if f.sockets {
		template = bed.MountSockets(template)
	}
	at := prepare(t, b, n, template, func() {
		if f.heal != nil {
			f.heal(t, n)
		}
		if f.plant != nil {
			f.plant(t, n)
		}
	})
	f.on(t, b, &at)
}

// on breaks a switch. The node must end as it was, or as it shall be where the fault allows that: Ready, schedulable as before, its
// pods running, nothing of the plugin left, and nobody does anything.
func (f fault) on(t *testing.T, b *bed.Bed, at *site) {
	t.Helper()
	n, to, excused := at.n, cmp.Or(f.to, target), len(f.allowed) > 0
	if to == "docker" {
		f.allowed = append(slices.Clone(f.allowed), dockerWas...)
	}
	known := n.Known(t)
	act := func(*testing.T, *bed.Bed, *bed.Session, []v1alpha1.Run) {}
	if f.arm != nil {
		act = f.arm(t, n)
	}
	s := b.Start(t, append([]string{"switch", n.Name, "--to", to, "--yes"}, f.args...))
	act(t, b, s, known)
	if s.Wait(t, patience); f.code != anyCode {
		s.Exited(t, f.code)
	}
	// What the node does from here on it does alone.
	ends := f.ends
	if len(ends) == 0 {
		ends = []v1alpha1.Phase{v1alpha1.PhaseRolledBack}
	}
	run := ended(t, n, known, 5*time.Minute, ends...)
	t.Logf("exit %d after %s; run %s is %s: %s", s.Code, s.Took.Round(time.Second/10), run.ID, run.Phase, run.Reason)
	if s.Code > 0 {
		tells(t, s)
	}
	if run.Phase == v1alpha1.PhaseConfirmed {
		n.On(t, to, time.Minute)
		schedulable(t, n, true)
		b.Expect(t, 0, patience, "rollback", n.Name, "--to-run", run.ID, "--yes")
	}
	given(t, b, n, 2*time.Minute)
	unchanged(t, b, n, at.before, f.allowed)
	b.AwaitReady(t, at.namespace, "agent", 1, time.Minute)
	if excused {
		at.before = n.Photo(t) // what was excused this once
	}
	if told := b.Expect(t, 0, time.Minute, "status", n.Name); told.Stdout() == "" {
		t.Error("status says nothing about the node")
	}
}

// given waits for what a node that ended alone gives back at the API server: for a while it waits for the plugin.
func given(t *testing.T, b *bed.Bed, n *bed.Node, timeout time.Duration) {
	t.Helper()
	bed.Must(t, "the node to give back what the plugin took", timeout, func(ctx context.Context) string {
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

// once lays a trap for the moment, and does something while the agent is held there.
func once(m moment, do func(t *testing.T, b *bed.Bed, n *bed.Node, unit string)) func(*testing.T, *bed.Node) func(*testing.T, *bed.Bed, *bed.Session, []v1alpha1.Run) {
	return func(t *testing.T, n *bed.Node) func(*testing.T, *bed.Bed, *bed.Session, []v1alpha1.Run) {
		trap := n.Trap(t, string(m.phase), m.step)
		return func(t *testing.T, b *bed.Bed, s *bed.Session, known []v1alpha1.Run) {
			do(t, b, n, trap.Sprung(t, time.Minute))
		}
	}
}
