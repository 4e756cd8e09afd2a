package journal_test

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

// clock is a clock that somebody sets.
type clock struct {
	host.Clock
	now time.Time
}

func (c *clock) Now() time.Time { return c.now }

// TestOrder: the clock of a node may be set back between two runs; which is the newer one is told by their numbers. Records of
// the first format have none, and are older.
func TestOrder(t *testing.T) {
	n, _ := newJournal(t)
	m := n.Machine()
	c := &clock{Clock: m.Clock, now: time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)}
	j := journal.Open(m.Files, c, journal.Dir)
	ids := []string{"r-00000009", "r-00000008", "r-00000007", "r-00000001", "r-00000002"}
	for k, created := range []string{"2026-05-01T00:00:00Z", "2040-06-01T00:00:00Z"} {
		n.Write(journal.Dir+"/runs/"+ids[k]+"/run.json",
			`{"apiVersion":"kubectl-runtime/v1alpha1","kind":"Run","id":"`+ids[k]+`","phase":"confirmed","created":"`+created+`"}`)
	}
	for _, id := range ids[2:] {
		create(t, j, id, v1alpha1.PhaseConfirmed)
		c.now = c.now.AddDate(-2, 0, 0)
	}
	runs, err := j.Runs()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range runs {
		got = append([]string{runs[i].ID}, got...)
	}
	if diff := cmp.Diff(ids, got); diff != "" {
		t.Errorf("oldest first (-want +got):\n%s", diff)
	}
}

// TestOrderOfARunThatIsMadeAgain: the plan of a dry run that is applied makes the newest run.
func TestOrderOfARunThatIsMadeAgain(t *testing.T) {
	_, j := newJournal(t)
	create(t, j, id, v1alpha1.PhaseRemoved)
	create(t, j, "r-0000000b", v1alpha1.PhaseConfirmed)
	create(t, j, id, v1alpha1.PhaseStaging)
	if runs, err := j.Runs(); err != nil || runs[0].ID != id || runs[0].Sequence != 3 {
		t.Errorf("got %+v, %v", runs, err)
	}
}

// TestLater: what a later program wrote is neither damaged nor open nor closed: it is left as it is, whatever is asked, and the
// program that reads it is named.
func TestLater(t *testing.T) {
	for name, header := range map[string]string{
		"a higher format":    `"apiVersion":"kubectl-runtime/v1alpha2","format":9,"kind":"Run","version":"v0.9.0"`,
		"another apiVersion": `"apiVersion":"kubectl-runtime/v1","kind":"Run","version":"v0.9.0"`,
		"both":               `"apiVersion":"kubectl-runtime/v1","format":9,"kind":"Run","version":"v0.9.0"`,
	} {
		t.Run(name, func(t *testing.T) {
			n, j := newJournal(t)
			create(t, j, id, v1alpha1.PhaseConfirmed)
			create(t, j, "r-0000000b", v1alpha1.PhaseRemoved)
			record := "{" + header + `,"id":7,"phase":{"is":"applied"},"undo":["x"]}`
			n.Write(journal.Dir+"/runs/"+id+"/run.json", record)
			n.Write(journal.Dir+"/runs/"+id+"/plan.json", strings.Replace(record, `"Run"`, `"Plan"`, 1))
			before := n.Snapshot(journal.Dir)

			other := "r-0000000c"
			_, loaded := j.Load(id)
			_, planned := j.Plan(id)
			_, advanced := j.Advance(id, []v1alpha1.Phase{v1alpha1.PhaseConfirmed, v1alpha1.PhaseStuck}, v1alpha1.PhaseRollingBack, nil)
			open, opened := j.OpenRun()
			for what, err := range map[string]error{
				"Load": loaded, "Plan": planned, "Advance": advanced, "OpenRun": opened, "Collect": j.Collect(0),
				"Create of another": j.Create(v1alpha1.Run{ID: other}, plan(other)), "Create": j.Create(v1alpha1.Run{ID: id}, plan(id)),
			} {
				var newer *v1alpha1.NewerError
				if !errors.As(err, &newer) || !strings.Contains(err.Error(), "run "+id) || !strings.Contains(err.Error(), "use kubectl runtime v0.9.0 or later") || strings.Contains(err.Error(), "remove") {
					t.Errorf("%s: %v", what, err)
				}
			}
			if open != nil {
				t.Errorf("said to be open: %+v", open)
			}
			if runs, err := j.Runs(); err != nil || len(runs) != 2 || runs[1].Phase != v1alpha1.PhaseStuck || !strings.Contains(runs[1].Reason, "v0.9.0") {
				t.Errorf("Runs: %+v, %v", runs, err)
			}
			if diff := cmp.Diff(before, n.Snapshot(journal.Dir)); diff != "" {
				t.Errorf("something was written:\n%s", diff)
			}
		})
	}
}

