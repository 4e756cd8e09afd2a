package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod"
)

// applyLimit is how long a node may take to change, and again to change back, before it counts as not answering. It
// doesn't stop the node: it only ends our patience.
const applyLimit = 5 * time.Minute

// apply has the node change itself and sees it to the end. From here on the run is the node's: an interrupt asks it to
// go back, and only Abort leaves it alone.
func (p *Prepared) apply(ctx context.Context) Result {
	e := p.e
	p.step(stepApply, "changing to %s; the node goes back by itself unless that is confirmed within %s", p.plan.To.Name, e.opts.ConfirmTimeout)
	live, cancel := e.outlive(ctx, p.patience())
	defer cancel()
	p.note(live, cluster.ReasonStarted, v1alpha1.PhaseApplying, "")
	if ctx.Err() != nil {
		return p.giveUp(ctx, interruption(ctx))
	}
	p.told = true
	p.pod.away.Store(true)
	_, err := p.pod.Call(live, v1alpha1.Request{
		Verb: v1alpha1.VerbApply, Run: p.run, By: e.opts.By, ConfirmTimeout: e.opts.ConfirmTimeout, Restore: p.restore(),
	})
	if answered, ok := errors.AsType[*hostpod.AgentError](err); ok {
		// It may answer so because an earlier question, whose answer was lost, began it. The run itself knows.
		run, begun, asked := p.begun(live)
		switch {
		case asked != nil:
			return p.lostSight(ctx, asked)
		case !begun && run != nil && !run.Phase.Open():
			return p.giveUp(ctx, &RunError{Run: *run})
		case !begun:
			return p.giveUp(ctx, answered)
		}
	} else if err != nil {
		return p.lostSight(ctx, err)
	}
	p.staged = false
	return p.follow(ctx, live)
}

// restore is what the node gives back of the API server's side when it ends the run alone.
func (p *Prepared) restore() v1alpha1.APIRestore {
	r := v1alpha1.APIRestore{Uncordon: p.cordoned, Pods: []v1alpha1.PodRef{p.pod.Ref()}}
	if p.canary != nil {
		r.Pods = append(r.Pods, p.canary.Ref())
	}
	if p.setsKubeadm() {
		r.KubeadmSocket = p.plan.KubeadmSocketBefore
	}
	return r
}

// begun asks the node whether our run went beyond its staging.
func (p *Prepared) begun(ctx context.Context) (*v1alpha1.Run, bool, error) {
	answer, err := p.pod.Call(ctx, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: p.run, Seq: p.seq})
	if answered, ok := errors.AsType[*hostpod.AgentError](err); ok && answered.Code == v1alpha1.CodeUnknown {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	if answer.Run == nil {
		return nil, false, nil
	}
	switch answer.Run.Phase {
	case v1alpha1.PhaseStaging, v1alpha1.PhaseStaged, v1alpha1.PhaseRemoved:
		return answer.Run, false, nil
	}
	return answer.Run, true, nil
}

// seeThrough takes over a run that was found open on the node.
func (p *Prepared) seeThrough(ctx context.Context) Result {
	live, cancel := p.e.outlive(ctx, p.patience())
	defer cancel()
	p.pod.away.Store(true)
	if p.back {
		return p.takeBack(ctx, live, nil)
	}
	return p.follow(ctx, live)
}

