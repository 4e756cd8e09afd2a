package journal_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

// kept are the runs that the journal has, oldest first, by the letter that named them.
func kept(t *testing.T, j *journal.Journal) string {
	t.Helper()
	runs, err := j.Runs()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, r := range slices.Backward(runs) {
		out.WriteString(r.By)
	}
	return out.String()
}

// TestCollect: a history is a row of letters. S is a switch that was confirmed, R and what follows it a confirmed rollback of the
// run at that place, x a dry run, b a run that was rolled back.
func TestCollect(t *testing.T) {
	for _, c := range []struct{ name, history, want string }{
		{"dry runs don't push the way back out", "S0 x x x x x x", "S0 x x x x x"},
		{"nor do runs that were rolled back", "S0 b b b b b b b", "S0 b b b b b"},
		{"every switch leads back", "S0 S1 S2 S3 S4 S5 S6 S7", "S0 S1 S2 S3 S4 S5 S6 S7"},
		{"each kind is counted apart", "S0 x S2 b S4 x b x S8 x x", "S0 S2 S4 x b x S8 x x"},
		{"what was undone leads nowhere", "S0 S1 R1 x x x x x x", "S0 S1 R1 x x x x x"},
		{"nor does a switch behind it that was undone", "S0 S1 R1 S3 x x x x x x", "S0 S1 R1 S3 x x x x x"},
		{"many rollbacks of the only switch", "S0 R0 x x x x x x", "R0 x x x x x"},
		{"a rollback through several", "S0 S1 S2 R1 x x x x x x", "S0 S1 R1 x x x x x"},
		{"the rollback of a rollback leads back as the switch did", "S0 R0 R1 x x x x x x", "S0 R0 R1 x x x x x"},
		{"nothing leads back, the last one can be undone", "S0 R0 R1 R2 x x x x x x", "R2 x x x x x"},
		{"all undone", "S0 S1 S2 R0 x x x x x x", "R0 x x x x x"},
		{"all undone, and anew", "S0 S1 S2 R0 S4 x x x x x x", "S4 x x x x x"},
		{"only dry runs", "x x x x x x x", "x x x x x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, j := newJournal(t)
			var want []string
			for k, word := range strings.Fields(c.history) {
				run := v1alpha1.Run{ID: fmt.Sprintf("r-%08x", k), Phase: v1alpha1.PhaseConfirmed, By: word + " "}
				switch word[0] {
				case 'x':
					run.Phase = v1alpha1.PhaseRemoved
				case 'b':
					run.Phase = v1alpha1.PhaseRolledBack
				case 'R':
					run.Restores = "r-0000000" + word[1:]
				}
				sha, err := j.Put([]byte(run.ID))
				if err != nil {
					t.Fatal(err)
				}
				p := plan(run.ID)
				p.Before.Files = []v1alpha1.FileState{{Path: "/etc/crictl.yaml", Type: v1alpha1.Regular, SHA256: sha}}
				if err := j.Create(run, p); err != nil {
					t.Fatal(err)
				}
				if err := j.Collect(5); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(c.want, strings.TrimSpace(kept(t, j))); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
			runs, err := j.Runs()
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range runs {
				want = append(want, journal.Digest([]byte(r.ID)))
				if _, err := j.Plan(r.ID); err != nil {
					t.Error(err)
				}
			}
			slices.Sort(want)
			blobs, err := n.Machine().Files.ReadDir(journal.Dir + "/blobs")
			if diff := cmp.Diff(want, blobs); diff != "" || err != nil {
				t.Errorf("%v, contents (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestCollectIsCutOff: no record is without its plan at any moment, as nothing could be decided on that.
func TestCollectIsCutOff(t *testing.T) {
	for _, file := range []string{"run.json", "plan.json"} {
		t.Run(file, func(t *testing.T) {
			n, j := newJournal(t)
			for k := range 3 {
				create(t, j, fmt.Sprintf("r-0000000%d", k), v1alpha1.PhaseRemoved)
			}
			broken := errors.New("input/output error")
			n.Fault(func(act string) error {
				if strings.HasPrefix(act, "remove ") && strings.HasSuffix(act, file) {
					return broken
				}
				return nil
			})
			if err := j.Collect(1); !errors.Is(err, broken) {
				t.Fatalf("got %v", err)
			}
			n.Fault(nil)
			runs, err := j.Runs()
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range runs {
				if _, err := j.Plan(r.ID); err != nil {
					t.Error(err)
				}
			}
			if err := j.Collect(1); err != nil {
				t.Error(err)
			}
			if dirs, err := n.Machine().Files.ReadDir(journal.Dir + "/runs"); err != nil || len(dirs) != 1 {
				t.Errorf("left: %v, %v", dirs, err)
			}
		})
	}
}
