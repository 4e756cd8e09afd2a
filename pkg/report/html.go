package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

//go:embed page.html
var page string

// view is what the page shows.
type view struct {
	*Report
	Errors, Warnings, Fixable int
	Suppressed                int
	Sections                  []section
	Explained                 []Rule
	Date                      string
}

// section is a group with what its heading tells.
type section struct {
	Group
	Anchor                    string
	Name                      string
	Errors, Fixable, Warnings int
	Ignored                   int
}

func (r *Report) html(w io.Writer) error {
	v := view{Report: r, Date: r.When.Format(time.DateTime + " MST")}
	counts, suppressed := r.Count()
	v.Errors, v.Warnings, v.Fixable, v.Suppressed = counts[v1alpha1.SeverityError], counts[v1alpha1.SeverityWarning], counts[v1alpha1.SeverityFixable], suppressed
	for _, g := range r.Groups() {
		// Names of nodes and namespaces fit into addresses: a team can be given its own.
		s := section{Group: g, Anchor: string(g.Kind) + "-" + g.Title, Name: g.Title}
		switch {
		case g.Kind == OfCluster:
			s.Name = "The cluster itself"
		case g.Title == "":
			s.Name = "No namespace"
		}
		for _, o := range g.Objects {
			for _, f := range o.Findings {
				switch {
				case f.Suppressed != "":
					s.Ignored++
				case f.Severity == v1alpha1.SeverityError:
					s.Errors++
				case f.Severity == v1alpha1.SeverityFixable:
					s.Fixable++
				default:
					s.Warnings++
				}
			}
		}
		v.Sections = append(v.Sections, s)
	}
	for _, rule := range r.Rules {
		if slices.ContainsFunc(r.Findings, func(f v1alpha1.Finding) bool { return f.ID == rule.ID }) {
			v.Explained = append(v.Explained, rule)
		}
	}
	t, err := template.New("page").Funcs(template.FuncMap{
		"plural": Plural, "some": someOf,
		"explained": func(id string) bool {
			return slices.ContainsFunc(v.Explained, func(r Rule) bool { return r.ID == id })
		},
		"sentence": func(s string) string { return strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):] },
		"word": func(n int, what string) string {
			_, text, _ := strings.Cut(Plural(n, what), " ")
			return text
		},
		"severity": func(f v1alpha1.Finding) string {
			if f.Suppressed != "" {
				return "ignored"
			}
			return string(f.Severity)
		},
		"paragraphs": func(s string) []string { return strings.Split(strings.TrimSpace(s), "\n\n") },
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("reading the page's template: %w", err)
	}
	return t.Execute(w, v)
}

// someOf lists the first n and counts the others.
func someOf(n int, list []string) string {
	if len(list) <= n {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:n], ", "), len(list)-n)
}
