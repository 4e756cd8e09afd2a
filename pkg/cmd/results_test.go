package cmd

import (
	"errors"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/rollout"
)

func TestEnd(t *testing.T) {
	failure := errors.New("the API server is gone")
	for _, tc := range []struct {
		name     string
		outcomes []rollout.Outcome
		err      error
		code     int
		printed  bool
	}{
		{name: "nothing", code: 0},
		{name: "all well", outcomes: []rollout.Outcome{rollout.Switched, rollout.NothingToDo, rollout.Validated}},
		{name: "rolled back as asked", outcomes: []rollout.Outcome{rollout.RolledBack, rollout.RolledBack}},
		{name: "refused", outcomes: []rollout.Outcome{rollout.Switched, rollout.Refused}, code: 1},
		{name: "interrupted counts more than refused", outcomes: []rollout.Outcome{rollout.Interrupted, rollout.Refused}, code: 130},
		{name: "rolled back counts more than interrupted", outcomes: []rollout.Outcome{rollout.RolledBack, rollout.Interrupted}, code: 3},
		{name: "stuck counts most", outcomes: []rollout.Outcome{rollout.Stuck, rollout.RolledBack, rollout.Interrupted}, code: 4},
		{name: "a node that can't be asked needs a person", outcomes: []rollout.Outcome{rollout.Unknown}, code: 4},
		{name: "an error alone", err: failure, code: 1, printed: true},
		{name: "an error behind a node that went well", outcomes: []rollout.Outcome{rollout.Switched}, err: failure, code: 1, printed: true},
		{name: "an error behind a stuck node", outcomes: []rollout.Outcome{rollout.Stuck}, err: failure, code: 4, printed: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var results []rollout.Result
			for _, o := range tc.outcomes {
				r := rollout.Result{Outcome: o}
				if o == rollout.RolledBack && tc.code != 0 {
					r.Err = failure
				}
				results = append(results, r)
			}
			err := end(results, tc.err)
			code, printed := codeDone, false
			var quiet ended
			var loud said
			switch {
			case errors.As(err, &quiet):
				code = quiet.code
			case errors.As(err, &loud):
				code, printed = loud.code, errors.Is(err, failure)
			case err != nil:
				code, printed = codeError, errors.Is(err, failure)
			}
			if code != tc.code || printed != tc.printed {
				t.Errorf("code %d, printed %v; want %d, %v", code, printed, tc.code, tc.printed)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	known := map[string]string{"N001": "N001", "N004": "N004", "R003": "R003"}
	for word, want := range map[string]string{"N01": "N001", "R03": "R003", "N0044": "N004", "X999": "", "": ""} {
		if got := nearest(word, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestEdits(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"kitten", "sitting", 3}, {"crio", "cri-o", 1}, {"same", "same", 0}} {
		if got := edits(tc.a, tc.b); got != tc.want {
			t.Errorf("edits(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}
