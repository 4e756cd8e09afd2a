package ui

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/report"
)

// fewEvidence is how many places of a finding are shown unless all are asked for.
const fewEvidence = 3

// Check prints what rules found, grouped by node, cluster and namespace. Wide shows every place and every node.
func (u *UI) Check(r *report.Report, wide bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.erase()
	w, s := u.out, u.outStyle
	first := true
	head := func(title string) {
		if !first {
			fmt.Fprintln(w)
		}
		first = false
		fmt.Fprintln(w, s.bold(title))
	}
	groups := r.Groups()
	show := func(wanted func(report.GroupKind) bool) {
		for _, g := range groups {
			if !wanted(g.Kind) {
				continue
			}
			switch {
			case g.Kind == report.OfNode:
				head(checkedNode(s, r, g.Title))
			case g.Title == "":
				head("no namespace")
			default:
				head(clean(g.Title))
			}
			for _, o := range g.Objects {
				checkedObject(w, s, o, wide)
			}
		}
	}
	ofNode := func(k report.GroupKind) bool { return k == report.OfNode }
	show(ofNode)
	for _, n := range r.Nodes {
		if !slices.ContainsFunc(groups, func(g report.Group) bool { return ofNode(g.Kind) && g.Title == n.Name }) {
			head(checkedNode(s, r, n.Name))
			fmt.Fprintf(w, "  %s nothing in the way\n", s.green(s.done))
		}
	}
	show(func(k report.GroupKind) bool { return !ofNode(k) })
}

// checkedNode heads a node's findings: what serves it, and where it would go.
func checkedNode(s style, r *report.Report, name string) string {
	for _, n := range r.Nodes {
		if n.Name != name {
			continue
		}
		title := clean(name)
		if n.Runtime != "" {
			title += "  " + clean(n.Runtime)
		}
		if r.To != "" {
			title += " " + s.arrow + " " + clean(string(r.To))
		}
		return title
	}
	return clean(name)
}

func checkedObject(w io.Writer, s style, o report.Object, wide bool) {
	indent := "  "
	if o.Name != "" {
		fmt.Fprintf(w, "  %s%s\n", clean(o.Kind+"/"+o.Name), s.faint(where(o, wide)))
		indent = "    "
	}
	for _, f := range o.Findings {
		if f.Suppressed != "" {
			fmt.Fprintf(w, "%s%s\n", indent, s.faint(fmt.Sprintf("- %s ignored: %s", clean(f.ID), clean(f.Suppressed))))
			continue
		}
		glyph := s.yellow(s.warn)
		switch f.Severity {
		case v1alpha1.SeverityError:
			glyph = s.red(s.fail)
		case v1alpha1.SeverityFixable:
			glyph = s.green("~")
		}
		fmt.Fprintf(w, "%s%s %s %s %s\n", indent, glyph, clean(f.ID), clean(string(f.Severity)), clean(f.Message))
		if f.File != "" {
			at := f.File
			if f.Line > 0 {
				at += fmt.Sprintf(":%d", f.Line)
			}
			fmt.Fprintf(w, "%s    in: %s\n", indent, clean(at))
		}
		for i, e := range f.Evidence {
			if i == fewEvidence && !wide && len(f.Evidence) > fewEvidence+1 {
				fmt.Fprintf(w, "%s    see: and %d more places (-o wide shows them)\n", indent, len(f.Evidence)-i)
				break
			}
			fmt.Fprintf(w, "%s    see: %s\n", indent, clean(e))
		}
		if f.Hint != "" {
			fmt.Fprintf(w, "%s    hint: %s\n", indent, clean(f.Hint))
		}
	}
}

// where says how many pods an object has, and where they are.
func where(o report.Object, wide bool) string {
	if o.Pods == 0 {
		return ""
	}
	text := "  " + report.Plural(o.Pods, "pod")
	switch n := len(o.Nodes); {
	case n == 0:
	case wide:
		text += " on " + clean(strings.Join(o.Nodes, ", "))
	case n <= 2:
		text += " on " + clean(strings.Join(o.Nodes, " and "))
	default:
		text += " on " + report.Plural(n, "node")
	}
	return text
}

// CheckFooter prints the tally and the next command.
func (u *UI) CheckFooter(r *report.Report, next string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.erase()
	counts, ignored := r.Count()
	var parts []string
	for _, c := range []struct {
		n    int
		word string
	}{
		{counts[v1alpha1.SeverityError], "error"}, {counts[v1alpha1.SeverityFixable], "fixable"}, {counts[v1alpha1.SeverityWarning], "warning"}, {ignored, "ignored"},
	} {
		switch {
		case c.n == 0:
		case c.word == "fixable" || c.word == "ignored":
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.word))
		default:
			parts = append(parts, report.Plural(c.n, c.word))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "Nothing found")
	}
	text := strings.Join(parts, ", ")
	if r.Workloads > 0 {
		text += " in " + report.Plural(r.Workloads, "workload")
	}
	text += fmt.Sprintf("; %s passed.", report.Plural(r.Passed(), "rule"))
	if next != "" {
		text += "  Next: " + next
	}
	if len(r.Findings) > 0 {
		fmt.Fprintln(u.err)
	}
	fmt.Fprintln(u.err, text)
}
