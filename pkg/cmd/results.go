package cmd

import (
	"errors"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/rollout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/ui"
)

// event is an engine's event as the UI shows it.
func event(e rollout.Event) ui.Event {
	return ui.Event{Node: e.Node, Step: e.Step, Of: e.Of, Text: e.Text, Detail: e.Detail, Warning: e.Warning, Took: e.Took}
}

// result is an engine's result as the UI shows it.
func result(r rollout.Result) ui.Result {
	return ui.Result{
		Node: r.Node, Verdict: verdict(r), Outcome: string(r.Outcome), From: r.From, To: r.To,
		Err: r.Err, State: r.State, Next: r.Next, Took: r.Took, Outage: r.Outage,
	}
}

func verdict(r rollout.Result) ui.Verdict {
	if r.Asked() {
		return ui.Good
	}
	switch r.Outcome {
	case rollout.Switched, rollout.NothingToDo, rollout.Validated:
		return ui.Good
	case rollout.Refused, rollout.RolledBack, rollout.Interrupted:
		return ui.Caught
	}
	return ui.Bad
}

func outcomes(results []rollout.Result) []string {
	list := make([]string, len(results))
	for i, r := range results {
		list[i] = string(r.Outcome)
	}
	return list
}

// untouched are the nodes that nothing became of.
func untouched(nodes []string, results []rollout.Result) []string {
	return slices.DeleteFunc(slices.Clone(nodes), func(n string) bool {
		return slices.ContainsFunc(results, func(r rollout.Result) bool { return r.Node == n })
	})
}

// end turns what became of the nodes, and what ended the work, into the program's end: the worst counts.
func end(results []rollout.Result, err error) error {
	worst := codeDone
	var quiet ended
	if errors.As(err, &quiet) {
		worst, err = quiet.code, nil
	}
	for _, r := range results {
		if !r.Asked() {
			worst = worse(worst, code(r.Outcome))
		}
	}
	switch {
	case err == nil && worst == codeDone:
		return nil
	case err == nil:
		return ended{worst}
	case worst == codeDone || worst == codeError:
		return err
	}
	return said{error: err, code: worst}
}

// said is an error that must still be printed and ends the program with its code.
type said struct {
	error
	code int
}

func (s said) Unwrap() error { return s.error }

func code(o rollout.Outcome) int {
	switch o {
	case rollout.Switched, rollout.NothingToDo, rollout.Validated:
		return codeDone
	case rollout.Refused:
		return codeError
	case rollout.RolledBack:
		return codeRolledBack
	case rollout.Interrupted:
		return codeInterrupted
	}
	// Stuck, and a node that can't be asked any more: the careful reading is that a person must look.
	return codeStuck
}

// worse returns the code that tells more about what a person has to do.
func worse(a, b int) int {
	order := []int{codeDone, codeError, codeInterrupted, codeRolledBack, codeStuck}
	for i := len(order) - 1; i >= 0; i-- {
		if a == order[i] || b == order[i] {
			return order[i]
		}
	}
	return a
}
