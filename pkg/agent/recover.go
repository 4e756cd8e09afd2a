package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/converge"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

// earlyLimit is less than the early unit's TimeoutStartSec: it ends by itself.
const earlyLimit = 20 * time.Second

// Recover is the unit "recover", started by a timer while a run is open: it does nothing while another process acts, and
// else takes the run over by its phase.
func (a *Agent) Recover(ctx context.Context) error {
	j := a.journal()
	unlock, err := j.Act()
	if errors.Is(err, host.ErrLocked) {
		return nil // PID 1 ends it if it hangs
	}
	if err != nil {
		return err
	}
	defer unlock()
	open, err := j.OpenRun()
	if err != nil {
		return err
	}
	if open == nil {
		if watched, err := a.watched(); watched || err != nil {
			return err // the timer comes again
		}
		return a.tidy(ctx)
	}
	alive, err := a.unitAlive(ctx, open.ID)
	if alive || err != nil {
		return err // it only hasn't come to the lock yet
	}
	switch overdue := open.Boot != a.Machine.Clock.Boot() || open.Deadline != 0 && open.DeadlineIn <= 0; {
	case open.Phase == v1alpha1.PhaseStaging:
		return a.giveUp(ctx, open.ID, "the agent died while it was staging")
	case open.Phase == v1alpha1.PhaseStaged && a.deserted(open.ID):
		return a.giveUp(ctx, open.ID, "nobody has asked for it any more")
	case open.Phase == v1alpha1.PhaseStaged && !overdue, open.Phase == v1alpha1.PhaseApplied && !overdue:
		return nil // the timer comes again
	case open.Phase == v1alpha1.PhaseStaged:
		return a.giveUp(ctx, open.ID, "it was not applied in time")
	case open.Phase == v1alpha1.PhaseStuck && (open.Serving == open.To || open.Unasked):
		return nil // each try ends the pods that serve: somebody must ask for it
	case open.Phase == v1alpha1.PhaseStuck:
		// Whoever puts the file back needs nothing else: perhaps the node can't be reached but by its console.
		if free, err := a.freed(open.ID); !free || err != nil {
			return err
		}
		if err := a.turn(*open, open.Reason); err != nil {
			return err
		}
	}
	return a.seeThrough(ctx, open.ID)
}

// unitAlive reports whether a unit of the run still runs, or will be started again by PID 1.
func (a *Agent) unitAlive(ctx context.Context, run string) (bool, error) {
	for _, name := range []string{stageUnit(run), applyUnit(run), rollbackUnit(run)} {
		u, err := a.Machine.Units.Show(ctx, name)
		if err != nil {
			return false, fmt.Errorf("asking for %s: %w", name, err)
		}
		if u.ActiveState != "inactive" && u.ActiveState != "failed" {
			return true, nil
		}
	}
	return false, nil
}

// Early is the unit "early", ordered before kubelet and runtimes at boot: it puts the files of an unconfirmed run back and
// starts no service. In the boot in which the run began it does nothing.
func (a *Agent) Early(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, earlyLimit)
	defer cancel()
	j := a.journal()
	unlock, err := j.Act()
	if errors.Is(err, host.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	open, err := j.OpenRun()
	if err != nil || open == nil || open.Boot == a.Machine.Clock.Boot() {
		return err
	}
	switch open.Phase {
	case v1alpha1.PhaseApplying, v1alpha1.PhaseApplied:
		if err := a.turn(*open, "the node was rebooted before the run was confirmed"); err != nil {
			return err
		}
	case v1alpha1.PhaseRollingBack:
	default:
		return nil
	}
	p, err := j.Plan(open.ID)
	if err != nil {
		return err
	}
	if err := a.release(); err != nil {
		return err
	}
	if err := converge.Files(ctx, a.Machine, p, p.Before, j.Blob); err != nil {
		return err
	}
	// The kubelet starts next, on the source. What fails here is tried again, and told, when the run is taken back.
	_ = a.restorePulls(open.ID)
	if err := a.Machine.Units.Reload(ctx); err != nil {
		return fmt.Errorf("reloading systemd: %w", err)
	}
	// The boot has queued what was enabled when it began.
	for _, u := range slices.Backward(p.Before.Units) {
		if u.Active {
			continue
		}
		if err := a.Machine.Units.Stop(ctx, u.Name); err != nil {
			return fmt.Errorf("holding %s back: %w", u.Name, err)
		}
	}
	converge.ClearSockets(a.Machine, p, nil)
	// Sockets came up before this and found themselves parked; a daemon that is handed its socket can't start without.
	for _, u := range p.Before.Units {
		if !u.Active || !strings.HasSuffix(u.Name, ".socket") {
			continue
		}
		if err := a.Machine.Units.Start(ctx, u.Name); err != nil {
			return fmt.Errorf("opening %s: %w", u.Name, err)
		}
	}
	return nil
}

// RunRollback is the unit "run rollback RUN".
func (a *Agent) RunRollback(ctx context.Context, run string) error {
	if err := a.acting(ctx, func() error { return a.seeThrough(ctx, run) }); err != nil {
		return err
	}
	return a.tidyAlone(ctx)
}

// freed reports whether nothing is in a stuck run's way any more.
func (a *Agent) freed(run string) (bool, error) {
	p, err := a.journal().Plan(run)
	if err != nil {
		return false, err
	}
	var neither *converge.NeitherError
	if err := converge.Check(a.Machine, p); errors.As(err, &neither) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, nil
}

// ignorePhase forgives that another process has changed the phase: the next look at the record tells what to do.
func ignorePhase(err error) error {
	var phase *journal.PhaseError
	if errors.As(err, &phase) {
		return nil
	}
	return err
}
