package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/until"
)

// LockNamespace is where the Leases of all nodes live, whatever namespace our pods are in.
const LockNamespace = "kube-system"

// A node's Lease is finite and short: who died with it is in nobody's way for long.
const (
	lockDuration = 60 * time.Second
	lockRenew    = 15 * time.Second
	// lockQuiet is how long a Lease that looks expired is watched before it is taken over: clocks differ, but a
	// living holder renews within this time.
	lockQuiet = lockRenew + 5*time.Second
)

// cordonedAnnotation on a Lease says that its holder is about to cordon the node, which was schedulable before. Whoever
// takes an expired Lease over inherits the duty to take that back.
const cordonedAnnotation = "kubectl-runtime/cordoned"

// LockName is the name of a node's Lease.
func LockName(node string) string { return manager + "-" + node }

// LockedError says that somebody else works on the node.
type LockedError struct {
	Node   string
	Holder string
	Since  time.Time
	Until  time.Time
}

// Error implements error.
func (e *LockedError) Error() string {
	return fmt.Sprintf("node %s is being worked on by %s since %s; if that program has died, its claim ends at %s", e.Node, e.Holder,
		e.Since.Local().Format(time.DateTime), e.Until.Local().Format(time.TimeOnly))
}

// ErrLockLost says that the Lease is no longer ours.
var ErrLockLost = errors.New("the node's Lease was lost")

// Lock is a node's Lease in our hands.
type Lock struct {
	client kubernetes.Interface
	node   string
	// Inherited is the holder from whom an expired Lease was taken over; empty where there was none.
	Inherited string
	// Cordoned says that an earlier holder cordoned the node and didn't live to take that back.
	Cordoned bool

	mu    sync.Mutex
	lease *coordinationv1.Lease
	stop  context.CancelFunc
	done  chan struct{}
	lost  chan struct{}
	clock func() time.Time
}

// Acquire takes the node's Lease for holder and keeps renewing it until Release. Another one's live Lease is a
// *LockedError. A Lease that looks expired is watched for a while first; waiting is told through report.
func Acquire(ctx context.Context, client kubernetes.Interface, node *corev1.Node, holder string, report func(string)) (*Lock, error) {
	return acquire(ctx, client, node, holder, report, time.Now, lockQuiet)
}

func acquire(ctx context.Context, client kubernetes.Interface, node *corev1.Node, holder string, report func(string), clock func() time.Time, quiet time.Duration) (*Lock, error) {
	l := &Lock{client: client, node: node.Name, done: make(chan struct{}), lost: make(chan struct{}), clock: clock}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	fresh := l.fresh(node, holder)
	lingering, cancel := until.Linger(ctx, lockRenew)
	defer cancel()
	created, err := client.CoordinationV1().Leases(LockNamespace).Create(lingering, fresh, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		created, err = l.takeOver(ctx, lingering, fresh, report, quiet)
	}
	if _, locked := errors.AsType[*LockedError](err); locked {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("taking the Lease of node %s: %w", node.Name, err)
	}
	l.lease = created
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	go l.renew(renewing)
	return l, nil
}

func (l *Lock) fresh(node *corev1.Node, holder string) *coordinationv1.Lease {
	now := metav1.NewMicroTime(l.clock())
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Name: LockName(node.Name), Namespace: LockNamespace,
			Labels: map[string]string{"app.kubernetes.io/managed-by": manager},
			// The Lease goes when the node goes.
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}},
		},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &holder, LeaseDurationSeconds: new(int32(lockDuration / time.Second)), AcquireTime: &now, RenewTime: &now,
		},
	}
}

// takeOver takes a Lease that exists, unless its holder lives. Waiting ends with ctx, what is begun ends with lingering.
func (l *Lock) takeOver(ctx, lingering context.Context, fresh *coordinationv1.Lease, report func(string), quiet time.Duration) (*coordinationv1.Lease, error) {
	leases := l.client.CoordinationV1().Leases(LockNamespace)
	old, err := leases.Get(ctx, fresh.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return leases.Create(lingering, fresh, metav1.CreateOptions{})
	}
	if err != nil {
		return nil, err
	}
	state := Read(old, l.clock())
	if state.Live {
		return nil, &LockedError{Node: l.node, Holder: state.Holder, Since: state.Since, Until: state.Until}
	}
	if state.Holder != "" {
		report(fmt.Sprintf("node %s was left by %s, whose Lease ended at %s; waiting %s for a sign of life", l.node, state.Holder,
			state.Until.Local().Format(time.TimeOnly), quiet))
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(quiet):
		}
	}
	l.Inherited, l.Cordoned = state.Holder, old.Annotations[cordonedAnnotation] != ""
	take := old.DeepCopy()
	take.OwnerReferences, take.Labels = fresh.OwnerReferences, fresh.Labels
	take.Spec = fresh.Spec
	now := metav1.NewMicroTime(l.clock())
	take.Spec.AcquireTime, take.Spec.RenewTime = &now, &now
	// The resource version is that of the first look: a holder that renewed meanwhile lives, and wins.
	took, err := leases.Update(lingering, take, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil, &LockedError{Node: l.node, Holder: state.Holder, Since: state.Since, Until: state.Until}
	}
	return took, err
}

