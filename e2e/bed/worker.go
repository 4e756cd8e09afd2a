//go:build e2e

package bed

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/photo"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Home is the runtime on which the bed's nodes start and end each test.
const Home = "containerd"

// Worker gives a test the index-th worker: Ready on containerd, schedulable, no run open. When the test ends the node
// must be so again, or is taken there and the test fails: the next one must find what it expects.
func (b *Bed) Worker(t *testing.T, index int) *Node {
	t.Helper()
	n := b.Workers(t)[index]
	started := time.Now()
	if err := Await(t.Context(), 30*time.Second, time.Second, n.unfit); err != nil {
		t.Fatalf("%s isn't fit for a test; an earlier one left it so: %v", n.Name, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			b.Diagnose(t, n, started)
		}
	})
	found, known := n.Photo(t), n.Known(t)
	t.Cleanup(func() { b.Mend(t, n, found, known) })
	return n
}

// Mend fails the test unless the node comes to look as it was found, and repairs it for the next one.
func (b *Bed) Mend(t *testing.T, n *Node, found *photo.Photo, known []v1alpha1.Run) {
	t.Helper()
	ctx, cancel := contextOf(t, 6*time.Minute)
	defer cancel()
	if err := b.settle(ctx, t, n, found, known); err != nil {
		t.Errorf("%s was not left as it was found: %v", n.Name, err)
	}
}

// Pool are workers that tests share which run beside each other, one to each.
type Pool struct {
	bed  *Bed
	free chan int
}

// Pool makes a pool of all workers.
func (b *Bed) Pool(t *testing.T) *Pool {
	t.Helper()
	n := len(b.Workers(t))
	p := &Pool{bed: b, free: make(chan int, n)}
	for i := range n {
		p.free <- i
	}
	return p
}

// Worker waits for a worker that no other test has, and gives it to this one as Bed.Worker does.
func (p *Pool) Worker(t *testing.T) *Node {
	t.Helper()
	i := <-p.free
	t.Cleanup(func() { p.free <- i })
	return p.bed.Worker(t, i)
}

// unfit says what keeps the node from being as every test expects it.
func (n *Node) unfit(ctx context.Context) string {
	if missing := n.missing(ctx, Home); missing != "" {
		return missing
	}
	o, err := n.Object(ctx)
	if err != nil {
		return err.Error()
	}
	if o.Spec.Unschedulable {
		return "it is cordoned"
	}
	run, err := n.OpenRun(ctx)
	switch {
	case err != nil:
		return err.Error()
	case run != nil:
		return fmt.Sprintf("run %s is open (%s)", run.ID, run.Phase)
	}
	return ""
}

// settle waits until the node is fit again and looks as it was found. An open run is given the time to end by itself;
// what is still wrong then is repaired, for the next test's sake, and reported.
func (b *Bed) settle(ctx context.Context, t *testing.T, n *Node, found *photo.Photo, known []v1alpha1.Run) error {
	wait := time.Minute
	if run, err := n.OpenRun(ctx); err == nil && run != nil {
		wait = 3 * time.Minute
	}
	as := func(ctx context.Context) string { return cmp.Or(n.unfit(ctx), n.unlike(ctx, found)) }
	wrong := Await(ctx, wait, time.Second, as)
	if wrong == nil {
		return nil
	}
	o, err := n.Object(ctx)
	if err != nil {
		return err
	}
	if o.Spec.Unschedulable {
		if err := n.Cordon(ctx, false); err != nil {
			return err
		}
	}
	if run := standing(n.since(ctx, known)); run != "" {
		s := b.Start(t, []string{"rollback", n.Name, "--to-run", run, "--yes"}).Wait(t, 3*time.Minute)
		t.Logf("rolled back for the next test:\n%s", s.Transcript())
	}
	if err := Await(ctx, time.Minute, time.Second, as); err != nil {
		return fmt.Errorf("%w; it could not be repaired: %w", wrong, err)
	}
	return fmt.Errorf("%w (repaired)", wrong)
}

// standing is the oldest of runs that was kept and not undone: what was before it is what was found. Empty: there is none.
func standing(runs []v1alpha1.Run) string {
	for _, run := range runs {
		undone := slices.ContainsFunc(runs, func(r v1alpha1.Run) bool { return r.Restores == run.ID && r.Phase == v1alpha1.PhaseConfirmed })
		if run.Phase == v1alpha1.PhaseConfirmed && run.Restores == "" && !undone {
			return run.ID
		}
	}
	return ""
}

// settings are the kinds of lines that the next test depends on. What pods and daemons leave in the packet filter and in
// the network is for the tests to judge: a daemon that ran once may leave its chains for good.
var settings = regexp.MustCompile(`^[-+] (file|unit|unit-file|our-unit) `)

// unlike says how the node's settings differ from what was found.
func (n *Node) unlike(ctx context.Context, found *photo.Photo) string {
	now, err := n.take(ctx)
	if err != nil {
		return err.Error()
	}
	diff := photo.Diff(found, now, slices.Concat(photo.Always, photo.Restarted))
	return strings.Join(slices.DeleteFunc(diff, func(line string) bool { return !settings.MatchString(line) }), "; ")
}

// Photo photographs the node as soon as nothing on it is without an owner; pods that are on their way in or out have
// a minute for it.
func (n *Node) Photo(t *testing.T) *photo.Photo {
	t.Helper()
	var taken *photo.Photo
	Must(t, "a settled photograph of "+n.Name, settling, func(ctx context.Context) string {
		var err error
		if taken, err = n.take(ctx); err != nil {
			return err.Error()
		}
		return strings.Join(taken.Orphans, "; ")
	})
	return taken
}

