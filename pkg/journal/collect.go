package journal

import (
	"errors"
	"fmt"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// Collect removes runs that nothing needs, and the contents that no remaining run refers to. What leads back from today's
// state stays, however much was tried since; of the other closed runs the newest keep stay, for people.
func (j *Journal) Collect(keep int) error {
	unlock, err := j.lock()
	if err != nil {
		return err
	}
	defer unlock()
	runs, err := j.Runs()
	if err != nil {
		return err
	}
	stays, goes := divide(runs, keep)
	needed := map[string]bool{}
	for _, r := range stays {
		p, err := j.Plan(r.ID)
		if err != nil {
			return err // what it needs isn't known: nothing is removed
		}
		for _, s := range []v1alpha1.State{p.Before, p.After} {
			for _, f := range s.Files {
				needed[f.SHA256] = true
			}
		}
	}
	for _, r := range goes {
		// The record first: should this be cut off, the rest is what was left of a run that never began.
		record := j.path("runs", r.ID, "run.json")
		if err := j.files.Put(record, v1alpha1.FileState{Path: record, Type: v1alpha1.Absent}, nil); err != nil {
			return fmt.Errorf("removing run %s: %w", r.ID, err)
		}
	}
	if err := j.dropUnborn(); err != nil {
		return err
	}
	return j.dropContents(needed)
}

// divide tells the runs that stay from those that go, newest first as they come.
func divide(runs []v1alpha1.Run, keep int) (stays, goes []v1alpha1.Run) {
	needed := map[string]bool{}
	// The newest confirmed one may be a rollback, which can be undone, too.
	for _, r := range runs {
		if r.Phase == v1alpha1.PhaseConfirmed {
			needed[r.ID] = true
			break
		}
	}
	way, links := v1alpha1.WayBack(runs)
	for _, r := range append(way, links...) {
		needed[r.ID] = true
	}
	others := 0
	for _, r := range runs {
		if !r.Phase.Open() && !needed[r.ID] {
			if others++; others > keep {
				goes = append(goes, r)
				continue
			}
		}
		stays = append(stays, r)
	}
	return stays, goes
}

// dropUnborn removes what there is of runs that have no record: those that go, and what a crash left of others before they
// had one. The journal's lock must be held.
func (j *Journal) dropUnborn() error {
	names, err := j.files.ReadDir(j.path("runs"))
	if err != nil && !errors.Is(err, host.ErrNotExist) {
		return fmt.Errorf("reading the journal: %w", err)
	}
	for _, name := range names {
		if _, err := j.read(name); !errors.Is(err, ErrUnknown) {
			continue
		}
		if err := j.files.RemoveAll(j.path("runs", name)); err != nil {
			return fmt.Errorf("removing a run without a record: %w", err)
		}
	}
	return nil
}

// dropContents removes the contents that aren't needed.
func (j *Journal) dropContents(needed map[string]bool) error {
	names, err := j.files.ReadDir(j.path("blobs"))
	if errors.Is(err, host.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for contents: %w", err)
	}
	for _, name := range names {
		if needed[name] {
			continue
		}
		if err := j.files.RemoveAll(j.path("blobs", name)); err != nil {
			return &contentError{name, fmt.Errorf("removing a content: %w", err)}
		}
	}
	return nil
}
