// Package report writes what rules found as documents: for programs (JSON, YAML), for continuous integration (SARIF, JUnit) and for
// the people who own the workloads (one page of HTML). What a terminal shows is package ui's.
//
// The package is pure: documents go to the writer that it is given.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Report is one check, whatever was looked at.
type Report struct {
	Findings []v1alpha1.Finding
	// Rules are those that were applied.
	Rules []Rule
	// To is the runtime that was checked for; empty for any.
	To v1alpha1.RuntimeName
	// Scope says in words what was looked at: "the cluster", "2 files".
	Scope string
	// Workloads and Pods count what was looked at.
	Workloads, Pods int
	// Nodes are those that were asked themselves.
	Nodes []Node
	// Problems are what could not be looked at, a sentence each.
	Problems []string
	// Program and Version name what made the report.
	Program, Version string
	When             time.Time
}

// Rule is what is known of a rule: for the documents that explain themselves.
type Rule struct{ ID, Title, Doc string }

// Node is a node that was asked itself.
type Node struct {
	Name string
	// Runtime is what serves it now, with its version.
	Runtime string
}

// Format is a kind of document.
type Format string

// The kinds of documents.
const (
	JSON  Format = "json"
	YAML  Format = "yaml"
	SARIF Format = "sarif"
	JUnit Format = "junit"
	HTML  Format = "html"
)

// Formats are all of them.
func Formats() []Format { return []Format{JSON, YAML, SARIF, JUnit, HTML} }

// Write writes the report. fail is the least severity that counts as a failure where a format tells failures from the rest.
func (r *Report) Write(w io.Writer, f Format, fail func(v1alpha1.Finding) bool) error {
	switch f {
	case JSON:
		return r.json(w)
	case YAML:
		return r.yaml(w)
	case SARIF:
		return r.sarif(w)
	case JUnit:
		return r.junit(w, fail)
	case HTML:
		return r.html(w)
	}
	return fmt.Errorf("%q is no format of reports", f)
}

// list is what programs get: everything that was found, suppressed findings included.
type list struct {
	APIVersion string               `json:"apiVersion"`
	Kind       string               `json:"kind"`
	To         v1alpha1.RuntimeName `json:"to,omitempty"`
	Problems   []string             `json:"problems,omitempty"`
	Items      []v1alpha1.Finding   `json:"items"`
}

func (r *Report) list() list {
	return list{v1alpha1.APIVersion, "FindingList", r.To, r.Problems, append([]v1alpha1.Finding{}, r.Findings...)}
}

func (r *Report) json(w io.Writer) error { return indented(w, r.list(), "    ") }

func (r *Report) yaml(w io.Writer) error {
	data, err := yaml.Marshal(r.list())
	if err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	_, err = w.Write(data)
	return err
}

func indented(w io.Writer, v any, indent string) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encoding: %w", err)
	}
	return nil
}

// Count counts the findings of each severity that aren't suppressed, and those that are.
func (r *Report) Count() (counts map[v1alpha1.Severity]int, suppressed int) {
	counts = map[v1alpha1.Severity]int{}
	for i := range r.Findings {
		if r.Findings[i].Suppressed != "" {
			suppressed++
		} else {
			counts[r.Findings[i].Severity]++
		}
	}
	return counts, suppressed
}

// Passed counts the rules that found nothing.
func (r *Report) Passed() int {
	passed := 0
	for _, rule := range r.Rules {
		if !slices.ContainsFunc(r.Findings, func(f v1alpha1.Finding) bool { return f.ID == rule.ID }) {
			passed++
		}
	}
	return passed
}

// Group is what belongs together in a report for people.
type Group struct {
	// Title is a node's name, "cluster", a namespace, or a file for objects without a namespace.
	Title string
	Kind  GroupKind
	// Objects have their findings, errors first; the first is about the group itself where its Name is empty.
	Objects []Object

	index map[[3]string]int // into Objects
}

// GroupKind says what a group is of.
type GroupKind string

// The kinds of groups, in their order.
const (
	OfNode      GroupKind = "node"
	OfCluster   GroupKind = "cluster"
	OfNamespace GroupKind = "namespace"
)

// Object is an object with its findings.
type Object struct {
	// Kind and Name are empty where findings are about the group.
	Kind, Name string
	File       string
	Pods       int
	Nodes      []string
	Findings   []v1alpha1.Finding
}

// Groups sorts findings by what they are about: nodes, the cluster, then namespaces with their owners. Those with errors come first.
func (r *Report) Groups() []Group {
	type place struct {
		kind  GroupKind
		title string
	}
	index := map[place]int{}
	var groups []Group
	for _, f := range r.Findings {
		at := place{OfCluster, "cluster"}
		namespace, kind, name := Split(f.Object)
		switch {
		case f.Object == "" && f.Node != "":
			at = place{OfNode, f.Node}
		case namespace != "":
			at = place{OfNamespace, namespace}
		case f.File != "":
			at = place{OfNamespace, ""}
		}
		i, ok := index[at]
		if !ok {
			i = len(groups)
			index[at] = i
			groups = append(groups, Group{Title: at.title, Kind: at.kind, index: map[[3]string]int{}})
		}
		groups[i].add(f, kind, name)
	}
	order := []GroupKind{OfNode, OfCluster, OfNamespace}
	for i := range groups {
		slices.SortStableFunc(groups[i].Objects, func(a, b Object) int {
			return cmp.Or(cmp.Compare(worst(a.Findings), worst(b.Findings)), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.File, b.File))
		})
	}
	slices.SortStableFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Kind), slices.Index(order, b.Kind)), cmp.Compare(a.Title, b.Title))
	})
	return groups
}

func (g *Group) add(f v1alpha1.Finding, kind, name string) {
	key := [3]string{kind, name, f.File}
	i, ok := g.index[key]
	if !ok {
		i = len(g.Objects)
		g.index[key] = i
		g.Objects = append(g.Objects, Object{Kind: kind, Name: name, File: f.File})
	}
	o := &g.Objects[i]
	o.Findings = append(o.Findings, f)
	if f.Pods > o.Pods {
		o.Pods = f.Pods
	}
	if len(f.Nodes) > len(o.Nodes) {
		o.Nodes = f.Nodes
	}
}

// worst ranks findings by the gravest that counts.
func worst(list []v1alpha1.Finding) int {
	rank := 3
	for _, f := range list {
		if f.Suppressed != "" {
			continue
		}
		switch f.Severity {
		case v1alpha1.SeverityError:
			return 0
		case v1alpha1.SeverityWarning:
			rank = min(rank, 1)
		default:
			rank = min(rank, 2)
		}
	}
	return rank
}

// Split takes namespace/kind/name, or kind/name, apart.
func Split(object string) (namespace, kind, name string) {
	parts := strings.SplitN(object, "/", 3)
	switch len(parts) {
	case 3:
		return parts[0], parts[1], parts[2]
	case 2:
		return "", parts[0], parts[1]
	}
	return "", "", object
}

// Plural counts things in words.
func Plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