// TestLaterBesideAnOpenRun: a run of ours that is open is seen to its end all the same.
func TestLaterBesideAnOpenRun(t *testing.T) {
	n, j := newJournal(t)
	create(t, j, id, v1alpha1.PhaseApplied)
	n.Write(journal.Dir+"/runs/r-0000000b/run.json", `{"apiVersion":"kubectl-runtime/v2","kind":"Run"}`)
	if open, err := j.OpenRun(); err != nil || open == nil || open.ID != id {
		t.Errorf("open: %+v, %v", open, err)
	}
	if _, err := j.Advance(id, []v1alpha1.Phase{v1alpha1.PhaseApplied}, v1alpha1.PhaseRollingBack, nil); err != nil {
		t.Error(err)
	}
}

// TestUnknownField: a field that no program writes in that format isn't dropped in silence.
func TestUnknownField(t *testing.T) {
	n, j := newJournal(t)
	create(t, j, id, v1alpha1.PhaseApplied)
	for _, file := range []string{"run.json", "plan.json"} {
		name := journal.Dir + "/runs/" + id + "/" + file
		text, _ := n.Content(name)
		n.Write(name, strings.Replace(text, "{", "{\n  \"mustUndoFirst\": [\"x\"],", 1))
	}
	_, loaded := j.Load(id)
	_, planned := j.Plan(id)
	_, advanced := j.Advance(id, []v1alpha1.Phase{v1alpha1.PhaseApplied}, v1alpha1.PhaseRollingBack, nil)
	for what, err := range map[string]error{"Load": loaded, "Plan": planned, "Advance": advanced} {
		var corrupt *journal.CorruptError
		if !errors.As(err, &corrupt) || !strings.Contains(err.Error(), "mustUndoFirst") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if text, _ := n.Content(journal.Dir + "/runs/" + id + "/run.json"); !strings.Contains(text, "mustUndoFirst") {
		t.Error("the record was rewritten without it")
	}
}

// TestFirstFormat reads what commit e3d8f90 wrote. A run of it that is open is its own agent's; one that is over may be
// acknowledged, in its own format.
func TestFirstFormat(t *testing.T) {
	for phase, open := range map[v1alpha1.Phase]bool{v1alpha1.PhaseApplied: true, v1alpha1.PhaseConfirmed: false} {
		t.Run(string(phase), func(t *testing.T) {
			n, j := newJournal(t)
			data, err := os.ReadFile("../apis/v1alpha1/testdata/format-1/node-" + string(phase) + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var files []hosttest.File
			if err := json.Unmarshal(data, &files); err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if strings.HasPrefix(f.Path, journal.Dir) {
					n.Lay(f)
				}
			}
			before := n.Snapshot(journal.Dir)
			r, err := j.Load(id)
			if err != nil || r.Phase != phase || r.To != v1alpha1.CRIO || len(r.Agent) != 64 || r.Format != 0 {
				t.Fatalf("record %+v, %v", r, err)
			}
			if p, err := j.Plan(id); err != nil || len(p.Before.Files) < 5 || p.Digest != r.PlanDigest {
				t.Errorf("plan %+v, %v", p, err)
			}
			if err := j.Collect(0); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(before, n.Snapshot(journal.Dir)); diff != "" {
				t.Errorf("it wasn't only read:\n%s", diff)
			}
			_, err = j.Advance(id, []v1alpha1.Phase{phase}, phase, func(r *v1alpha1.Run) { r.Restore = v1alpha1.APIRestore{Uncordon: true} })
			var others *journal.OthersError
			if open != errors.As(err, &others) || !open && err != nil {
				t.Errorf("Advance: %v", err)
			}
			text, _ := n.Content(journal.Dir + "/runs/" + id + "/run.json")
			was := before[journal.Dir+"/runs/"+id+"/run.json"].Content
			if open && text != was || !open && (text == was || !strings.Contains(text, v1alpha1.APIVersionAlpha1) || strings.Contains(text, `"format"`)) {
				t.Errorf("written as %s", text)
			}
		})
	}
}