// Lost is closed when the Lease is no longer ours.
func (l *Lock) Lost() <-chan struct{} { return l.lost }

// renew keeps the Lease alive. An API server that is away is asked again; a Lease that somebody else holds is lost.
func (l *Lock) renew(ctx context.Context) {
	defer close(l.done)
	tick := time.NewTicker(lockRenew)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := l.update(ctx, func(lease *coordinationv1.Lease) {
			now := metav1.NewMicroTime(l.clock())
			lease.Spec.RenewTime = &now
		})
		if errors.Is(err, ErrLockLost) {
			close(l.lost)
			return
		}
	}
}

// update changes our Lease. A Lease that vanished or has another holder is ErrLockLost.
func (l *Lock) update(ctx context.Context, change func(*coordinationv1.Lease)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, lockRenew)
	defer cancel()
	leases := l.client.CoordinationV1().Leases(LockNamespace)
	for {
		next := l.lease.DeepCopy()
		change(next)
		got, err := leases.Update(ctx, next, metav1.UpdateOptions{})
		switch {
		case err == nil:
			l.lease = got
			return nil
		case apierrors.IsNotFound(err):
			return ErrLockLost
		case !apierrors.IsConflict(err):
			return err
		}
		if err := l.reread(ctx); err != nil {
			return err
		}
	}
}

// reread looks at the Lease after a conflict: a change of ours whose answer was lost conflicts with itself. One that
// isn't ours any more is ErrLockLost.
func (l *Lock) reread(ctx context.Context) error {
	now, err := l.client.CoordinationV1().Leases(LockNamespace).Get(ctx, l.lease.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) || err == nil && (now.UID != l.lease.UID || holderOf(now) != holderOf(l.lease)):
		return ErrLockLost
	case err != nil:
		return err
	}
	l.lease = now
	return nil
}

// NoteCordon writes down that the node is about to be cordoned by us, or no longer is.
func (l *Lock) NoteCordon(ctx context.Context, cordoned bool) error {
	err := l.update(ctx, func(lease *coordinationv1.Lease) {
		if !cordoned {
			delete(lease.Annotations, cordonedAnnotation)
			return
		}
		if lease.Annotations == nil {
			lease.Annotations = map[string]string{}
		}
		lease.Annotations[cordonedAnnotation] = "true"
	})
	if err != nil {
		return fmt.Errorf("noting the cordon in the Lease of node %s: %w", l.node, err)
	}
	return nil
}

// Release stops renewing and deletes the Lease if it is still ours.
func (l *Lock) Release(ctx context.Context) error {
	l.stop()
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.remove(ctx); err != nil {
		return fmt.Errorf("deleting the Lease of node %s (it ends by itself within %s): %w", l.node, lockDuration, err)
	}
	return nil
}

func (l *Lock) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lockRenew)
	defer cancel()
	for {
		err := until.Try(ctx, func(ctx context.Context) error {
			return l.client.CoordinationV1().Leases(LockNamespace).Delete(ctx, l.lease.Name, metav1.DeleteOptions{
				Preconditions: &metav1.Preconditions{UID: &l.lease.UID, ResourceVersion: &l.lease.ResourceVersion},
			})
		})
		if apierrors.IsConflict(err) {
			err = l.reread(ctx)
			if err == nil {
				continue
			}
		}
		if apierrors.IsNotFound(err) || errors.Is(err, ErrLockLost) {
			return nil // gone, or somebody else's by now
		}
		return err
	}
}

// LockState is what a node's Lease says.
type LockState struct {
	Holder string
	Since  time.Time
	Until  time.Time
	// Live: not expired at the time of asking.
	Live bool
}

// Read says what a Lease says at that time.
func Read(lease *coordinationv1.Lease, now time.Time) LockState {
	s := LockState{Holder: holderOf(lease)}
	if t := lease.Spec.AcquireTime; t != nil {
		s.Since = t.Time
	}
	if t := lease.Spec.RenewTime; t != nil {
		d := lockDuration
		if n := lease.Spec.LeaseDurationSeconds; n != nil {
			d = time.Duration(*n) * time.Second
		}
		s.Until = t.Add(d)
	}
	s.Live = s.Holder != "" && now.Before(s.Until)
	return s
}

// Locks reads who works on which node; expired Leases are left out.
func Locks(ctx context.Context, client kubernetes.Interface) (map[string]LockState, error) {
	list, err := client.CoordinationV1().Leases(LockNamespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=" + manager})
	if err != nil {
		return nil, fmt.Errorf("listing the nodes' Leases: %w", err)
	}
	out := map[string]LockState{}
	for i := range list.Items {
		node, ours := strings.CutPrefix(list.Items[i].Name, manager+"-")
		if s := Read(&list.Items[i], time.Now()); ours && s.Live {
			out[node] = s
		}
	}
	return out, nil
}

func holderOf(lease *coordinationv1.Lease) string {
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}
