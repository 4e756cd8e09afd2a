package hostpod

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// ErrGone says that the pod doesn't exist any more, or has ended for good: another one must be started to reach the
// node.
var ErrGone = errors.New("the pod on the node is gone")

// AgentError is an answer of the agent that says that the verb failed.
type AgentError struct {
	Node     string
	Verb     v1alpha1.Verb
	Code     v1alpha1.ErrorCode
	Message  string
	Response v1alpha1.Response
}

// Error implements error.
func (e *AgentError) Error() string {
	return fmt.Sprintf("the agent on node %s answered to %s: %s", e.Node, e.Verb, e.Message)
}

// How long one attempt may take before the connection counts as dead. They bound attempts, not the work: ctx does that.
const (
	shortCall = 20 * time.Second
	longCall  = 2 * time.Minute
)

// Call asks the agent and returns its answer. It asks again after everything that leaves open whether the question
// arrived — the container being started again under another runtime, an API server that is away — until ctx ends or the
// pod is gone (ErrGone), so a verb that starts something may find that it did so already. An answer that carries an
// error is an *AgentError.
func (p *Pod) Call(ctx context.Context, req v1alpha1.Request) (v1alpha1.Response, error) {
	req.APIVersion = v1alpha1.APIVersion
	req.Node = p.Node()
	question, err := json.Marshal(req)
	if err != nil {
		return v1alpha1.Response{}, err
	}
	var answer v1alpha1.Response
	ask := func(ctx context.Context) error {
		answer, err = p.ask(ctx, req.Verb, question)
		return err
	}
	limit := longCall
	if req.Verb == v1alpha1.VerbWatch {
		limit = req.Wait + shortCall
	}
	err = p.retry(ctx, limit, ask)
	var failed *CommandError
	if errors.As(err, &failed) && (failed.Code == 126 || failed.Code == 127) && p.agent.SHA256 != "" {
		if req.Verb == v1alpha1.VerbFinish {
			return v1alpha1.Response{}, nil // it is gone, and that is what was asked for
		}
		// Somebody else's end of work took the agent away.
		if err = p.ensure(ctx, p.agent); err == nil {
			err = p.retry(ctx, limit, ask)
		}
	}
	return answer, err
}

func (p *Pod) ask(ctx context.Context, verb v1alpha1.Verb, question []byte) (v1alpha1.Response, error) {
	what := fmt.Sprintf("asking the agent on node %s (%s)", p.Node(), verb)
	out, failure := run(ctx, p.exec, p.pod, what, enter(AgentPath(p.agent.SHA256)), bytes.NewReader(question))
	var answer v1alpha1.Response
	if len(bytes.TrimSpace(out)) == 0 {
		if failure == nil {
			// An agent always answers: the stream was cut, as when its container goes with the old runtime.
			failure = fmt.Errorf("%s: no answer", what)
		}
		return answer, failure
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		switch whole := json.Valid(out) || !cutOff(out); {
		case failure != nil:
		case whole:
			failure = fmt.Errorf("%s: its answer can't be read: %w", what, &unreadableError{err})
		default:
			failure = fmt.Errorf("%s: its answer was cut off", what)
		}
		return v1alpha1.Response{}, failure
	}
	if answer.APIVersion != v1alpha1.APIVersion {
		return answer, &unreadableError{fmt.Errorf("%s: it speaks %q, want %q", what, answer.APIVersion, v1alpha1.APIVersion)}
	}
	if answer.Error != "" {
		return answer, &AgentError{Node: p.Node(), Verb: verb, Code: answer.Code, Message: answer.Error, Response: answer}
	}
	return answer, failure
}

// cutOff reports whether a document only lacks its end.
func cutOff(document []byte) bool {
	d := json.NewDecoder(bytes.NewReader(document))
	for {
		if _, err := d.Token(); err != nil {
			return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		}
	}
}

// unreadableError is an answer that asking again won't change.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return e.err.Error() }
func (e *unreadableError) Unwrap() error { return e.err }

// retry calls attempt until it succeeds or fails in a way that is an answer. One attempt is bounded by limit.
func (p *Pod) retry(ctx context.Context, limit time.Duration, attempt func(context.Context) error) error {
	pause, unstarted := p.pause, 0
	for {
		bounded, cancel := context.WithTimeout(ctx, limit)
		err := attempt(bounded)
		cancel()
		if p.reached = p.reached || err == nil; err == nil || final(err) || !p.reached && refused(err) {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		}
		if mayBeGone(err) {
			if gone := p.gone(ctx); gone != nil {
				return gone
			}
		}
		if unstarted++; !notStarted(err.Error()) {
			unstarted = 0
		} else if unstarted == unstartedLimit {
			return fmt.Errorf("%w: nothing can be started in it any more: %w", ErrGone, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		case <-time.After(pause):
		}
		pause = min(pause*2, 4*p.pause)
	}
}

// final reports whether an error is an answer, not a failure to ask.
func final(err error) bool {
	var (
		failed     *CommandError
		answered   *AgentError
		unreadable *unreadableError
	)
	return errors.As(err, &failed) || errors.As(err, &answered) || errors.As(err, &unreadable)
}

func refused(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) }

// mayBeGone tells failures that can come from a pod that is gone from those of a network that is away.
func mayBeGone(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsBadRequest(err) || apierrors.IsInternalError(err) || strings.Contains(err.Error(), "not found") ||
		strings.Contains(err.Error(), "completed pod")
}

// unstartedLimit is how often in a row a runtime may fail to start anything in our container until that counts as lost:
// one that lost its cgroup runs on, and lets nobody in.
const unstartedLimit = 6

// notStarted reports whether a runtime failed to start a command in a container: nothing of it ran.
func notStarted(message string) bool {
	return strings.Contains(message, "unable to start container process") || strings.Contains(message, "OCI runtime exec failed")
}

// gone returns ErrGone when the API server says that our pod doesn't exist or has ended.
func (p *Pod) gone(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shortCall)
	defer cancel()
	pod, err := p.client.CoreV1().Pods(p.pod.Namespace).Get(ctx, p.pod.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return ErrGone
	case err != nil:
		return nil // the API server is away: it isn't known
	case pod.UID != p.pod.UID:
		return ErrGone
	}
	return over(pod)
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
