package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/converge"
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
	outage, err := a.converge(ctx, p, p.After, converge.Options{Stopping: func() error {
		_, err := j.Advance(run, applying, v1alpha1.PhaseApplying, func(r *v1alpha1.Run) { r.RuntimesStopped = true })
		return err
	}})
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
// stopped so serves as before all the same, as far as it can with that file, or else as after: nobody can reach it otherwise.
func (a *Agent) failed(ctx context.Context, p *v1alpha1.Plan, from []v1alpha1.Phase, err error) error {
	var neither *converge.NeitherError
	if !errors.As(err, &neither) {
		return a.turnFrom(p.Run, from, err.Error())
	}
	r, loading := a.journal().Load(p.Run)
	if loading != nil {
		return loading
	}
	alone := new(converge.HealthError) // the node serves: to go on would end pods for the sake of a health check
	if _, short := a.retreat(ctx, r, p, converge.Options{Around: true}); short == nil || errors.As(short, &alone) {
		return a.stuck(ctx, p, from, p.Before.Runtime.Name, err.Error(), false)
	} else if ctx.Err() != nil {
		return short
	}
	serving := v1alpha1.RuntimeName("")
	for _, state := range []v1alpha1.State{p.Before, p.After} {
		_, around := a.converge(ctx, p, state, converge.Options{Around: true})
		if around == nil || errors.As(around, &alone) {
			serving = state.Runtime.Name
			break
		}
		if ctx.Err() != nil {
			return around
		}
		err = fmt.Errorf("%w; with that file %s can't serve: %w", err, state.Runtime.Name, around)
	}
	return a.stuck(ctx, p, from, serving, err.Error(), false)
}

// stuck stops a run until somebody asks for its rollback again; unasked as in Run.
func (a *Agent) stuck(ctx context.Context, p *v1alpha1.Plan, from []v1alpha1.Phase, serving v1alpha1.RuntimeName, reason string, unasked bool) error {
	r, err := a.journal().Advance(p.Run, from, v1alpha1.PhaseStuck, func(r *v1alpha1.Run) {
		r.Reason, r.Deadline, r.Serving = a.hide(p.Run, reason), 0, serving
		r.Unasked = unasked
	})
	if err == nil {
		a.announce(ctx, r, p)
	}
	return ignorePhase(err)
}

// outage is when the kubelet was away.
type outage struct{ stopped, started time.Time }

func (o outage) note(r *v1alpha1.Run) {
	if !o.stopped.IsZero() && !o.started.IsZero() {
		r.KubeletStopped, r.KubeletStarted = o.stopped, o.started
	}
}

// converge takes the node to a state and tells of it.
func (a *Agent) converge(ctx context.Context, p *v1alpha1.Plan, want v1alpha1.State, opts converge.Options) (outage, error) {
	return a.timed(p, opts, func(opts converge.Options) error {
		return converge.To(ctx, a.Machine, p, want, a.journal().Blob, opts)
	})
}

// timed does a pass that reports to the run's progress, and returns when the kubelet was away.
func (a *Agent) timed(p *v1alpha1.Plan, opts converge.Options, pass func(converge.Options) error) (outage, error) {
	report := a.report(p.Run)
	var o outage
	opts.KubeletStopped = a.recordPulls(p)
	opts.Report = func(line v1alpha1.Progress) {
		switch {
		case line.Step == converge.StepStopKubelet && line.Took == 0:
			o.stopped = a.Machine.Clock.Now()
		case line.Step == converge.StepStartKubelet && line.Took != 0:
			o.started = a.Machine.Clock.Now()
		}
		report(line)
	}
	err := pass(opts)
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
	return a.turnFrom(r.ID, []v1alpha1.Phase{r.Phase}, reason)
}

// turnFrom is turn for a run in one of several phases. A disk that is full must not keep it: what was set aside for the way back
// is given free for that.
func (a *Agent) turnFrom(run string, from []v1alpha1.Phase, reason string) error {
	reason = a.hide(run, reason)
	turn := func() error {
		_, err := a.journal().Advance(run, from, v1alpha1.PhaseRollingBack, func(r *v1alpha1.Run) {
			r.Reason, r.Deadline, r.Serving = reason, 0, ""
		})
		return ignorePhase(err)
	}
	err := turn()
	if err == nil {
		return nil
	}
	if free := a.release(); free != nil {
		return errors.Join(err, free)
	}
	return turn()
}