// settling is how long what a pod held may stay behind it: dockerd removes network namespaces once a minute.
const settling = 90 * time.Second

func (n *Node) take(ctx context.Context) (*photo.Photo, error) {
	pods, err := n.Pods(ctx)
	if err != nil {
		return nil, err
	}
	return photo.Take(ctx, n, pods)
}

// Differences photographs the node once and compares.
func (n *Node) Differences(t *testing.T, before *photo.Photo) []string {
	t.Helper()
	now, err := n.take(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return photo.Diff(before, now, photo.Always)
}

// Same waits until the node is as it was photographed, up to what may differ, and fails with the differences.
func (n *Node) Same(t *testing.T, before *photo.Photo, allowed ...[]photo.Allowance) {
	t.Helper()
	all := photo.Always
	for _, list := range allowed {
		all = append(all, list...)
	}
	var diff []string
	err := Await(t.Context(), settling, time.Second, func(ctx context.Context) string {
		now, err := n.take(ctx)
		if err != nil {
			return err.Error()
		}
		diff = photo.Diff(before, now, all)
		if len(diff) > 0 {
			return fmt.Sprintf("%d differences", len(diff))
		}
		return ""
	})
	if err != nil {
		t.Errorf("%s isn't as it was photographed (%v):\n  %s", n.Name, err, strings.Join(diff, "\n  "))
	}
}

// OurPods are the product's pods on the node.
func (n *Node) OurPods(ctx context.Context) ([]corev1.Pod, error) {
	pods, err := n.Pods(ctx)
	return slices.DeleteFunc(pods, func(pod corev1.Pod) bool {
		return !strings.HasPrefix(pod.Name, "kubectl-runtime-") && pod.Labels["app.kubernetes.io/managed-by"] != "kubectl-runtime"
	}), err
}

// NoneLives waits until no pod of the product lives on the node, fails naming those that do, and deletes those that ended: where no
// run was begun nobody is left who would.
func (b *Bed) NoneLives(t *testing.T, n *Node, timeout time.Duration) {
	t.Helper()
	Must(t, "the end of the product's pods on "+n.Name, timeout, func(ctx context.Context) string {
		pods, err := n.OurPods(ctx)
		if err != nil {
			return err.Error()
		}
		var living []string
		for i := range pods {
			if phase := pods[i].Status.Phase; phase != corev1.PodSucceeded && phase != corev1.PodFailed {
				living = append(living, describePod(&pods[i]))
			}
		}
		return strings.Join(living, "; ")
	})
	pods, err := n.OurPods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods {
		if err := b.Client.CoreV1().Pods(pod.Namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	}
}

// Ours lists what the product left in the cluster for a node: pods, and a Lease that somebody holds.
func (b *Bed) Ours(ctx context.Context, n *Node) ([]string, error) {
	var found []string
	pods, err := n.OurPods(ctx)
	if err != nil {
		return nil, err
	}
	for _, pod := range pods {
		found = append(found, fmt.Sprintf("pod %s/%s", pod.Namespace, pod.Name))
	}
	leases, err := b.Client.CoordinationV1().Leases("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for _, lease := range leases.Items {
		if lease.Name == "kubectl-runtime-"+n.Name && lease.Namespace != "kube-node-lease" {
			expired := lease.Spec.RenewTime == nil || lease.Spec.LeaseDurationSeconds == nil ||
				time.Since(lease.Spec.RenewTime.Time) > time.Duration(*lease.Spec.LeaseDurationSeconds)*time.Second
			if !expired && lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != "" {
				found = append(found, fmt.Sprintf("lease %s/%s held by %s", lease.Namespace, lease.Name, *lease.Spec.HolderIdentity))
			}
		}
	}
	return found, nil
}

// NothingOfOurs waits until no pod and no live Lease of the product is left for the node, and fails naming them.
func (b *Bed) NothingOfOurs(t *testing.T, n *Node, timeout time.Duration) {
	t.Helper()
	err := Await(t.Context(), timeout, 500*time.Millisecond, func(ctx context.Context) string {
		found, err := b.Ours(ctx, n)
		if err != nil {
			return err.Error()
		}
		return strings.Join(found, ", ")
	})
	if err != nil {
		t.Errorf("something of ours remains for %s: %v", n.Name, err)
	}
}

// Since returns the runs on the node that aren't in known, oldest first. A node keeps a few runs only, so there may be
// fewer than there were.
func (n *Node) Since(t *testing.T, known []v1alpha1.Run) []v1alpha1.Run {
	t.Helper()
	n.Known(t)
	return n.since(t.Context(), known)
}

func (n *Node) since(ctx context.Context, known []v1alpha1.Run) []v1alpha1.Run {
	runs, err := n.Runs(ctx)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(runs, func(run v1alpha1.Run) bool {
		return slices.ContainsFunc(known, func(old v1alpha1.Run) bool { return old.ID == run.ID })
	})
}

// LastRun returns the newest run on the node that isn't in known, if there is one.
func (n *Node) LastRun(t *testing.T, known []v1alpha1.Run) *v1alpha1.Run {
	t.Helper()
	runs := n.Since(t, known)
	if len(runs) == 0 {
		return nil
	}
	return &runs[len(runs)-1]
}

// Known are the runs that the node already has.
func (n *Node) Known(t *testing.T) []v1alpha1.Run {
	t.Helper()
	runs, err := n.Runs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return runs
}