// follow sees an applied or applying run to its end: proof and confirmation, or the way back.
func (p *Prepared) follow(ctx, live context.Context) Result {
	// What is waited for in between ends with the operator's interrupt, too.
	until, _ := live.Deadline()
	both, cancel := context.WithDeadlineCause(ctx, until, errors.New("the node has not answered since it began to change"))
	defer cancel()
	run, err := p.watch(both, stepApply, func(r *v1alpha1.Run) bool { return !changing(r.Phase) })
	if err != nil {
		if ctx.Err() == nil || p.e.aborted() {
			return p.lostSight(ctx, err)
		}
		return p.takeBack(ctx, live, interruption(ctx))
	}
	if run.Phase != v1alpha1.PhaseApplied {
		return p.conclude(ctx, live, nil)
	}
	p.e.say(Event{
		Node: p.node.Name, Run: p.run, Step: stepApply, Of: steps, Phase: run.Phase, Took: outage(run),
		Text: fmt.Sprintf("changed; to be proved within %s", run.DeadlineIn.Round(time.Second)),
	})
	if err := p.prove(ctx, run); err != nil {
		if p.e.aborted() {
			return p.lostSight(ctx, ErrAborted)
		}
		if ctx.Err() != nil {
			err = interruption(ctx)
		}
		if _, over := errors.AsType[*RunError](err); over {
			return p.conclude(ctx, live, nil)
		}
		return p.takeBack(ctx, live, err)
	}
	p.pod.away.Store(false)
	p.step(stepConfirm, "confirming")
	answer, err := p.pod.Call(live, v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: p.run, By: p.e.opts.By})
	if answered, ok := errors.AsType[*hostpod.AgentError](err); ok {
		// The deadline was faster, or somebody took it back: exactly one of us wins.
		return p.conclude(ctx, live, answered)
	}
	if err != nil {
		return p.lostSight(ctx, err)
	}
	if answer.Run != nil {
		p.last = answer.Run
	}
	return p.confirmed(ctx)
}

// takeBack asks the node to undo the run, and waits for that.
func (p *Prepared) takeBack(ctx, live context.Context, why error) Result {
	if why != nil {
		p.warn("taking the node back: %v", why)
	} else {
		p.step(stepApply, "taking the node back")
	}
	p.pod.away.Store(true)
	request := v1alpha1.Request{Verb: v1alpha1.VerbRollback, Run: p.run, By: p.e.opts.By}
	if why != nil {
		request.Reason = why.Error()
	}
	_, err := p.pod.Call(live, request)
	// An answer other than yes means that the run has moved on; where to is seen below.
	if _, answered := errors.AsType[*hostpod.AgentError](err); err != nil && !answered {
		return p.lostSight(ctx, errors.Join(why, err))
	}
	return p.conclude(ctx, live, why)
}

// conclude waits for the run's end and puts the API server's side in order with it.
func (p *Prepared) conclude(ctx, live context.Context, why error) Result {
	run, err := p.watch(live, stepApply, func(r *v1alpha1.Run) bool {
		return !r.Phase.Open() || r.Phase == v1alpha1.PhaseStuck
	})
	if err != nil {
		return p.lostSight(ctx, errors.Join(why, err))
	}
	p.pod.away.Store(false)
	if asked := p.back && run.Phase == v1alpha1.PhaseRolledBack; why == nil && !asked {
		why = &RunError{Run: *run}
	} else if why != nil && run.Reason != "" {
		why = fmt.Errorf("%w; the node says: %s", why, run.Reason)
	}
	switch run.Phase {
	case v1alpha1.PhaseConfirmed:
		return p.confirmed(ctx)
	case v1alpha1.PhaseStuck:
		return p.stuck(ctx, why)
	case v1alpha1.PhaseRolledBack:
		return p.rolledBack(ctx, live, why)
	}
	p.staged = false
	return p.giveUp(ctx, why)
}

// changing reports whether a run that was told to begin has not got anywhere yet: its unit takes a moment to start.
func changing(phase v1alpha1.Phase) bool {
	return phase == v1alpha1.PhaseStaging || phase == v1alpha1.PhaseStaged || phase == v1alpha1.PhaseApplying
}

func (p *Prepared) setsKubeadm() bool {
	return p.plan.KubeadmSocket != "" && p.plan.KubeadmSocket != p.plan.KubeadmSocketBefore
}

func outage(r *v1alpha1.Run) time.Duration {
	if r == nil || r.KubeletStopped.IsZero() || r.KubeletStarted.Before(r.KubeletStopped) {
		return 0
	}
	return r.KubeletStarted.Sub(r.KubeletStopped)
}
