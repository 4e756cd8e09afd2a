package journal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// ErrUnknown is returned for a run that the journal doesn't have.
var ErrUnknown = errors.New("no such run on this node")

// BusyError says that another run is open.
type BusyError struct{ Open v1alpha1.Run }

func (e *BusyError) Error() string {
	by := e.Open.By
	if by == "" {
		by = "an unknown user"
	}
	if e.Open.Created.IsZero() {
		return e.Open.Reason // its record can't be read
	}
	return fmt.Sprintf("run %s (to %s, %s) is open on this node since %s, started by %s",
		e.Open.ID, e.Open.To, e.Open.Phase, e.Open.Created.UTC().Format(time.RFC3339), by)
}

// PhaseError says that the run's phase doesn't allow what was asked.
type PhaseError struct {
	Run v1alpha1.Run
	// Wanted are the phases that would have allowed it.
	Wanted []v1alpha1.Phase
}

func (e *PhaseError) Error() string {
	s := fmt.Sprintf("run %s is %s", e.Run.ID, e.Run.Phase)
	if e.Run.Reason != "" {
		s += " (" + e.Run.Reason + ")"
	}
	return s
}

// OthersError says that an open run is another agent's: only the one that its record names works on it.
type OthersError struct{ Run v1alpha1.Run }

func (e *OthersError) Error() string {
	return fmt.Sprintf("run %s is %s, and only the agent that began it works on it: %s, not this one", e.Run.ID, e.Run.Phase, e.Run.Agent)
}

// CorruptError says that a record can't be read. Records are replaced atomically, so this is never a crash's doing.
type CorruptError struct {
	Path string
	Err  error
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("the record %s can't be read (%v): it was damaged or written by another program, and nothing is decided "+
		"on it; see what stands on the node, then remove the directory %s", e.Path, e.Err, path.Dir(e.Path))
}

// Unwrap returns what was wrong with the record.
func (e *CorruptError) Unwrap() error { return e.Err }

const recordLimit = 16 << 20

var runID = regexp.MustCompile(`^r-[0-9a-f]{8}$`)

func phaseKnown(p v1alpha1.Phase) bool {
	switch p {
	case v1alpha1.PhaseStaging, v1alpha1.PhaseStaged, v1alpha1.PhaseApplying, v1alpha1.PhaseApplied, v1alpha1.PhaseConfirmed,
		v1alpha1.PhaseRollingBack, v1alpha1.PhaseRolledBack, v1alpha1.PhaseRemoved, v1alpha1.PhaseStuck:
		return true
	}
	return false
}

// ValidID reports whether id can name a run: "r-" and eight hexadecimal digits.
func ValidID(id string) bool { return runID.MatchString(id) }

// decodeRun reads a record and refuses everything that no program would have written in its format.
func decodeRun(id string, data []byte) (v1alpha1.Run, error) {
	var r v1alpha1.Run
	if err := decode(data, v1alpha1.KindRun, &r); err != nil {
		return v1alpha1.Run{}, err
	}
	switch {
	case r.ID != id:
		return v1alpha1.Run{}, fmt.Errorf("it is the record of run %q", r.ID)
	case !phaseKnown(r.Phase):
		return v1alpha1.Run{}, fmt.Errorf("unknown phase %q", r.Phase)
	}
	return r, nil
}

func recordOf(id string) string { return "the record of run " + id }

// decode reads a document of a format that we know, and nothing of one that we don't: what it asks for can't be guessed. For
// the same reason a field that we don't know isn't left out: it could be one that matters, and would be lost when the
// document is written again.
func decode(data []byte, kind string, into any) error {
	var h v1alpha1.Header
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&h); err != nil {
		return err
	}
	if _, err := h.Known(); err != nil {
		return err
	}
	if h.Kind != kind {
		return fmt.Errorf("it is a %q", h.Kind)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("there is more than one document in it")
	}
	return nil
}

// unreadable is the error about a document that decode refused: what a later program wrote isn't damaged.
func unreadable(name, what string, err error) error {
	var newer *v1alpha1.NewerError
	if errors.As(err, &newer) {
		newer.What = what
		return newer
	}
	return &CorruptError{Path: name, Err: err}
}

func encode(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return append(data, '\n'), err
}

