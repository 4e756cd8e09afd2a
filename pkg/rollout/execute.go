package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod"
)

// Validate stages the plan on the node, images included, and removes the staging again: the server-side dry run.
func (p *Prepared) Validate(ctx context.Context) Result {
	ctx, cancel := p.e.abortable(ctx)
	defer cancel()
	if r, ended := p.early(ctx); ended {
		return r
	}
	if err := p.stage(ctx); err != nil {
		return p.giveUp(ctx, err)
	}
	if err := p.putBackWithin(ctx); err != nil {
		return p.giveUp(ctx, err)
	}
	return p.result(ctx, Validated, nil)
}

// Execute does it. When ctx ends it finishes the safe point and puts back what can be put back before it returns;
// Options.Abort cuts that short.
func (p *Prepared) Execute(ctx context.Context) Result {
	ctx, cancel := p.e.abortable(ctx)
	defer cancel()
	if p.resumes != nil {
		return p.seeThrough(ctx)
	}
	if r, ended := p.early(ctx); ended {
		return r
	}
	if err := p.ready(ctx); err != nil {
		return p.giveUp(ctx, err)
	}
	return p.apply(ctx)
}

// ready starts the canary, stages and drains. It ends when our Lease does: we were away for so long that somebody else may be at work. Once
// the node has begun to change, its journal keeps others out.
func (p *Prepared) ready(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-p.lock.Lost():
			stop(fmt.Errorf("node %s: %w", p.node.Name, cluster.ErrLockLost))
		case <-ctx.Done():
		}
	}()
	if err := p.startCanary(ctx); err != nil {
		return err
	}
	if err := p.stage(ctx); err != nil {
		return err
	}
	if err := p.empty(ctx); err != nil {
		return err
	}
	if err := p.settleCanary(ctx); err != nil {
		return err
	}
	return p.noteResidents(ctx)
}

// ErrInterrupted is why a run ends that its operator stopped.
var ErrInterrupted = errors.New("interrupted")

// interruption is why ctx ended.
func interruption(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.Canceled) {
		return ErrInterrupted
	}
	return cause
}

// early answers where there is nothing to do or something in the way.
func (p *Prepared) early(ctx context.Context) (Result, bool) {
	switch {
	case p.upToDate:
		return p.result(ctx, NothingToDo, nil), true
	case p.blocked != nil:
		return p.giveUp(ctx, p.blocked), true
	case ctx.Err() != nil:
		return p.giveUp(ctx, interruption(ctx)), true
	}
	return Result{}, false
}

// stage has the node prepare everything while it still serves.
func (p *Prepared) stage(ctx context.Context) error {
	e := p.e
	began := time.Now()
	p.step(stepStage, "staging %s and taking its images in while the node serves", p.plan.To.Name)
	if limit := e.opts.StageTimeout; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("staging took longer than %s", limit))
		defer cancel()
	}
	secrets := e.review(ctx, "secrets", cluster.SecretRights()) == nil
	own := []cluster.Own{{Ref: p.pod.Image().Ref, For: "the pod that proves the switch"}}
	images, warnings := cluster.WantedImages(ctx, e.client, p.pods, own, secrets)
	for _, text := range warnings {
		p.warn("%s", text)
	}
	if ctx.Err() != nil {
		return interruption(ctx)
	}
	// From here on the node may hold a run of ours, whatever the answer.
	p.staged = true
	asking, done := e.linger(ctx, cleanupTimeout/4)
	defer done()
	_, err := p.pod.Call(asking, v1alpha1.Request{
		Verb: v1alpha1.VerbStage, Run: p.run, By: e.opts.By, Plan: p.plan, Images: images,
		StageTimeout: e.stagedFor(), ConfirmTimeout: e.opts.ConfirmTimeout, Restore: p.restore(),
	})
	if err := p.refusal(ctx, err); err != nil {
		return err
	}
	run, err := p.watch(ctx, stepStage, func(r *v1alpha1.Run) bool { return r.Phase != v1alpha1.PhaseStaging })
	if err != nil {
		return err
	}
	if run.Phase != v1alpha1.PhaseStaged {
		return &RunError{Run: *run}
	}
	e.say(Event{Node: p.node.Name, Run: p.run, Step: stepStage, Of: steps, Text: "staged", Took: time.Since(began), Phase: run.Phase})
	return nil
}

// stagedFor is how long the node lets a staged run wait for its apply at most; zero where the operator sets no limit to what comes
// before that. A run whose plugin is silent the node gives up long before.
func (e *Engine) stagedFor() time.Duration {
	if e.opts.StageTimeout == 0 || e.opts.Drain.Timeout == 0 {
		return 0
	}
	return e.opts.StageTimeout + e.opts.Drain.Timeout + time.Hour
}

