package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// What of JUnit's XML is written: what the servers that read it have in common.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    int           `xml:"line,attr,omitempty"`
	Failure *junitText    `xml:"failure"`
	Error   *junitText    `xml:"error"`
	Skipped *junitMessage `xml:"skipped"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
}

// junit writes a suite for each rule: a case for each finding, or one that passed. Findings that don't fail the check pass with a
// text, suppressed ones are skipped.
func (r *Report) junit(w io.Writer, fail func(v1alpha1.Finding) bool) error {
	out := junitSuites{Name: "kubectl-runtime check"}
	byRule := map[string][]v1alpha1.Finding{}
	for _, f := range r.Findings {
		byRule[f.ID] = append(byRule[f.ID], f)
	}
	for _, rule := range r.Rules {
		s := junitSuite{Name: rule.ID + " " + rule.Title}
		for _, f := range byRule[rule.ID] {
			s.add(junitOf(f, fail))
		}
		if len(s.Cases) == 0 {
			s.add(junitCase{Class: rule.ID, Name: rule.Title})
		}
		out.add(s)
		delete(byRule, rule.ID)
	}
	rest := junitSuite{Name: "other findings"}
	for _, f := range r.Findings {
		if _, left := byRule[f.ID]; left {
			rest.add(junitOf(f, fail))
		}
	}
	for i, p := range r.Problems {
		rest.add(junitCase{Class: "problems", Name: fmt.Sprintf("problem %d", i+1), Error: &junitText{Message: p, Type: "problem"}})
	}
	if len(rest.Cases) > 0 {
		out.add(rest)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *junitSuites) add(x junitSuite) {
	s.Suites = append(s.Suites, x)
	s.Tests += x.Tests
	s.Failures += x.Failures
	s.Errors += x.Errors
	s.Skipped += x.Skipped
}

func (s *junitSuite) add(c junitCase) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
}

func junitOf(f v1alpha1.Finding, fail func(v1alpha1.Finding) bool) junitCase {
	c := junitCase{Class: f.ID, Name: f.Object, File: f.File, Line: f.Line}
	switch {
	case f.Object == "" && f.Node != "":
		c.Name = "Node/" + f.Node
	case f.Object == "":
		c.Name = "cluster"
	}
	text := strings.Join(details(&f), "\n")
	switch {
	case f.Suppressed != "":
		c.Skipped = &junitMessage{f.Message + " (ignored: " + f.Suppressed + ")"}
	case fail(f):
		c.Failure = &junitText{Message: f.Message, Type: string(f.Severity), Text: text}
	default:
		c.Out = strings.Join(append([]string{string(f.Severity) + ": " + f.Message}, details(&f)...), "\n")
	}
	return c
}

// details are the lines that stand below a finding's message.
func details(f *v1alpha1.Finding) []string {
	var out []string
	if f.File != "" {
		at := f.File
		if f.Line > 0 {
			at += fmt.Sprintf(":%d", f.Line)
		}
		out = append(out, "in: "+at)
	}
	for _, e := range f.Evidence {
		out = append(out, "see: "+e)
	}
	if f.Hint != "" {
		out = append(out, "hint: "+f.Hint)
	}
	if f.Pods > 0 {
		text := "pods: " + Plural(f.Pods, "pod")
		if len(f.Nodes) > 0 {
			text += " on " + Plural(len(f.Nodes), "node")
		}
		out = append(out, text)
	}
	return out
}