// await waits for the confirmation until the deadline.
func (a *Agent) await(ctx context.Context, r v1alpha1.Run) error {
	if r.Boot != a.Machine.Clock.Boot() {
		return a.turn(r, "the node was rebooted before the run was confirmed")
	}
	if r.DeadlineIn <= 0 {
		return a.turn(r, fmt.Sprintf("no confirmation came within %s", r.ConfirmTimeout))
	}
	a.Machine.Units.Beat(idleBeat)
	return a.Machine.Clock.Sleep(ctx, min(r.DeadlineIn, 250*time.Millisecond))
}

const (
	// backTries is how often the way back is tried before the node serves as after again: each try ends the pods that serve.
	backTries = 3
	// idleBeat is for how long an actor that waits may be silent.
	idleBeat = 2 * time.Minute
)

// back takes the node to before. Where a file is in the way that somebody else wrote, it stops. Where before can't be reached
// after a few tries, the node serves as after again, and is stuck: it is never left without a kubelet for the sake of an order. Where
// it serves as before but for a health check that nobody answers, it is stuck so: to try again would end its pods in vain.
func (a *Agent) back(ctx context.Context, r v1alpha1.Run) error {
	j := a.journal()
	p, err := j.Plan(r.ID)
	if err != nil {
		return err
	}
	if err := a.release(); err != nil {
		return err
	}
	rolling := []v1alpha1.Phase{v1alpha1.PhaseRollingBack}
	pause := time.Second
	var away outage
	var unasked *converge.HealthError // of the last try
	for try := 1; ; try++ {
		o, err := a.backOnce(ctx, r, p, unasked != nil)
		if !o.started.IsZero() {
			away = o
		}
		if err == nil {
			_, err = j.Advance(r.ID, rolling, v1alpha1.PhaseRolledBack, func(r *v1alpha1.Run) { away.note(r); r.Deadline = 0 })
			return ignorePhase(err)
		}
		var neither *converge.NeitherError
		if errors.As(err, &neither) {
			return a.failed(ctx, p, rolling, err)
		}
		if ctx.Err() != nil {
			return err
		}
		if errors.As(err, &unasked) {
			if try >= backTries {
				return a.stuck(ctx, p, rolling, p.Before.Runtime.Name, err.Error(), true)
			}
		} else if unasked = nil; try%backTries == 0 && converge.Serves(ctx, a.Machine, p) != nil {
			_, after := a.converge(ctx, p, p.After, converge.Options{})
			if after == nil || errors.As(after, new(*converge.HealthError)) {
				return a.stuck(ctx, p, rolling, p.After.Runtime.Name, fmt.Sprintf("%s could not serve again after %d tries: %s",
					p.Before.Runtime.Name, try, err), false)
			}
			if ctx.Err() != nil {
				return after
			}
			err = fmt.Errorf("%w; nor can %s: %w", err, p.After.Runtime.Name, after)
		}
		a.report(r.ID)(v1alpha1.Progress{Step: "roll back", Detail: "trying again in " + pause.String(), Error: err.Error()})
		a.Machine.Units.Beat(idleBeat)
		if err := a.Machine.Clock.Sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, time.Minute)
	}
}

// backOnce goes back the short way where that leads there. Where the last try left only the kubelet's health open (there), it waits for
// that and ends nothing.
func (a *Agent) backOnce(ctx context.Context, r v1alpha1.Run, p *v1alpha1.Plan, there bool) (outage, error) {
	if there {
		return a.timed(p, converge.Options{}, func(opts converge.Options) error { return converge.Await(ctx, a.Machine, p, p.Before, opts) })
	}
	o, err := a.retreat(ctx, r, p, converge.Options{})
	var neither *converge.NeitherError
	if err == nil || ctx.Err() != nil || errors.As(err, &neither) || errors.As(err, new(*converge.HealthError)) {
		return o, err
	}
	return a.converge(ctx, p, p.Before, converge.Options{})
}

// retreat goes back where no runtime was stopped as yet, which leaves the pods that live on alone.
func (a *Agent) retreat(ctx context.Context, r v1alpha1.Run, p *v1alpha1.Plan, opts converge.Options) (outage, error) {
	if r.RuntimesStopped || r.Boot != a.Machine.Clock.Boot() {
		return outage{}, converge.ErrStopped
	}
	return a.timed(p, opts, func(opts converge.Options) error {
		return converge.Retreat(ctx, a.Machine, p, a.journal().Blob, opts)
	})
}
