package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/converge"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

// apply starts the unit that applies a staged run.
func (a *Agent) apply(ctx context.Context, req v1alpha1.Request, resp *v1alpha1.Response) error {
	j := a.journal()
	staged := []v1alpha1.Phase{v1alpha1.PhaseStaged}
	if req.ConfirmTimeout <= 0 {
		return errors.New("the request doesn't say how long the node waits for its confirmation")
	}
	r, err := j.Load(req.Run)
	if err != nil {
		return err
	}
	if r.Phase == v1alpha1.PhaseStaged && r.Boot == a.Machine.Clock.Boot() && r.Deadline != 0 && r.DeadlineIn <= 0 {
		return &journal.PhaseError{Run: withReason(r, "it was not applied in time, and is being removed"), Wanted: staged}
	}
	if r.Phase != v1alpha1.PhaseStaged {
		return &journal.PhaseError{Run: r, Wanted: staged}
	}
	p, err := j.Plan(req.Run)
	if err != nil {
		return err
	}
	if err := a.fresh(ctx, p); err != nil {
		return err
	}
	_, err = j.Advance(req.Run, staged, v1alpha1.PhaseStaged, func(r *v1alpha1.Run) {
		r.ConfirmTimeout = req.ConfirmTimeout
		r.Restore = req.Restore
		// It must not expire between this and the unit's start.
		if r.Deadline != 0 {
			r.Deadline = max(r.Deadline, int64(a.Machine.Clock.SinceBoot()+time.Minute))
		}
	})
	if err != nil {
		return err
	}
	if err := a.launch(ctx, applyUnit(req.Run), "apply", req.Run, nil); err != nil {
		return err
	}
	return a.tell(req.Run, resp)
}

// RunApply is the unit "run apply RUN": it applies, waits for the confirmation, and rolls back without one.
func (a *Agent) RunApply(ctx context.Context, run string) error {
	err := a.acting(ctx, func() error {
		r, err := a.journal().Load(run)
		if err != nil {
			return err
		}
		if r.Phase == v1alpha1.PhaseStaged {
			if err := a.begin(ctx, run); err != nil {
				return err
			}
		}
		return a.seeThrough(ctx, run)
	})
	if err != nil {
		return err
	}
	return a.tidyAlone(ctx)
}

// acting does something under the lock of the one process that acts, however long that must be waited for. A unit that waits can
// be stopped: whoever holds the lock may be the one who stops it.
func (a *Agent) acting(ctx context.Context, do func() error) error {
	unlock, err := a.lock(ctx, untilFree)
	if err != nil {
		return err
	}
	defer unlock()
	return do()
}

// begin takes a staged run to applied, or leaves it in a phase that leads back.
func (a *Agent) begin(ctx context.Context, run string) error {
	j := a.journal()
	p, err := j.Plan(run)
	if err != nil {
		return err
	}
	if err := a.armEarly(ctx, p); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return a.giveUp(ctx, run, err.Error())
	}
	staged := []v1alpha1.Phase{v1alpha1.PhaseStaged}
	_, err = j.Advance(run, staged, v1alpha1.PhaseApplying, func(r *v1alpha1.Run) {
		r.Boot, r.Deadline = a.Machine.Clock.Boot(), 0
	})
	if err != nil {
		return ignorePhase(err)
	}
	applying := []v1alpha1.Phase{v1alpha1.PhaseApplying}
	outage, err := a.converge(ctx, p, p.After, converge.To)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		return a.failed(ctx, p, applying, err)
	}
	_, err = j.Advance(run, applying, v1alpha1.PhaseApplied, func(r *v1alpha1.Run) {
		outage.note(r)
		r.Boot = a.Machine.Clock.Boot()
		r.Deadline = int64(a.Machine.Clock.SinceBoot() + r.ConfirmTimeout)
	})
	return ignorePhase(err)
}

// failed turns a run back, or stops it where going on in either direction would overwrite somebody's work. A node that is
// stopped so serves as before all the same, as far as it can with that file: nobody can reach it otherwise.
func (a *Agent) failed(ctx context.Context, p *v1alpha1.Plan, from []v1alpha1.Phase, err error) error {
	to := v1alpha1.PhaseRollingBack
	var neither *converge.NeitherError
	if errors.As(err, &neither) {
		to = v1alpha1.PhaseStuck
		if around := a.serve(ctx, p); around != nil {
			if ctx.Err() != nil {
				return around
			}
			err = fmt.Errorf("%w; until then the node can't serve: %w", err, around)
		}
	}
	r, advErr := a.journal().Advance(p.Run, from, to, func(r *v1alpha1.Run) { r.Reason, r.Deadline = err.Error(), 0 })
	if to == v1alpha1.PhaseStuck && advErr == nil {
		a.announce(ctx, r, p)
	}
	return ignorePhase(advErr)
}

