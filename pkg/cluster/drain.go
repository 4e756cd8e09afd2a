package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/kubectl/pkg/drain"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/until"
)

// DrainOptions are kubectl drain's own flags, with their meaning there. DaemonSet pods are always left alone.
type DrainOptions struct {
	// Force also deletes pods that no controller would bring back.
	Force bool
	// DeleteEmptyDirData also moves pods whose emptyDir volumes are lost by that.
	DeleteEmptyDirData bool
	// DisableEviction deletes instead of evicting: PodDisruptionBudgets are not asked.
	DisableEviction bool
	// GracePeriod overrides the pods' own; nil leaves them theirs.
	GracePeriod *time.Duration
	// Timeout bounds the whole drain; zero means infinite.
	Timeout time.Duration
	// PodSelector narrows what is moved.
	PodSelector string
	// SkipWaitForDelete leaves pods alone that have been on their way out for longer; 0 waits for all of them.
	SkipWaitForDelete time.Duration
}

const (
	// drainRetry is the pause after a budget said no for the first time, which doubles up to drainPause, kubectl drain's own: where
	// the replacement is Ready within a second nobody need wait for five.
	drainRetry = 500 * time.Millisecond
	drainPause = 5 * time.Second
	// drainParallel bounds the evictions in flight: a node holds a hundred pods and more.
	drainParallel = 16
)

// Drain is what a drain of one node will do.
type Drain struct {
	// Pods will be moved away.
	Pods []corev1.Pod
	// Warnings say what is left alone or lost.
	Warnings string

	helper *drain.Helper
	opts   DrainOptions
	node   string
}

// PlanDrain decides which pods a drain moves. Pods for which ours answers true are neither counted nor moved. Pods that
// the options don't allow to move are an error that names them and the flag; the drain that would follow is returned
// with it.
func PlanDrain(ctx context.Context, client kubernetes.Interface, node string, o DrainOptions, ours func(corev1.Pod) bool) (*Drain, error) {
	d := &Drain{node: node, opts: o, helper: &drain.Helper{
		Ctx: ctx, Client: client, Force: o.Force, DeleteEmptyDirData: o.DeleteEmptyDirData, DisableEviction: o.DisableEviction,
		GracePeriodSeconds: -1, IgnoreAllDaemonSets: true, PodSelector: o.PodSelector, ChunkSize: 500,
		AdditionalFilters: []drain.PodFilter{func(pod corev1.Pod) drain.PodDeleteStatus {
			if ours(pod) {
				return drain.MakePodDeleteStatusSkip()
			}
			return drain.MakePodDeleteStatusOkay()
		}},
		Out: io.Discard, ErrOut: io.Discard,
	}}
	d.helper.SkipWaitForDeleteTimeoutSeconds = int(o.SkipWaitForDelete.Round(time.Second) / time.Second)
	if o.GracePeriod != nil {
		d.helper.GracePeriodSeconds = int(o.GracePeriod.Round(time.Second) / time.Second)
	}
	list, errs := d.helper.GetPodsForDeletion(node)
	if list != nil {
		d.Pods, d.Warnings = list.Pods(), list.Warnings()
	}
	if len(errs) > 0 {
		return d, fmt.Errorf("node %s can't be drained: %w", node, utilerrors.NewAggregate(errs))
	}
	return d, nil
}

// Run moves the pods away and waits, by one watch, until they are gone. A budget that says no is asked again until the
// timeout. report gets one line for every pod that goes or is held back.
func (d *Drain) Run(ctx context.Context, report func(string)) error {
	if len(d.Pods) == 0 {
		return nil
	}
	if limit := d.opts.Timeout; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("not drained within %s", limit))
		defer cancel()
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	d.helper.Ctx = ctx
	version, err := d.evictionVersion(ctx)
	if err != nil {
		return fmt.Errorf("draining node %s: %w", d.node, err)
	}
	var lines sync.Mutex
	say := func(format string, args ...any) {
		lines.Lock()
		defer lines.Unlock()
		report(fmt.Sprintf(format, args...))
	}
	held := &heldBack{why: map[types.UID]string{}}
	var work sync.WaitGroup
	slots := make(chan struct{}, drainParallel)
	for _, pod := range d.Pods {
		work.Go(func() {
			if err := d.evict(ctx, pod, version, slots, held, say); err != nil {
				stop(fmt.Errorf("moving pod %s/%s: %w", pod.Namespace, pod.Name, err))
			}
		})
	}
	err = d.waitGone(ctx, say)
	stop(nil)
	work.Wait()
	if err != nil {
		if text := held.String(); text != "" {
			err = fmt.Errorf("%w; held back: %s", err, text)
		}
		return fmt.Errorf("draining node %s: %w", d.node, err)
	}
	return nil
}

