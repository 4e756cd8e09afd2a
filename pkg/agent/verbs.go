package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/converge"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

// maxWait bounds one question: proxies cut what is silent for long.
const maxWait = 20 * time.Second

// watch returns what is new, and waits a little for it while the run is open.
func (a *Agent) watch(ctx context.Context, req v1alpha1.Request, resp *v1alpha1.Response) error {
	j := a.journal()
	if err := a.owe(req); err != nil {
		return err
	}
	end := a.Machine.Clock.SinceBoot() + min(req.Wait, maxWait)
	first := true
	for {
		lines, err := j.Progress(req.Run, req.Seq)
		if err != nil {
			return err
		}
		r, err := j.Load(req.Run)
		if err != nil {
			return err
		}
		answers := len(lines) > 0 || !r.Phase.Open() || a.Machine.Clock.SinceBoot() >= end
		if first || answers {
			a.attend(req.Run) // who has got an answer asks again, or acts on it
			first = false
		}
		if answers {
			resp.Run, resp.Progress = &r, lines
			return nil
		}
		if err := a.Machine.Clock.Sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// owe notes what the plugin has taken of the API's side while the run is only staged, for a node that ends it alone.
func (a *Agent) owe(req v1alpha1.Request) error {
	if none(req.Restore) {
		return nil
	}
	r, err := a.journal().Load(req.Run)
	if err != nil || r.Phase != v1alpha1.PhaseStaged {
		return err
	}
	_, err = a.journal().Advance(req.Run, []v1alpha1.Phase{r.Phase}, r.Phase, func(r *v1alpha1.Run) { r.Restore = req.Restore })
	return ignorePhase(err)
}

// confirm keeps what was applied, if it still serves: what proved it may be seconds old. Asked again it gives the same answer.
func (a *Agent) confirm(ctx context.Context, req v1alpha1.Request, resp *v1alpha1.Response) error {
	j := a.journal()
	r, err := j.Load(req.Run)
	if err != nil {
		return err
	}
	if r.Phase == v1alpha1.PhaseApplied && r.Boot != a.Machine.Clock.Boot() {
		r.Reason = "the node was rebooted since, and goes back"
		return &journal.PhaseError{Run: r}
	}
	if r.Phase == v1alpha1.PhaseApplied {
		p, err := j.Plan(req.Run)
		if err != nil {
			return err
		}
		unfit := converge.Serves(ctx, a.Machine, p)
		if unfit == nil {
			unfit = a.asAfter(p)
		}
		if err := unfit; err != nil {
			if err := a.turn(r, err.Error()); err != nil {
				return err
			}
			if r, err = j.Load(req.Run); err != nil {
				return err
			}
			return &journal.PhaseError{Run: r}
		}
	}
	applied := []v1alpha1.Phase{v1alpha1.PhaseApplied}
	if r.Phase != v1alpha1.PhaseConfirmed {
		r, err = j.Advance(req.Run, applied, v1alpha1.PhaseConfirmed, func(r *v1alpha1.Run) { r.Deadline = 0 })
		if err != nil && r.Phase != v1alpha1.PhaseConfirmed {
			return err
		}
	}
	a.attend(req.Run)
	resp.Run = &r
	return nil
}

// rollback takes back an open run. Asked again it says how it goes.
func (a *Agent) rollback(ctx context.Context, req v1alpha1.Request, resp *v1alpha1.Response) error {
	r, err := a.turnAsked(req)
	if err != nil {
		return err
	}
	switch r.Phase {
	case v1alpha1.PhaseStaging, v1alpha1.PhaseStaged:
		return a.discard(ctx, req, resp)
	case v1alpha1.PhaseRolledBack:
		resp.Run = &r
		return nil
	case v1alpha1.PhaseRollingBack:
	default:
		return &journal.PhaseError{Run: r}
	}
	// Whatever the apply unit is about to do, going back does again from the start.
	if err := a.Machine.Units.Stop(ctx, applyUnit(req.Run)); err != nil {
		return fmt.Errorf("stopping the unit that applies: %w", err)
	}
	unit, err := a.Machine.Units.Show(ctx, rollbackUnit(req.Run))
	if err != nil {
		return fmt.Errorf("asking for the unit that rolls back: %w", err)
	}
	if unit.ActiveState == "inactive" || unit.ActiveState == "failed" {
		if err := a.launch(ctx, rollbackUnit(req.Run), "rollback", req.Run, nil); err != nil {
			return err
		}
	}
	return a.tell(req.Run, resp)
}

// turnAsked makes a run go back that can, and returns it as it then is. Another process may change the phase in between.
func (a *Agent) turnAsked(req v1alpha1.Request) (v1alpha1.Run, error) {
	reason := "rollback was asked for"
	if req.By != "" {
		reason += " by " + req.By
	}
	if req.Reason != "" {
		reason = req.Reason
	}
	for {
		r, err := a.journal().Load(req.Run)
		if err != nil {
			return r, err
		}
		switch r.Phase {
		case v1alpha1.PhaseApplying, v1alpha1.PhaseApplied:
		case v1alpha1.PhaseStuck:
			p, err := a.journal().Plan(req.Run)
			if err != nil {
				return r, err
			}
			var neither *converge.NeitherError
			if err := converge.Check(a.Machine, p); errors.As(err, &neither) {
				return r, &journal.PhaseError{Run: withReason(r, err.Error())}
			} else if err != nil {
				return r, err
			}
		default:
			return r, nil
		}
		if err := a.turn(r, reason); err != nil {
			return r, err
		}
	}
}

func withReason(r v1alpha1.Run, reason string) v1alpha1.Run {
	r.Reason = reason
	return r
}

// discard gives up a run that is only staged.
func (a *Agent) discard(ctx context.Context, req v1alpha1.Request, resp *v1alpha1.Response) error {
	r, err := a.loadLate(ctx, req.Run)
	if err != nil {
		return err
	}
	switch r.Phase {
	case v1alpha1.PhaseRemoved:
		resp.Run = &r
		return nil
	case v1alpha1.PhaseStaging, v1alpha1.PhaseStaged:
	default:
		return &journal.PhaseError{Run: r}
	}
	if err := a.Machine.Units.Stop(ctx, stageUnit(req.Run)); err != nil {
		return fmt.Errorf("stopping the unit that stages: %w", err)
	}
	unlock, err := a.lock(ctx, patience)
	if err != nil {
		return fmt.Errorf("waiting for the unit that stages: %w", err)
	}
	defer unlock()
	reason := "given up"
	if req.By != "" {
		reason += " by " + req.By
	}
	if req.Reason != "" {
		reason = req.Reason
	}
	if err := a.giveUp(ctx, req.Run, reason); ignorePhase(err) != nil {
		return err
	}
	return a.tell(req.Run, resp)
}

// loadLate is Load, for a run that may be about to come: a plugin that asks for its end may have cut off the question that
// begins it, and that one is still at work.
func (a *Agent) loadLate(ctx context.Context, run string) (v1alpha1.Run, error) {
	r, err := a.journal().Load(run)
	if !errors.Is(err, journal.ErrUnknown) {
		return r, err
	}
	unlock, err := a.lock(ctx, patience)
	if err != nil {
		return r, fmt.Errorf("waiting for another process of kubectl runtime: %w", err)
	}
	defer unlock()
	return a.journal().Load(run)
}

// show returns a run with what is needed to plan its undoing; secrets stay here.
func (a *Agent) show(_ context.Context, req v1alpha1.Request, resp *v1alpha1.Response) error {
	j := a.journal()
	r, err := j.Load(req.Run)
	if err != nil {
		return err
	}
	p, err := j.Plan(req.Run)
	if err != nil {
		return err
	}
	view := &v1alpha1.RunView{Run: r, Plan: *p, Contents: map[string]string{}}
	for _, s := range []v1alpha1.State{p.Before, p.After} {
		for _, f := range s.Files {
			if f.Type != v1alpha1.Regular || f.SHA256 == "" {
				continue
			}
			data, err := j.Blob(f.SHA256)
			if errors.Is(err, host.ErrNotExist) {
				continue // a run that never got staged
			}
			if err != nil {
				return err
			}
			view.Contents[f.SHA256], _ = edit.Mask(f.Path, string(data))
		}
	}
	resp.Run, resp.View = &r, view
	return nil
}