// serve brings the runtime and the kubelet of before up around what somebody else wrote.
func (a *Agent) serve(ctx context.Context, p *v1alpha1.Plan) error {
	_, err := a.converge(ctx, p, p.Before, converge.Around)
	return err
}

// outage is when the kubelet was away.
type outage struct{ stopped, started time.Time }

func (o outage) note(r *v1alpha1.Run) {
	if !o.stopped.IsZero() && !o.started.IsZero() {
		r.KubeletStopped, r.KubeletStarted = o.stopped, o.started
	}
}

// way is how converge takes a node to a photograph: To, or Around what others wrote.
type way func(ctx context.Context, m host.Machine, p *v1alpha1.Plan, want v1alpha1.State, blobs func(sha string) ([]byte, error),
	report func(v1alpha1.Progress)) error

// converge takes the node to a photograph and tells of it.
func (a *Agent) converge(ctx context.Context, p *v1alpha1.Plan, want v1alpha1.State, walk way) (outage, error) {
	j := a.journal()
	report := j.Report(p.Run)
	var o outage
	err := walk(ctx, a.Machine, p, want, j.Blob, func(line v1alpha1.Progress) {
		switch {
		case line.Step == converge.StepStopKubelet && line.Took == 0:
			o.stopped = a.Machine.Clock.Now()
		case line.Step == converge.StepStartKubelet && line.Took != 0:
			o.started = a.Machine.Clock.Now()
		}
		report(line)
	})
	return o, err
}

// seeThrough acts by the run's phase until the run has an end. Whoever calls it holds the actor's lock, so nobody else
// acts: a run that is found applying was left by a dead process.
func (a *Agent) seeThrough(ctx context.Context, run string) error {
	j := a.journal()
	for {
		r, err := j.Load(run)
		if err != nil {
			return err
		}
		switch r.Phase {
		case v1alpha1.PhaseApplying:
			err = a.turn(r, "the agent died while it was applying")
		case v1alpha1.PhaseApplied:
			err = a.await(ctx, r)
		case v1alpha1.PhaseRollingBack:
			err = a.back(ctx, r)
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// turn makes an unconfirmed run go back. Another process may have been faster.
func (a *Agent) turn(r v1alpha1.Run, reason string) error {
	_, err := a.journal().Advance(r.ID, []v1alpha1.Phase{r.Phase}, v1alpha1.PhaseRollingBack, func(r *v1alpha1.Run) {
		r.Reason, r.Deadline = reason, 0
	})
	return ignorePhase(err)
}

// await waits for the confirmation until the deadline.
func (a *Agent) await(ctx context.Context, r v1alpha1.Run) error {
	if r.Boot != a.Machine.Clock.Boot() {
		return a.turn(r, "the node was rebooted before the run was confirmed")
	}
	if r.DeadlineIn <= 0 {
		return a.turn(r, fmt.Sprintf("no confirmation came within %s", r.ConfirmTimeout))
	}
	return a.Machine.Clock.Sleep(ctx, min(r.DeadlineIn, 250*time.Millisecond))
}

// back takes the node to before and doesn't give up: only a file that somebody else wrote is reason to stop.
func (a *Agent) back(ctx context.Context, r v1alpha1.Run) error {
	j := a.journal()
	p, err := j.Plan(r.ID)
	if err != nil {
		return err
	}
	rolling := []v1alpha1.Phase{v1alpha1.PhaseRollingBack}
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		outage, err := a.converge(ctx, p, p.Before, converge.To)
		if err == nil {
			_, err = j.Advance(r.ID, rolling, v1alpha1.PhaseRolledBack, func(r *v1alpha1.Run) { outage.note(r); r.Deadline = 0 })
			return ignorePhase(err)
		}
		var neither *converge.NeitherError
		if errors.As(err, &neither) {
			return a.failed(ctx, p, rolling, err)
		}
		if ctx.Err() != nil {
			return err
		}
		j.Report(r.ID)(v1alpha1.Progress{Step: "roll back", Detail: "trying again in " + pause.String(), Error: err.Error()})
		if err := a.Machine.Clock.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}
