package journal

import (
	"errors"
	"fmt"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Act takes the lock that the one process that changes the node holds for life, or returns host.ErrLocked while another
// process holds it.
func (j *Journal) Act() (unlock func(), err error) {
	if err := j.dirs(""); err != nil {
		return nil, err
	}
	return j.files.Lock(j.path("actor.lock"), false)
}

// dirs makes the journal's directories and, when run isn't empty, the run's.
func (j *Journal) dirs(run string) error {
	list := []string{j.dir, j.path("agents"), j.path("blobs"), j.path("runs")}
	if run != "" {
		list = append(list, j.path("runs", run))
	}
	for _, d := range list {
		f, err := j.files.Lstat(d)
		if err != nil {
			return fmt.Errorf("preparing the journal: %w", err)
		}
		if f.Type == v1alpha1.Directory && f.Mode == 0o700 {
			continue
		}
		if err := j.files.Put(d, v1alpha1.FileState{Path: d, Type: v1alpha1.Directory, Mode: 0o700}, nil); err != nil {
			return fmt.Errorf("preparing the journal: %w", err)
		}
	}
	return nil
}

func (j *Journal) put(name string, data []byte) error {
	return j.files.Put(name, v1alpha1.FileState{Path: name, Type: v1alpha1.Regular, Mode: 0o600}, data)
}

func (j *Journal) lock() (func(), error) {
	unlock, err := j.files.Lock(j.path("lock"), true)
	if err != nil {
		return nil, fmt.Errorf("locking the journal: %w", err)
	}
	return unlock, nil
}

// Create puts a new run into the journal, in the phase that run names. While another run is open it returns a
// *BusyError; the same run again is refused alike, unless it was only staged and changed nothing: a plan that a dry run
// tried can still be applied.
func (j *Journal) Create(run v1alpha1.Run, p *v1alpha1.Plan) error {
	if !ValidID(run.ID) || p.Run != run.ID {
		return fmt.Errorf("%q can't name a run", run.ID)
	}
	if err := j.dirs(""); err != nil {
		return err
	}
	unlock, err := j.lock()
	if err != nil {
		return err
	}
	defer unlock()
	runs, err := j.Runs()
	if err != nil {
		return err
	}
	open, err := openOf(runs)
	if open != nil {
		return &BusyError{Open: *open}
	}
	if err != nil {
		return err
	}
	switch old, err := j.read(run.ID); {
	case errors.Is(err, ErrUnknown):
	case err == nil && old.Phase == v1alpha1.PhaseRemoved:
		if err := j.files.Put(j.path("runs", run.ID, progressFile), v1alpha1.FileState{Type: v1alpha1.Absent}, nil); err != nil {
			return fmt.Errorf("removing what run %s told before: %w", run.ID, err)
		}
	default:
		return errors.Join(fmt.Errorf("run %s has been on this node already", run.ID), err)
	}
	if err := j.dirs(run.ID); err != nil {
		return err
	}
	if err := j.savePlan(p); err != nil {
		return err
	}
	run.APIVersion, run.Kind, run.Format = v1alpha1.APIVersion, v1alpha1.KindRun, v1alpha1.Format
	run.Sequence, run.Created = next(runs), j.clock.Now()
	j.date(&run)
	return j.save(run)
}

func (j *Journal) savePlan(p *v1alpha1.Plan) error {
	data, err := encode(p)
	if err != nil {
		return err
	}
	return j.put(j.path("runs", p.Run, "plan.json"), data)
}

// Resolved replaces the run's plan by the same plan with the contents of After resolved to digests.
func (j *Journal) Resolved(p *v1alpha1.Plan) error {
	if !ValidID(p.Run) {
		return fmt.Errorf("%q: %w", p.Run, ErrUnknown)
	}
	return j.savePlan(p)
}

func (j *Journal) save(run v1alpha1.Run) error {
	run.DeadlineIn = 0
	data, err := encode(run)
	if err != nil {
		return err
	}
	if err := j.put(j.path("runs", run.ID, "run.json"), data); err != nil {
		return fmt.Errorf("writing the run's record: %w", err)
	}
	return nil
}

// date notes when the run came into its phase.
func (j *Journal) date(run *v1alpha1.Run) {
	run.Changed = j.clock.Now()
	run.ChangedAt = v1alpha1.Moment{Boot: j.clock.Boot(), At: int64(j.clock.SinceBoot())}
}

// Advance changes the run's phase if it is one of from, and lets mutate change the rest of the record with it. Otherwise
// it returns the record as it is and a *PhaseError. When Advance returns without error the new phase is on disk.
func (j *Journal) Advance(id string, from []v1alpha1.Phase, to v1alpha1.Phase, mutate func(*v1alpha1.Run)) (v1alpha1.Run, error) {
	if !ValidID(id) {
		return v1alpha1.Run{}, fmt.Errorf("%q: %w", id, ErrUnknown)
	}
	if !phaseKnown(to) {
		return v1alpha1.Run{}, fmt.Errorf("%q is no phase", to)
	}
	unlock, err := j.lock()
	if err != nil {
		return v1alpha1.Run{}, err
	}
	defer unlock()
	run, err := j.Load(id)
	if err != nil {
		return v1alpha1.Run{}, err
	}
	if run.Phase.Open() && run.Format != v1alpha1.Format {
		return run, &OthersError{Run: run}
	}
	if !slices.Contains(from, run.Phase) {
		return run, &PhaseError{Run: run, Wanted: from}
	}
	changed := run.Phase != to
	run.Phase = to
	if changed {
		j.date(&run)
	}
	if mutate != nil {
		mutate(&run)
	}
	if err := j.save(run); err != nil {
		return v1alpha1.Run{}, err
	}
	if changed {
		j.report(id, v1alpha1.Progress{Step: "phase", Detail: run.Reason, Phase: to})
	}
	return j.Load(id)
}