// refusal turns the agent's answer to the start of a run into what it means. A run that is open and ours was begun by a
// question whose answer was lost.
func (p *Prepared) refusal(ctx context.Context, err error) error {
	answered, ok := errors.AsType[*hostpod.AgentError](err)
	if !ok {
		return err
	}
	if run, asked := p.pod.Call(ctx, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: p.run}); asked == nil && run.Run != nil && run.Run.Phase.Open() {
		return nil
	}
	p.staged = false
	if other := answered.Response.Run; answered.Code == v1alpha1.CodeBusy && other != nil {
		return &BusyError{Node: p.node.Name, Run: *other}
	}
	return err
}

// empty cordons and drains the node. What it is to put back is written down first.
func (p *Prepared) empty(ctx context.Context) error {
	e := p.e
	began := time.Now()
	p.step(stepDrain, "cordoning and draining")
	node, err := e.client.CoreV1().Nodes().Get(ctx, p.node.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading node %s: %w", p.node.Name, err)
	}
	if !node.Spec.Unschedulable {
		if err := p.lock.NoteCordon(ctx, true); err != nil {
			return err
		}
		p.cordoned = true
		if err := cluster.Cordon(ctx, e.client, node.Name, true); err != nil {
			return err
		}
	}
	attended, leave := p.attend(ctx, v1alpha1.PhaseStaged, 0)
	defer leave()
	if err := p.quorum(ctx); err != nil {
		return err
	}
	drain, err := p.planDrain(ctx)
	if err != nil {
		return err
	}
	if err := drain.Run(attended, func(text string) { p.detail(stepDrain, "%s", text) }); err != nil {
		return err
	}
	e.say(Event{Node: p.node.Name, Run: p.run, Step: stepDrain, Of: steps, Text: fmt.Sprintf("drained %d pods", len(drain.Pods)), Took: time.Since(began)})
	return nil
}

// attendPause is how often the node hears of us while it is drained or proved. A staged run whose plugin is silent for minutes is
// given up by the node.
const attendPause = 20 * time.Second

// attend tells the node that we are there, and while a run is staged what we have taken of the API server's side, from some time on and
// until leave is called. The context it returns ends when that is in vain: the node is out of reach, or the run has left its phase.
func (p *Prepared) attend(ctx context.Context, phase v1alpha1.Phase, first time.Duration) (attended context.Context, leave func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for pause := first; ; pause = attendPause {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			request := v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: p.run, Seq: p.seq}
			if phase == v1alpha1.PhaseStaged {
				request.Restore = p.restore() // through another host pod the node has another one to delete
			}
			answer, err := p.pod.Call(ctx, request)
			// What else fails the next question may mend.
			if vain := inVain(phase, answer.Run, err); vain != nil {
				cancel(vain)
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
	}
}

// inVain is why a run can't go on from a phase any more, by what the node answered when it was asked for it.
func inVain(phase v1alpha1.Phase, run *v1alpha1.Run, err error) error {
	if _, out := errors.AsType[*LostError](err); out {
		return err
	}
	if answered, ok := errors.AsType[*hostpod.AgentError](err); ok && answered.Code == v1alpha1.CodeUnknown {
		return err
	}
	if run != nil && run.Phase != phase {
		return &RunError{Run: *run}
	}
	return nil
}

// giveUp ends what hasn't changed anything that serves, and puts back what was touched.
func (p *Prepared) giveUp(ctx context.Context, err error) Result {
	outcome := Refused
	if ctx.Err() != nil {
		outcome, err = Interrupted, interruption(ctx)
	}
	late, cancel := p.e.outlive(ctx, cleanupTimeout)
	defer cancel()
	if back := p.putBack(late); back != nil {
		err = errors.Join(err, back)
	}
	if p.noted {
		p.annotate(late, v1alpha1.PhaseRemoved, err.Error())
	}
	return p.result(ctx, outcome, err)
}

func (p *Prepared) putBackWithin(ctx context.Context) error {
	late, cancel := p.e.outlive(ctx, cleanupTimeout)
	defer cancel()
	return p.putBack(late)
}

// putBack discards a run that is only staged, and takes our cordon back. It does nothing twice.
func (p *Prepared) putBack(ctx context.Context) error {
	var errs []error
	if p.staged && p.pod != nil {
		_, err := p.pod.Call(ctx, v1alpha1.Request{Verb: v1alpha1.VerbDiscard, Run: p.run, By: p.e.opts.By})
		answered, ok := errors.AsType[*hostpod.AgentError](err)
		switch {
		case err == nil, ok && answered.Code == v1alpha1.CodeUnknown:
			p.staged = false
		default:
			errs = append(errs, fmt.Errorf("removing what was staged on node %s (it expires by itself): %w", p.node.Name, err))
		}
	}
	if p.cordoned {
		errs = append(errs, p.uncordon(ctx))
	}
	return errors.Join(errs...)
}

// uncordon takes our cordon back, and then the note of it.
func (p *Prepared) uncordon(ctx context.Context) error {
	if err := tryAgain(ctx, func(ctx context.Context) error { return cluster.Cordon(ctx, p.e.client, p.node.Name, false) }); err != nil {
		return err
	}
	p.cordoned = false
	return p.lock.NoteCordon(ctx, false)
}