func (d *Drain) evictionVersion(ctx context.Context) (schema.GroupVersion, error) {
	if d.opts.DisableEviction {
		return schema.GroupVersion{}, nil
	}
	var version schema.GroupVersion
	err := until.Try(ctx, func(context.Context) (err error) {
		version, err = drain.CheckEvictionSupport(d.helper.Client)
		return err
	})
	return version, err
}

// evict asks for one pod's end until that is granted. It returns an error only for what asking again won't change.
func (d *Drain) evict(ctx context.Context, pod corev1.Pod, version schema.GroupVersion, slots chan struct{}, held *heldBack, say func(string, ...any)) error {
	if pod.DeletionTimestamp != nil {
		return nil // on its way already
	}
	for pause := drainRetry; ; pause = min(2*pause, drainPause) {
		err := d.ask(ctx, pod, version, slots)
		terminating := apierrors.IsForbidden(err) && apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
		switch {
		case err == nil:
			held.clear(pod.UID)
			say("evicting pod %s/%s", pod.Namespace, pod.Name)
			return nil
		case apierrors.IsNotFound(err), ctx.Err() != nil:
			return nil
		case apierrors.IsTooManyRequests(err):
			if held.note(pod, err) {
				say("pod %s/%s is held back: %v", pod.Namespace, pod.Name, reasonOf(err))
			}
		case terminating, until.Away(err):
		default:
			return err
		}
		select {
		case <-ctx.Done():
			return nil // the wait tells why
		case <-time.After(pause):
		}
	}
}

func (d *Drain) ask(ctx context.Context, pod corev1.Pod, version schema.GroupVersion, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if version.Empty() {
		return d.helper.DeletePod(pod)
	}
	return d.helper.EvictPod(pod, version)
}

// waitGone waits until none of the pods is on the node any more; a pod of the same name elsewhere is another one.
func (d *Drain) waitGone(ctx context.Context, say func(string, ...any)) error {
	left := map[types.UID]corev1.Pod{}
	for _, pod := range d.Pods {
		left[pod.UID] = pod
	}
	src := until.Pods(d.helper.Client, corev1.NamespaceAll, fields.OneTermEqualSelector("spec.nodeName", d.node).String())
	err := until.Set(ctx, src, func(items map[types.UID]*corev1.Pod) (bool, error) {
		for uid, pod := range left {
			switch now := items[uid]; {
			case now == nil:
				delete(left, uid)
				say("pod %s/%s is gone (%d left)", pod.Namespace, pod.Name, len(left))
			case d.overdue(now):
				delete(left, uid)
				say("pod %s/%s doesn't end: not waiting for it (%d left)", pod.Namespace, pod.Name, len(left))
			}
		}
		return len(left) == 0, nil
	})
	if err == nil {
		return nil
	}
	var names []string
	for _, pod := range left {
		names = append(names, pod.Namespace+"/"+pod.Name)
	}
	slices.Sort(names)
	return fmt.Errorf("%w; still there: %s", err, strings.Join(names, ", "))
}

// overdue reports whether a pod has been on its way out for longer than anybody wants to wait. It is asked whenever a pod
// of the node changes.
func (d *Drain) overdue(pod *corev1.Pod) bool {
	limit := d.opts.SkipWaitForDelete
	return limit > 0 && pod.DeletionTimestamp != nil && time.Since(pod.DeletionTimestamp.Time) > limit
}

// heldBack remembers which pods a budget holds back, and why.
type heldBack struct {
	mu  sync.Mutex
	why map[types.UID]string
}

// note reports whether that is news.
func (h *heldBack) note(pod corev1.Pod, err error) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, known := h.why[pod.UID]
	h.why[pod.UID] = fmt.Sprintf("%s/%s (%s)", pod.Namespace, pod.Name, reasonOf(err))
	return !known
}

func (h *heldBack) clear(uid types.UID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.why, uid)
}

func (h *heldBack) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []string
	for _, why := range h.why {
		all = append(all, why)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// reasonOf takes the budget's name out of the API server's answer, where it says so.
func reasonOf(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		if d := status.Status().Details; d != nil {
			for _, c := range d.Causes {
				if c.Message != "" {
					return c.Message
				}
			}
		}
	}
	return err.Error()
}
