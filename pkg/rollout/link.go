package rollout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod/agentbin"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/until"
)

const (
	// lossLimit is how many host pods in a row may be lost without an answer before the node counts as out of reach.
	lossLimit = 2
	// reopenPause is how long is waited before a host pod that didn't start is replaced.
	reopenPause = 2 * time.Second
)

// LostError says that a node can't be reached through host pods, though the API server answers.
type LostError struct {
	Node string
	Err  error
}

// Error implements error.
func (e *LostError) Error() string {
	return fmt.Sprintf("node %s can't be asked any more: %d host pods in a row gave no answer, while the API server did; the last: %v", e.Node, lossLimit, e.Err)
}

// Unwrap returns what became of the last host pod.
func (e *LostError) Unwrap() error { return e.Err }

// link is the way to the agent on one node: a host pod, and another one where that is gone or lets nobody in. What is asked
// through it is asked again through the next one, so the node's own record decides.
type link struct {
	e        *Engine
	node     *corev1.Node
	purpose  hostpod.Purpose
	lifetime time.Duration
	// tell says what happens to host pods.
	tell func(warning bool, text string)
	// away says that the node may be away for a good reason, as while its runtime is exchanged: that nobody answers then, or
	// that no pod starts, counts for nothing.
	away atomic.Bool

	mu   sync.Mutex // held while a host pod is replaced
	pod  hostPod
	lost int   // host pods lost since the last answer
	dead error // a LostError: nothing is tried any more
}

// open puts a host pod on a node.
func (e *Engine) open(ctx context.Context, node *corev1.Node, purpose hostpod.Purpose, lifetime time.Duration, tell func(bool, string)) (*link, error) {
	l := &link{e: e, node: node, purpose: purpose, lifetime: lifetime, tell: tell}
	for {
		pod, err := e.start(ctx, node, purpose, lifetime)
		if err == nil {
			l.pod = pod
			return l, nil
		}
		if !lost(err) || ctx.Err() != nil {
			return nil, err
		}
		if l.lose(err); l.dead != nil {
			return nil, l.dead
		}
		l.replacing(err)
	}
}

// lost reports whether an error says that another host pod is needed.
func lost(err error) bool {
	return errors.Is(err, hostpod.ErrGone) || errors.Is(err, hostpod.ErrMute) || errors.Is(err, hostpod.ErrAltered) || errors.Is(err, hostpod.ErrUnheard)
}

// Call asks the agent until it answers, ctx ends, or the node counts as out of reach (LostError).
func (l *link) Call(ctx context.Context, req v1alpha1.Request) (v1alpha1.Response, error) {
	told := false
	for {
		pod, err := l.current()
		if err != nil {
			return v1alpha1.Response{}, err
		}
		answer, err := pod.Call(ctx, req)
		switch {
		case !lost(err):
			if _, answered := errors.AsType[*hostpod.AgentError](err); answered || err == nil {
				l.heard(pod)
			}
			return answer, err
		case ctx.Err() != nil:
			return answer, err
		case l.away.Load() && errors.Is(err, hostpod.ErrUnheard):
			if !told {
				l.tell(false, "the node doesn't answer while it changes: asking again")
			}
			told = true
			continue
		}
		if err := l.replace(ctx, pod, err); err != nil {
			return answer, err
		}
	}
}

// EnsureAgent brings the agent through the host pod that is there now, or the one that takes its place.
func (l *link) EnsureAgent(ctx context.Context, agent agentbin.Agent) error {
	for {
		pod, err := l.current()
		if err != nil {
			return err
		}
		err = pod.EnsureAgent(ctx, agent)
		if !lost(err) || ctx.Err() != nil {
			return err
		}
		if err := l.replace(ctx, pod, err); err != nil {
			return err
		}
	}
}

// WaitRuntime waits until the host pod, or the one that takes its place, runs under that runtime.
func (l *link) WaitRuntime(ctx context.Context, scheme string) error {
	for {
		pod, err := l.current()
		if err != nil {
			return err
		}
		err = pod.WaitRuntime(ctx, scheme)
		if !lost(err) || ctx.Err() != nil {
			return err
		}
		if err := l.replace(ctx, pod, err); err != nil {
			return err
		}
	}
}

// StartCanary starts a canary beside the host pod, with which it goes.
func (l *link) StartCanary(ctx context.Context, lifetime time.Duration) (canaryPod, error) {
	pod, err := l.current()
	if err != nil {
		return nil, err
	}
	return pod.StartCanary(ctx, lifetime)
}

// Ref names the host pod that is there now.
func (l *link) Ref() v1alpha1.PodRef { return l.last().Ref() }

// Image is what the host pod runs.
func (l *link) Image() hostpod.Image { return l.last().Image() }

// Stop takes the host pod away.
func (l *link) Stop(ctx context.Context) error { return l.last().Stop(ctx) }

func (l *link) last() hostPod {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pod
}

// current is the host pod to ask through; an error where the node is out of reach.
func (l *link) current() (hostPod, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pod, l.dead
}

// heard notes that a host pod carried an answer.
func (l *link) heard(pod hostPod) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if pod == l.pod {
		l.lost = 0
	}
}

// lose counts a host pod that gave no answer. One that is gone was deleted or has ended, which says nothing of the next.
func (l *link) lose(err error) {
	if errors.Is(err, hostpod.ErrGone) {
		return
	}
	if l.lost++; l.lost >= lossLimit {
		l.dead = &LostError{Node: l.node.Name, Err: err}
	}
}

func (l *link) replacing(err error) {
	l.tell(!errors.Is(err, hostpod.ErrGone), fmt.Sprintf("%v: starting another", err))
}

// replace puts another host pod in the place of one that is lost, unless that has been done already. While the node may be away
// that is tried as often as it takes.
func (l *link) replace(ctx context.Context, old hostPod, why error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pod != old || l.dead != nil {
		return l.dead
	}
	if l.lose(why); l.dead != nil {
		return l.dead
	}
	l.replacing(why)
	if err := old.Stop(ctx); err != nil {
		l.tell(true, err.Error()) // it ends by itself
	}
	for {
		pod, err := l.e.start(ctx, l.node, l.purpose, l.lifetime)
		if err == nil {
			l.pod = pod
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		}
		if !l.away.Load() && !until.Away(err) {
			if l.lose(err); l.dead != nil {
				return l.dead
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		case <-time.After(reopenPause):
		}
	}
}
