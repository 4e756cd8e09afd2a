package ui

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Verdict is how a node's run ended, as far as its looks are concerned.
type Verdict int

// The verdicts.
const (
	Good   Verdict = iota // done, or nothing to do
	Caught                // not done, and the node is as before
	Bad                   // a person is needed
)

// Result is the end of one node's run: what happened, what state the node is in now, and the next command.
type Result struct {
	Node    string
	Verdict Verdict
	// Outcome in a word or two: switched, rolled back.
	Outcome string
	From    v1alpha1.RuntimeRef
	To      v1alpha1.RuntimeRef
	Err     error
	State   string
	Next    string
	Took    time.Duration
	Outage  time.Duration
}

// Result prints it: what went well on stdout, where that isn't taken by documents, everything else on stderr.
func (u *UI) Result(r Result, onStdout bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.erase()
	if onStdout && r.Verdict == Good {
		r.print(u.out, u.outStyle)
		return
	}
	r.print(u.err, u.errStyle)
}

func (r Result) print(w io.Writer, s style) {
	if r.Verdict == Good {
		text := fmt.Sprintf("%s %s: %s", s.green(s.done), clean(r.Node), clean(r.Outcome))
		if r.From.Name != "" && r.To.Name != "" && r.From.Name != r.To.Name {
			text += fmt.Sprintf(", %s %s %s", ref(r.From), s.arrow, ref(r.To))
		}
		var times []string
		if r.Took > 0 {
			times = append(times, "in "+seconds(r.Took))
		}
		if r.Outage > 0 {
			times = append(times, seconds(r.Outage)+" without a kubelet")
		}
		if len(times) > 0 {
			text += " (" + strings.Join(times, ", ") + ")"
		}
		fmt.Fprintln(w, text)
	} else {
		glyph := s.red(s.fail)
		if r.Verdict == Caught {
			glyph = s.yellow(s.fail)
		}
		cause := clean(r.Outcome)
		if r.Err != nil {
			cause = escapeLines(r.Err.Error())
		}
		fmt.Fprintf(w, "%s %s: %s\n", glyph, clean(r.Node), cause)
		if r.State == "" {
			r.State = r.Outcome
		}
	}
	if r.State != "" && r.State != r.Outcome || r.Verdict != Good {
		fmt.Fprintf(w, "  state: %s\n", clean(r.State))
	}
	if r.Next != "" {
		fmt.Fprintf(w, "  next: %s\n", escapeLines(r.Next))
	}
}

// Summary ends a run over several nodes: how many ended how, in the order in which that first happened.
func (u *UI) Summary(outcomes []string) {
	if len(outcomes) < 2 {
		return
	}
	var order []string
	count := map[string]int{}
	for _, o := range outcomes {
		if count[o] == 0 {
			order = append(order, o)
		}
		count[o]++
	}
	parts := make([]string, len(order))
	for i, o := range order {
		parts[i] = fmt.Sprintf("%d %s", count[o], o)
	}
	u.Say("%s: %s.", plural(len(outcomes), "node"), strings.Join(parts, ", "))
}
