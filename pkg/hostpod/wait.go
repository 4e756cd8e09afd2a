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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/until"
)

// StartError says why there is no pod of ours on a node, and what to do.
type StartError struct {
	Node      string
	Namespace string
	Err       error
	// Left is set when the pod could not be deleted again.
	Left error
}

// Error implements error.
func (e *StartError) Error() string {
	text := fmt.Sprintf("starting a pod on node %s: %v", e.Node, e.Err)
	if hint := e.Hint(); hint != "" {
		text += "; " + hint
	}
	if e.Left != nil {
		text += fmt.Sprintf("; it could not be deleted again: %v", e.Left)
	}
	return text
}

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.Err }

// Hint says what to do about it; empty where that isn't known.
func (e *StartError) Hint() string {
	text := e.Err.Error()
	has := func(s string) bool { return strings.Contains(text, s) }
	switch {
	case has("violates PodSecurity"):
		return fmt.Sprintf("namespace %s enforces Pod Security: choose one that allows privileged pods with -n, or: "+
			"kubectl label namespace %[1]s pod-security.kubernetes.io/enforce=privileged --overwrite", e.Namespace)
	case has("PodSecurityPolicy"):
		return "a PodSecurityPolicy forbids privileged pods: choose another namespace with -n"
	case has("exceeded quota"):
		return fmt.Sprintf("the quota of namespace %s is used up: choose another namespace with -n", e.Namespace)
	case has("admission webhook"):
		return fmt.Sprintf("an admission webhook decided that: exempt namespace %s, or choose another with -n", e.Namespace)
	case has("ErrImageNeverPull"):
		return "the node doesn't hold the image any more, or keeps it for pods with a pull secret: name one that you trust, and that it holds or can pull, with --image"
	case has("ErrImagePull"), has("ImagePullBackOff"), has("InvalidImageName"):
		return "name an image that you trust, and that the node holds or can pull, with --image"
	case has("hostPath type check failed"):
		return "the host has no such directory: this system is laid out in a way that isn't known"
	}
	return ""
}

// patience is how long a pod may stand before its events are asked for.
const patience = 4 * time.Second

// waitRunning waits until the container runs. It fails as soon as it is clear that it never will.
func (p *Pod) waitRunning(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, StartTimeout, fmt.Errorf("it doesn't run after %s", StartTimeout))
	defer cancel()
	// Failed mounts show in Events alone. They are looked at when the pod takes longer than one should.
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	go p.suspect(ctx, fail)

	pod, err := p.await(ctx, func(pod *corev1.Pod) (bool, error) { return running(pod), hopeless(pod) })
	if pod != nil {
		p.pod = pod
	}
	if err == nil {
		return nil
	}
	parent := context.WithoutCancel(ctx)
	if notes := p.events(parent); notes != "" && !strings.Contains(err.Error(), notes) {
		return fmt.Errorf("%w; its events: %s", err, notes)
	}
	if state := stateOf(p.pod); state != "" && !strings.Contains(err.Error(), state) {
		return fmt.Errorf("%w; %s", err, state)
	}
	return err
}

// await follows the pod until done. A pod that is deleted meanwhile is ErrGone, one that is changed ErrAltered.
func (p *Pod) await(ctx context.Context, done func(*corev1.Pod) (bool, error)) (*corev1.Pod, error) {
	var last *corev1.Pod
	src := until.Pods(p.client, p.pod.Namespace, until.Named(p.pod.Name))
	src.Patient = p.reached
	src.Known, src.At = []*corev1.Pod{p.pod}, p.pod.ResourceVersion
	err := until.Set(ctx, src, func(items map[types.UID]*corev1.Pod) (bool, error) {
		pod := items[p.pod.UID]
		if pod == nil {
			return false, ErrGone
		}
		if err := altered(p.pod, pod); err != nil {
			return false, err
		}
		last = pod
		return done(pod)
	})
	return last, err
}

// WaitRuntime waits until the pod's container runs under the runtime of that name: its ID says which that is. A pod that
// has ended for good is ErrGone.
func (p *Pod) WaitRuntime(ctx context.Context, scheme string) error {
	_, err := p.await(ctx, func(pod *corev1.Pod) (bool, error) {
		return running(pod) && strings.HasPrefix(statusOf(pod).ContainerID, scheme+"://"), over(pod)
	})
	if err != nil {
		return fmt.Errorf("the pod %s doesn't run under %s: %w", p.pod.Name, scheme, err)
	}
	return nil
}

// suspect asks for the pod's events every now and then and ends the wait when they tell of what can't get better.
func (p *Pod) suspect(ctx context.Context, fail func(error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(patience):
		}
		if notes := p.events(ctx, "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox"); strings.Contains(notes, "hostPath type check failed") {
			fail(errors.New(notes))
			return
		}
	}
}

func running(pod *corev1.Pod) bool {
	s := statusOf(pod)
	return s != nil && s.State.Running != nil && pod.DeletionTimestamp == nil
}

// hopeless is why a pod will never run.
func hopeless(pod *corev1.Pod) error {
	if pod.Status.Phase == corev1.PodFailed {
		return fmt.Errorf("the node refused it: %s", cmp.Or(join(pod.Status.Reason, pod.Status.Message), "no reason given"))
	}
	if err := over(pod); err != nil {
		return err
	}
	s := statusOf(pod)
	if s == nil {
		return nil
	}
	if w := s.State.Waiting; w != nil {
		switch w.Reason {
		case "ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff":
			text := join(w.Reason, w.Message)
			if t := s.LastTerminationState.Terminated; t != nil {
				text = join(text, fmt.Sprintf("it ended with exit code %d %s", t.ExitCode, t.Message))
			}
			return errors.New(text)
		}
	}
	return nil
}

func statusOf(pod *corev1.Pod) *corev1.ContainerStatus {
	i := slices.IndexFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == Container })
	if i < 0 {
		return nil
	}
	return &pod.Status.ContainerStatuses[i]
}

// stateOf says in words where a pod that doesn't run stands.
func stateOf(pod *corev1.Pod) string {
	s := statusOf(pod)
	switch {
	case s == nil:
		return "its node's kubelet hasn't taken it up: is the node Ready?"
	case s.State.Waiting != nil:
		return "it is " + join(s.State.Waiting.Reason, s.State.Waiting.Message)
	}
	return ""
}

func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return strings.TrimSpace(s) == "" }), ": ")
}

// events are the pod's warnings, of these reasons or of all, on one line.
func (p *Pod) events(ctx context.Context, reasons ...string) string {
	ctx, cancel := context.WithTimeout(ctx, shortCall)
	defer cancel()
	list, err := p.client.CoreV1().Events(p.pod.Namespace).List(ctx, metav1.ListOptions{
		FieldSelector: fields.AndSelectors(
			fields.OneTermEqualSelector("involvedObject.uid", string(p.pod.UID)),
			fields.OneTermEqualSelector("type", corev1.EventTypeWarning),
		).String(),
	})
	if err != nil {
		return "" // they would explain; without them the pod's own state must do
	}
	var notes []string
	for _, e := range list.Items {
		if e.InvolvedObject.UID != p.pod.UID || e.Type != corev1.EventTypeWarning {
			continue
		}
		if note := join(e.Reason, e.Message); (len(reasons) == 0 || slices.Contains(reasons, e.Reason)) && !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	return strings.Join(notes, ", ")
}
