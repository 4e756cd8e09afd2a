package hostpod

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/redact"
)

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

// How long one attempt may take before the connection counts as dead. They bound attempts, not the work: ctx does that, and an
// attempt that is cut off goes on at the node, where the next one finds what it did.
const (
	shortCall = 20 * time.Second // a question that only starts something, or asks
	longCall  = 2 * time.Minute  // one that is answered when the work is done
)

// limitOf bounds one attempt to ask the agent.
func limitOf(req v1alpha1.Request) time.Duration {
	switch req.Verb {
	case v1alpha1.VerbGather, v1alpha1.VerbDiscard, v1alpha1.VerbFinish:
		return longCall
	case v1alpha1.VerbWatch:
		return req.Wait + shortCall/2
	}
	return shortCall
}

// Call asks the agent and returns its answer. It asks again after everything that leaves open whether the question
// arrived — the container being started again under another runtime, an API server that is away — until ctx ends or the
// pod is lost (ErrGone, ErrAltered, ErrMute, ErrUnheard), so a verb that starts something may find that it did so already. An answer that carries an
// error is an *AgentError.
func (p *Pod) Call(ctx context.Context, req v1alpha1.Request) (v1alpha1.Response, error) {
	req.Node = p.Node()
	var answer v1alpha1.Response
	ask := func(ctx context.Context) (err error) {
		answer, err = p.ask(ctx, req)
		return err
	}
	limit := limitOf(req)
	err := p.retry(ctx, limit, ask)
	var failed *CommandError
	if errors.As(err, &failed) && (failed.Code == 126 || failed.Code == 127) && p.agent.SHA256 != "" {
		if req.Verb == v1alpha1.VerbFinish && failed.Code == 127 {
			return v1alpha1.Response{}, nil // it is gone, and that is what was asked for
		}
		// The end of somebody else's work took the agent away, or its file was damaged.
		if err = p.ensure(ctx); err == nil {
			err = p.retry(ctx, limit, ask)
		}
	}
	return answer, err
}

func (p *Pod) ask(ctx context.Context, req v1alpha1.Request) (v1alpha1.Response, error) {
	what := fmt.Sprintf("asking the agent on node %s (%s)", p.Node(), req.Verb)
	var answer v1alpha1.Response
	question, err := question(req, p.format)
	if err != nil {
		return answer, &unreadableError{fmt.Errorf("%s: %w", what, err)}
	}
	out, failure := run(ctx, p.exec, p.pod, what, callAgent(p.agent.SHA256), bytes.NewReader(question))
	if len(bytes.TrimSpace(out)) == 0 {
		if failure == nil {
			// An agent always answers: the stream was cut, as when its container goes with the old runtime.
			failure = fmt.Errorf("%s: no answer", what)
		}
		return answer, failure
	}
	answer, err = read(what, out, v1alpha1.Speaks(p.format), AgentError{Node: p.Node(), Verb: req.Verb}, failure)
	if req.Verb == v1alpha1.VerbFinish && failure != nil && errors.Is(err, failure) && answer.APIVersion != "" {
		return answer, nil // the agent's last act may end the pod, and the stream with it
	}
	return answer, err
}

// read reads what a node sent; said becomes the agent's own error, where that is the answer. The failure of the command is told where it
// says more than what was sent.
func read(what string, out []byte, speaks string, said AgentError, failure error) (v1alpha1.Response, error) {
	var answer v1alpha1.Response
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
	if answer.APIVersion != speaks {
		return answer, &unreadableError{fmt.Errorf("%s: it speaks %q, want %q", what, answer.APIVersion, speaks)}
	}
	// Agents of earlier programs mask less than this one does, and what they say comes into annotations and Events.
	redact.Answer(&answer)
	if answer.Error != "" {
		said.Code, said.Message, said.Response = answer.Code, answer.Error, answer
		return answer, &said
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

// unreadableError is an answer, or a question, that asking again won't change.
type unreadableError struct{ err error }

func (e *unreadableError) Error() string { return e.err.Error() }
func (e *unreadableError) Unwrap() error { return e.err }

// retry calls attempt until it succeeds or fails in a way that is an answer, or until the pod counts as lost. One attempt is
// bounded by limit.
func (p *Pod) retry(ctx context.Context, limit time.Duration, attempt func(context.Context) error) error {
	pause, row := p.pause, failures{pod: p}
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
		if lost := row.add(ctx, err); lost != nil {
			return lost
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