// Load returns the run's record, with the time left until its deadline.
func (j *Journal) Load(id string) (v1alpha1.Run, error) {
	if !ValidID(id) {
		return v1alpha1.Run{}, fmt.Errorf("%q: %w", id, ErrUnknown)
	}
	r, err := j.read(id)
	if err != nil {
		return v1alpha1.Run{}, err
	}
	if r.Deadline != 0 {
		r.DeadlineIn = time.Duration(r.Deadline) - j.clock.SinceBoot()
		if r.Boot != j.clock.Boot() {
			r.DeadlineIn = -1
		}
	}
	return r, nil
}

func (j *Journal) read(id string) (v1alpha1.Run, error) {
	name := j.path("runs", id, "run.json")
	data, err := j.files.Read(name, recordLimit)
	if errors.Is(err, host.ErrNotExist) {
		return v1alpha1.Run{}, fmt.Errorf("%s: %w", id, ErrUnknown)
	}
	if err != nil {
		return v1alpha1.Run{}, fmt.Errorf("reading the run's record: %w", err)
	}
	r, err := decodeRun(id, data)
	if err != nil {
		return v1alpha1.Run{}, unreadable(name, recordOf(id), err)
	}
	return r, nil
}

// Runs returns all runs, newest first. A run whose record can't be read is stuck and says why: nothing is guessed of it.
func (j *Journal) Runs() ([]v1alpha1.Run, error) {
	names, err := j.files.ReadDir(j.path("runs"))
	if errors.Is(err, host.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	var runs []v1alpha1.Run
	for _, name := range names {
		if !ValidID(name) {
			continue
		}
		r, err := j.Load(name)
		var corrupt *CorruptError
		var newer *v1alpha1.NewerError
		switch {
		case errors.Is(err, ErrUnknown): // created, but a crash came before the record: nothing happened
		case errors.As(err, &newer):
			runs = append(runs, v1alpha1.Run{
				APIVersion: newer.APIVersion, Kind: v1alpha1.KindRun, Format: newer.Format, Version: newer.Version, ID: name,
				Phase: v1alpha1.PhaseStuck, Reason: err.Error(),
			})
		case errors.As(err, &corrupt):
			runs = append(runs, v1alpha1.Run{
				APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindRun, Format: v1alpha1.Format, ID: name,
				Phase: v1alpha1.PhaseStuck, Reason: err.Error(),
			})
		case err != nil:
			return nil, err
		default:
			runs = append(runs, r)
		}
	}
	slices.SortStableFunc(runs, newestFirst)
	return runs, nil
}

// newestFirst orders runs as they were created. The clock decides only between records that have no number: those of the
// first format, which are older than all that have one.
func newestFirst(a, b v1alpha1.Run) int {
	return cmp.Or(cmp.Compare(b.Sequence, a.Sequence), b.Created.Compare(a.Created), strings.Compare(b.ID, a.ID))
}

// next is the number of the run that comes after these.
func next(runs []v1alpha1.Run) int {
	last := 0
	for _, r := range runs {
		last = max(last, r.Sequence)
	}
	return last + 1
}

// OpenRun returns the run that is open, nil when there is none. Whether one of a later program is open can't be told: where no
// other is, that is an error.
func (j *Journal) OpenRun() (*v1alpha1.Run, error) {
	runs, err := j.Runs()
	if err != nil {
		return nil, err
	}
	return openOf(runs)
}

func openOf(runs []v1alpha1.Run) (*v1alpha1.Run, error) {
	var later error
	for i, r := range runs {
		var newer *v1alpha1.NewerError
		if _, err := r.Header().Known(); errors.As(err, &newer) {
			newer.What = recordOf(r.ID)
			later = newer
			continue
		}
		if r.Phase.Open() {
			return &runs[i], nil
		}
	}
	return nil, later
}

// Plan returns the run's plan.
func (j *Journal) Plan(id string) (*v1alpha1.Plan, error) {
	if !ValidID(id) {
		return nil, fmt.Errorf("%q: %w", id, ErrUnknown)
	}
	name := j.path("runs", id, "plan.json")
	data, err := j.files.Read(name, recordLimit)
	if errors.Is(err, host.ErrNotExist) {
		return nil, fmt.Errorf("the plan of %s: %w", id, ErrUnknown)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the run's plan: %w", err)
	}
	p := new(v1alpha1.Plan)
	if err := decode(data, v1alpha1.KindPlan, p); err != nil {
		return nil, unreadable(name, "the plan of run "+id, err)
	}
	if p.Run != id {
		return nil, &CorruptError{Path: name, Err: fmt.Errorf("it is the plan of run %q", p.Run)}
	}
	return p, nil
}
