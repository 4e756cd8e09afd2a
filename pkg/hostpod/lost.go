package hostpod

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// How a host pod is lost: another one must be started to reach the node.
var (
	// ErrGone says that the pod doesn't exist any more, or has ended for good.
	ErrGone = errors.New("the pod on the node is gone")
	// ErrMute says that the pod runs, and that the runtime can start nothing in it any more.
	ErrMute = errors.New("the host pod lets nobody in")
	// ErrAltered says that the pod is no longer what was asked for: somebody else changed it.
	ErrAltered = errors.New("the host pod was changed")
	// ErrUnheard says that the pod could not be asked for a while, though the API server answers. The pod may be lost; or
	// its node is away, as while its runtime is exchanged.
	ErrUnheard = errors.New("the host pod doesn't answer")
)

const (
	// unheard is after how long ErrUnheard is told.
	unheard = 30 * time.Second
	// unstartedLimit is how often a runtime may fail to start anything in a pod before that counts as mute: one that lost
	// its cgroup runs on, and lets nobody in.
	unstartedLimit = 6
	// askPauses is how many pauses are left between two looks at the pod itself.
	askPauses = 10
)

// failures are what came between two answers of a pod: attempts that leave open whether the question arrived.
type failures struct {
	pod       *Pod
	since     time.Time // the first of them while the API server answered
	unstarted int
	asked     time.Time
}

// add takes a failure in, and returns an error when the pod counts as lost. Failures of different kinds add up: the pod has
// answered to none of them.
func (f *failures) add(ctx context.Context, err error) error {
	if f.since.IsZero() {
		f.since = time.Now()
	}
	if notStarted(err.Error()) {
		f.unstarted++
	}
	if f.asked.IsZero() || time.Since(f.asked) >= askPauses*f.pod.pause {
		f.asked = time.Now()
		answered, lost := f.pod.state(ctx)
		if lost != nil {
			return lost
		}
		if !answered {
			f.since = time.Now()
		}
	}
	switch {
	case f.unstarted >= unstartedLimit:
		return fmt.Errorf("%w: nothing can be started in it any more: %w", ErrMute, err)
	case time.Since(f.since) >= f.pod.patience:
		return fmt.Errorf("%w for %s: %w", ErrUnheard, f.pod.patience, err)
	}
	return nil
}

// notStarted reports whether a runtime failed to start a command in a container: nothing of it ran.
func notStarted(message string) bool {
	return strings.Contains(message, "unable to start container process") || strings.Contains(message, "OCI runtime exec failed") ||
		strings.Contains(message, "cgroup.procs")
}

// state asks the API server for the pod: ErrGone when it doesn't exist or has ended, ErrAltered when it was changed, and whether there was an answer at all.
func (p *Pod) state(ctx context.Context) (answered bool, lost error) {
	ctx, cancel := context.WithTimeout(ctx, shortCall)
	defer cancel()
	pod, err := p.client.CoreV1().Pods(p.pod.Namespace).Get(ctx, p.pod.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return true, ErrGone
	case err != nil:
		return false, nil
	case pod.UID != p.pod.UID:
		return true, ErrGone
	}
	return true, cmp.Or(over(pod), altered(p.pod, pod))
}

// altered returns ErrAltered for a pod whose image is another than it was. It is what can be changed of a pod that runs, and gets the
// pod's rights.
func altered(was, is *corev1.Pod) error {
	for _, c := range was.Spec.Containers {
		i := slices.IndexFunc(is.Spec.Containers, func(x corev1.Container) bool { return x.Name == c.Name })
		if i >= 0 && is.Spec.Containers[i].Image != c.Image {
			return fmt.Errorf("%w: the image of pod %s/%s was %s and is %s, and whoever changed that may have become root on node %s",
				ErrAltered, is.Namespace, is.Name, c.Image, is.Spec.Containers[i].Image, is.Spec.NodeName)
		}
	}
	return nil
}

// over returns ErrGone for a pod that has ended for good, or is about to.
func over(pod *corev1.Pod) error {
	switch {
	case pod.DeletionTimestamp != nil:
		return ErrGone
	case pod.Status.Phase == corev1.PodSucceeded:
		return fmt.Errorf("%w: it ended by itself", ErrGone)
	case pod.Status.Phase == corev1.PodFailed:
		return fmt.Errorf("%w: %s", ErrGone, join(pod.Status.Reason, pod.Status.Message))
	}
	return nil
}
