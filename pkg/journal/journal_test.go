package journal_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

const id = "r-0000000a"

func newJournal(t testing.TB) (*hosttest.Node, *journal.Journal) {
	t.Helper()
	n := hosttest.New()
	n.Boot()
	m := n.Machine()
	return n, journal.Open(m.Files, m.Clock, journal.Dir)
}

func plan(id string) *v1alpha1.Plan {
	return &v1alpha1.Plan{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindPlan, Format: v1alpha1.Format, Run: id}
}

func create(t testing.TB, j *journal.Journal, id string, phase v1alpha1.Phase) {
	t.Helper()
	if err := j.Create(v1alpha1.Run{ID: id, By: "ana@laptop", To: v1alpha1.CRIO, Phase: phase}, plan(id)); err != nil {
		t.Fatal(err)
	}
}

func TestCreateRefusesASecondOpenRun(t *testing.T) {
	_, j := newJournal(t)
	create(t, j, id, v1alpha1.PhaseStaging)
	err := j.Create(v1alpha1.Run{ID: "r-0000000b"}, &v1alpha1.Plan{Run: "r-0000000b"})
	var busy *journal.BusyError
	if !errors.As(err, &busy) || busy.Open.ID != id || !strings.Contains(err.Error(), "ana@laptop") {
		t.Fatalf("got %v", err)
	}
	if _, err := j.Advance(id, []v1alpha1.Phase{v1alpha1.PhaseStaging}, v1alpha1.PhaseRemoved, nil); err != nil {
		t.Fatal(err)
	}
	create(t, j, "r-0000000b", v1alpha1.PhaseStaging)
	for _, bad := range []string{"", "r-1", "../../etc", "r-0000000A", "r-0000000a/.."} {
		if err := j.Create(v1alpha1.Run{ID: bad}, &v1alpha1.Plan{Run: bad}); err == nil {
			t.Errorf("a run named %q was taken in", bad)
		}
	}
}

// TestAdvanceHasOneWinner: of a confirmation and a deadline in flight together exactly one wins, and the other is told.
func TestAdvanceHasOneWinner(t *testing.T) {
	n, j := newJournal(t)
	create(t, j, id, v1alpha1.PhaseApplied)
	var wg sync.WaitGroup
	targets := []v1alpha1.Phase{v1alpha1.PhaseConfirmed, v1alpha1.PhaseRollingBack}
	errs := make([]error, 40)
	for k := range errs {
		wg.Go(func() {
			m := n.Machine()
			_, errs[k] = journal.Open(m.Files, m.Clock, journal.Dir).Advance(id, []v1alpha1.Phase{v1alpha1.PhaseApplied}, targets[k%2], nil)
		})
	}
	wg.Wait()
	r, err := j.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	won := 0
	for k, err := range errs {
		var phase *journal.PhaseError
		switch {
		case err == nil:
			won++
			if r.Phase != targets[k%2] {
				t.Errorf("%s won, and the run is %s", targets[k%2], r.Phase)
			}
		case !errors.As(err, &phase) || phase.Run.Phase != r.Phase:
			t.Errorf("a loser was told %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d winners", won)
	}
}

func TestDeadline(t *testing.T) {
	n, j := newJournal(t)
	create(t, j, id, v1alpha1.PhaseApplied)
	m := n.Machine()
	_, err := j.Advance(id, []v1alpha1.Phase{v1alpha1.PhaseApplied}, v1alpha1.PhaseApplied, func(r *v1alpha1.Run) {
		r.Boot, r.Deadline = m.Clock.Boot(), int64(m.Clock.SinceBoot()+time.Minute)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Clock.Sleep(t.Context(), 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if r, err := j.Load(id); err != nil || r.DeadlineIn != 40*time.Second {
		t.Errorf("after 20s: %v, %v", r.DeadlineIn, err)
	}
	n.PowerOff(nil)
	n.Boot()
	m = n.Machine()
	if r, err := journal.Open(m.Files, m.Clock, journal.Dir).Load(id); err != nil || r.DeadlineIn >= 0 {
		t.Errorf("a deadline of another boot is over, got %v, %v", r.DeadlineIn, err)
	}
}

// TestCorrupt: a record that can't be read is neither open nor closed by guess: it is stuck and says why.
func TestCorrupt(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "cut": `{"apiVersion":`, "another run's": `{"apiVersion":"kubectl-runtime/v1alpha1","kind":"Run","id":"r-0000000b","phase":"applied"}`,
		"another kind":       `{"apiVersion":"kubectl-runtime/v1alpha1","kind":"Plan","id":"r-0000000a","phase":"applied"}`,
		"another group":      `{"apiVersion":"v1","kind":"Run","id":"r-0000000a","phase":"applied"}`,
		"no format":          `{"apiVersion":"kubectl-runtime/v1alpha2","kind":"Run","id":"r-0000000a","phase":"applied"}`,
		"a phase unheard of": `{"apiVersion":"kubectl-runtime/v1alpha1","kind":"Run","id":"r-0000000a","phase":"done"}`,
	} {
		t.Run(name, func(t *testing.T) {
			n, j := newJournal(t)
			create(t, j, id, v1alpha1.PhaseApplied)
			n.Write(journal.Dir+"/runs/"+id+"/run.json", text)
			var corrupt *journal.CorruptError
			if _, err := j.Load(id); !errors.As(err, &corrupt) {
				t.Errorf("Load: %v", err)
			}
			if _, err := j.Advance(id, []v1alpha1.Phase{v1alpha1.PhaseApplied}, v1alpha1.PhaseConfirmed, nil); !errors.As(err, &corrupt) {
				t.Errorf("Advance: %v", err)
			}
			open, err := j.OpenRun()
			if err != nil || open == nil || open.Phase != v1alpha1.PhaseStuck || !strings.Contains(open.Reason, "run.json") {
				t.Errorf("OpenRun: %+v, %v", open, err)
			}
		})
	}
}

func TestProgress(t *testing.T) {
	n, j := newJournal(t)
	create(t, j, id, v1alpha1.PhaseApplying)
	report := j.Report(id)
	for k := range 5 {
		report(v1alpha1.Progress{Step: "pull", Detail: fmt.Sprint(k)})
	}
	file := journal.Dir + "/runs/" + id + "/progress.jsonl"
	text, _ := n.Content(file)
	n.Write(file, text[:len(text)-7]) // as a crash cuts it
	j.Report(id)(v1alpha1.Progress{Step: "pull", Detail: "after the crash"})
	lines, err := j.Progress(id, 2)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range lines {
		got = append(got, fmt.Sprintf("%d %s", l.Seq, l.Detail))
	}
	if diff := cmp.Diff([]string{"3 2", "4 3", "5 after the crash"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestBlobs(t *testing.T) {
	n, j := newJournal(t)
	sha, err := j.Put([]byte("token: hunter2\n"))
	if err != nil {
		t.Fatal(err)
	}
	file := journal.Dir + "/blobs/" + sha
	if f, err := n.Machine().Files.Lstat(file); err != nil || f.Mode != 0o600 {
		t.Errorf("mode %o, %v", f.Mode, err)
	}
	if data, err := j.Blob(sha); err != nil || string(data) != "token: hunter2\n" {
		t.Errorf("got %q, %v", data, err)
	}
	n.Write(file, "token: other\n")
	var corrupt *journal.CorruptError
	if _, err := j.Blob(sha); !errors.As(err, &corrupt) {
		t.Errorf("a content that was changed was given out: %v", err)
	}
	if _, err := j.Blob("../lock"); err == nil {
		t.Error("a path was taken for a digest")
	}
}
