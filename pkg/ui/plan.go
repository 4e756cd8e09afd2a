package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// Plan is what a person decides on: everything that would happen to one node.
type Plan struct {
	Plan  *v1alpha1.Plan
	Steps []plan.Step
	Diffs []plan.FileDiff
	// Findings are errors, repairs and warnings about the node.
	Findings []v1alpha1.Finding
	// Evictions are the pods that the drain moves, as namespace/name.
	Evictions []string
	// Resumes is the open run that would be seen to its end; nil for a new one.
	Resumes *v1alpha1.Run
	// Blocked: it will be refused; the result says why.
	Blocked bool
	// Offline: the API server wasn't asked, so nothing is known of pods.
	Offline bool
	// ConfirmTimeout is how long the node waits for its proof before it goes back.
	ConfirmTimeout time.Duration
}

// Plan prints a plan: on stdout, where it is what was asked for; on stderr, where stdout carries a document.
func (u *UI) Plan(p Plan, onStdout bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.erase()
	w, s := u.err, u.errStyle
	if onStdout {
		w, s = u.out, u.outStyle
	}
	p.print(w, s)
}

func (p Plan) print(w io.Writer, s style) {
	x := p.Plan
	title := fmt.Sprintf("%s: %s %s %s", clean(x.Node), ref(x.From), s.arrow, ref(x.To))
	facts := []string{}
	if x.Digest != "" {
		facts = append(facts, "plan "+clean(x.Digest[:min(len(x.Digest), 8)]))
	}
	facts = append(facts, plural(len(p.Steps), "step"))
	switch {
	case len(p.Evictions) > 0:
		facts = append(facts, "drains "+plural(len(p.Evictions), "pod"))
	case p.Resumes == nil && !p.Offline:
		facts = append(facts, "no pod to drain")
	}
	if x.Restores != "" {
		facts = append(facts, "undoes run "+clean(x.Restores))
	}
	fmt.Fprintf(w, "%s   %s\n", s.bold(title), s.faint(strings.Join(facts, " "+s.dot+" ")))
	if p.Resumes != nil {
		fmt.Fprintf(w, "  %s run %s of %s is open in phase %s: it is seen to its end\n", s.yellow(s.warn), clean(p.Resumes.ID), clean(p.Resumes.By), clean(string(p.Resumes.Phase)))
	}
	for _, f := range p.Findings {
		finding(w, s, f)
	}
	p.acts(w, s)
	if len(p.Evictions) > 0 {
		fmt.Fprintf(w, "  pods that move: %s\n", some(p.Evictions, 6))
	}
	if !p.Blocked && p.ConfirmTimeout > 0 {
		fmt.Fprintf(w, "\nReverts by itself unless the node is proved well within %s.\n", waited(p.ConfirmTimeout))
	}
}

// Findings prints what rules said about a node that has no plan.
func (u *UI) Findings(node string, findings []v1alpha1.Finding) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.erase()
	fmt.Fprintf(u.err, "%s:\n", u.errStyle.bold(clean(node)))
	for _, f := range findings {
		finding(u.err, u.errStyle, f)
	}
}

// Changes prints what was changed in files since a run left them, which is why it can't be undone.
func (u *UI) Changes(node, run string, files []plan.FileDiff) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.erase()
	fmt.Fprintf(u.err, "%s, since run %s:\n", u.errStyle.bold(clean(node)), clean(run))
	Plan{Diffs: files}.acts(u.err, u.errStyle)
}

// acts prints the steps in their order, each file's with its diff.
func (p Plan) acts(w io.Writer, s style) {
	longest := 0
	for _, d := range p.Diffs {
		longest = max(longest, len(d.Path))
	}
	file := func(d plan.FileDiff) {
		why := ""
		if d.Why != "" {
			why = strings.Repeat(" ", longest-len(d.Path)) + "   " + s.faint(clean(d.Why))
		}
		fmt.Fprintf(w, "  %s %s%s\n", paintKind(s, d.Kind), clean(d.Path), why)
		for _, note := range d.Notes {
			fmt.Fprintf(w, "      %s %s\n", s.yellow(s.warn), clean(note))
		}
		diff(w, s, d.Unified)
	}
	left := slices.Clone(p.Diffs)
	for _, step := range p.Steps {
		i := slices.IndexFunc(left, func(d plan.FileDiff) bool {
			return step.Kind == d.Kind && (step.Text == d.Path || strings.HasPrefix(step.Text, d.Path+" "))
		})
		if i < 0 {
			fmt.Fprintf(w, "  %s %s\n", paintKind(s, step.Kind), clean(step.Text))
			continue
		}
		file(left[i])
		left = slices.Delete(left, i, i+1)
	}
	for _, d := range left {
		// A directory that is made for a file above isn't worth a line.
		if d.Why != "" || d.Unified != "" || len(d.Notes) > 0 {
			file(d)
		}
	}
}

// diff prints the hunks of a unified diff, without the file names that stand above it already. Lines of the file may begin as those do.
func diff(w io.Writer, s style, unified string) {
	hunks := false
	for line := range strings.Lines(unified) {
		if hunks = hunks || strings.HasPrefix(line, "@@"); !hunks {
			continue
		}
		line = escape(strings.TrimSuffix(line, "\n"))
		switch {
		case strings.HasPrefix(line, "+"):
			line = s.green(line)
		case strings.HasPrefix(line, "-"):
			line = s.red(line)
		case strings.HasPrefix(line, "@@"):
			line = s.cyan(line)
		}
		fmt.Fprintf(w, "      %s\n", line)
	}
}

func paintKind(s style, k plan.Kind) string {
	switch k {
	case plan.Create:
		return s.green(string(k))
	case plan.Remove:
		return s.red(string(k))
	}
	return s.yellow(clean(string(k)))
}

// finding prints one finding with its evidence and hint.
func finding(w io.Writer, s style, f v1alpha1.Finding) {
	if f.Suppressed != "" {
		fmt.Fprintf(w, "  %s\n", s.faint(fmt.Sprintf("- %s of %s ignored: %s", clean(f.ID), clean(f.Object), clean(f.Suppressed))))
		return
	}
	glyph := s.yellow(s.warn)
	switch f.Severity {
	case v1alpha1.SeverityError:
		glyph = s.red(s.fail)
	case v1alpha1.SeverityFixable:
		glyph = s.green("~")
	}
	fmt.Fprintf(w, "  %s %s %s %s\n", glyph, clean(f.ID), clean(string(f.Severity)), clean(f.Message))
	if f.Object != "" {
		fmt.Fprintf(w, "      of: %s\n", clean(f.Object))
	}
	if len(f.Evidence) > 0 {
		fmt.Fprintf(w, "      see: %s\n", some(f.Evidence, 5))
	}
	if f.Hint != "" {
		fmt.Fprintf(w, "      hint: %s\n", clean(f.Hint))
	}
}

// some lists the first n and counts the others.
func some(list []string, n int) string {
	if len(list) <= n {
		return clean(strings.Join(list, ", "))
	}
	return fmt.Sprintf("%s and %d more", clean(strings.Join(list[:n], ", ")), len(list)-n)
}

func ref(r v1alpha1.RuntimeRef) string { return clean(join(string(r.Name), r.Version)) }
