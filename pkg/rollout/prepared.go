package rollout

import (
	"context"
	"errors"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// Prepared is a node that is ready to be switched: nothing has changed yet, and everything is decided. It holds the
// node's Lease and a pod on it, so it must be closed.
type Prepared struct {
	e    *Engine
	node *corev1.Node
	lock *cluster.Lock
	pod  *link
	run  string
	from time.Time

	facts *v1alpha1.Facts
	plan  *v1alpha1.Plan
	views []v1alpha1.RunView // of the runs that a rollback undoes, for its diffs
	pods  []corev1.Pod
	// residents are the pods that must be Ready again under the new runtime.
	residents []string
	drain     *cluster.Drain
	blocked   error
	resumes   *v1alpha1.Run
	back      bool // resumes in order to take it back
	upToDate  bool

	// What must be undone, by whoever ends this.
	staged   bool // the node may hold a run of ours that is only staged
	cordoned bool // we cordoned the node, or inherited that duty
	told     bool // the node was told to change
	noted    bool // people were told that the run began
	kubeadm  bool // we changed kubeadm's annotation
	blind    bool // we don't know what became of the run: the node's own record decides
	canary   canaryPod
	seq      int // the last progress line seen
	last     *v1alpha1.Run
	closing  sync.Once
	closed   error
}

// Node is the node's name.
func (p *Prepared) Node() string { return p.node.Name }

// Plan is what will be done; nil when there is nothing to do.
func (p *Prepared) Plan() *v1alpha1.Plan { return p.plan }

// Facts are what the plan was decided on.
func (p *Prepared) Facts() *v1alpha1.Facts { return p.facts }

// Findings are what rules said about the node, errors first.
func (p *Prepared) Findings() []v1alpha1.Finding {
	if p.plan == nil {
		return nil
	}
	return p.plan.Findings
}

// Diffs renders the plan's file changes.
func (p *Prepared) Diffs() ([]plan.FileDiff, error) {
	if p.plan == nil {
		return nil, nil
	}
	return plan.Diffs(p.plan, plan.ContentsOf(p.facts, p.views...))
}

// Steps renders the plan's acts.
func (p *Prepared) Steps() []plan.Step {
	if p.plan == nil {
		return nil
	}
	return plan.Steps(p.plan)
}

// Evictions are the pods that the drain will move away, as namespace/name.
func (p *Prepared) Evictions() []string {
	if p.drain == nil {
		return nil
	}
	var out []string
	for _, pod := range p.drain.Pods {
		out = append(out, pod.Namespace+"/"+pod.Name)
	}
	return out
}

// NothingToDo says that the node is already where it shall be.
func (p *Prepared) NothingToDo() bool { return p.upToDate }

// Blocked is the reason why Execute would refuse: findings that are errors, pods that drain would not move, a run in
// the way. Nil: nothing is in the way. Plans of a blocked node can be shown all the same.
func (p *Prepared) Blocked() error { return p.blocked }

// Resumes is the run that was found open on the node and that Execute will see to its end; nil for a new one.
func (p *Prepared) Resumes() *v1alpha1.Run { return p.resumes }

// Close gives back the node's Lease and deletes the pod on it, whatever happened before. It is safe to call twice and
// works when ctx has ended.
func (p *Prepared) Close(ctx context.Context) error {
	p.closing.Do(func() { p.closed = p.close(ctx) })
	return p.closed
}

// finish lets the agent remove what nothing needs, if need be through another pod. What it leaves when it can't be asked it
// removes a moment later itself.
func (p *Prepared) finish(ctx context.Context) {
	polite, cancel := context.WithTimeout(ctx, cleanupTimeout/4)
	defer cancel()
	request := v1alpha1.Request{Verb: v1alpha1.VerbFinish, Run: p.run}
	if p.blind {
		request.Run = ""
	}
	if _, err := p.pod.Call(polite, request); err != nil {
		p.detail(stepEnd, "the node tidies up by itself: %v", err)
	}
}

func (p *Prepared) close(ctx context.Context) error {
	late, cancel := p.e.outlive(ctx, 2*cleanupTimeout)
	if p.e.aborted() {
		// The operator wants to leave. Two requests are worth a moment: the pod and the Lease also end by themselves.
		late, cancel = context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	}
	defer cancel()
	var errs []error
	if !p.e.aborted() {
		errs = append(errs, p.putBack(late))
	}
	if p.pod != nil && !p.e.aborted() {
		// Before the canary goes: with it may go a cgroup that the pod needs for being asked.
		p.finish(late)
	}
	canary := make(chan error, 1)
	go func() {
		if p.canary == nil {
			canary <- nil
			return
		}
		canary <- p.canary.Stop(late)
	}()
	if p.pod != nil {
		errs = append(errs, p.pod.Stop(late))
	}
	errs = append(errs, <-canary)
	if p.lock != nil {
		errs = append(errs, p.lock.Release(late))
	}
	return errors.Join(errs...)
}
