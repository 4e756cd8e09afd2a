// Package check holds the rules that say what would break when a node changes its runtime. Each has a stable ID.
//
// The package is pure: it may import runtimes, kubelet, shell, edit and apis and reaches no machine.
package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// Rule is one thing that is looked at.
type Rule struct {
	// ID is stable: N… about the node, K… about the kubelet, R… about the runtimes, H… about
	// the system and configuration that they stand on, U… about who else uses them.
	ID string
	// Title says in a few words what holds where the rule has nothing to say.
	Title string
	// Doc says why it matters, what to do and whether the rule is firm, for the reference.
	Doc string
}

// rule is a Rule and the function that applies it; findings get the rule's ID.
type rule struct {
	Rule
	apply func(n *node) []v1alpha1.Finding
}

// node is what rules look at.
type node struct {
	f *v1alpha1.Facts
	v kubelet.View
	// config is what the kubelet goes by.
	config kubelet.Configuration
	// from serves the kubelet; empty when its endpoint belongs to no runtime that we know.
	from v1alpha1.RuntimeName
	to   runtimes.Description
}

// List returns all rules in the order of their IDs, those that planning applies included.
func List() []Rule {
	var out []Rule
	for _, r := range rules() {
		out = append(out, r.Rule)
	}
	out = append(out, planned()...)
	for i := range out {
		if Firm(out[i].ID) {
			out[i].Doc += " The rule is firm: --ignore does not override it."
		}
	}
	slices.SortFunc(out, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Switch returns what rules say about moving the node to another runtime, errors first.
func Switch(f *v1alpha1.Facts, v kubelet.View, to v1alpha1.RuntimeName) []v1alpha1.Finding {
	d, err := runtimes.Get(to)
	if err != nil {
		return []v1alpha1.Finding{{ID: "R001", Severity: v1alpha1.SeverityError, Message: err.Error(), Node: f.Node}}
	}
	n := &node{f: f, v: v, config: kubelet.Configure(f), from: runtimes.Serving(v), to: d}
	if n.from == to {
		return nil
	}
	var out []v1alpha1.Finding
	for _, r := range rules() {
		out = append(out, identified(r.ID, f.Node, r.apply(n))...)
	}
	return Sort(out)
}

// Firm reports whether a rule can't be ignored: what it refuses would have no right plan. The rules E… are all firm:
// where one of them refuses, no edit of the kubelet's files is known.
func Firm(id string) bool {
	switch id {
	case "N003", "K001", "K002", "K004", "K005", "K007", "R001", "R002", "R014", runtimes.SignaturePolicy, runtimes.Unreadable:
		return true
	}
	return strings.HasPrefix(id, "E")
}

// Sort orders findings by severity, then ID, and keeps the order of those of one rule.
func Sort(in []v1alpha1.Finding) []v1alpha1.Finding {
	rank := map[v1alpha1.Severity]int{v1alpha1.SeverityError: 0, v1alpha1.SeverityFixable: 1, v1alpha1.SeverityWarning: 2}
	slices.SortStableFunc(in, func(a, b v1alpha1.Finding) int {
		return cmp.Or(cmp.Compare(rank[a.Severity], rank[b.Severity]), cmp.Compare(a.ID, b.ID))
	})
	return in
}

func rules() []rule {
	return slices.Concat(nodeRules(), kubeletRules(), runtimeRules(), hostRules(), userRules())
}

func stop(hint, format string, args ...any) []v1alpha1.Finding {
	return []v1alpha1.Finding{{Severity: v1alpha1.SeverityError, Message: fmt.Sprintf(format, args...), Hint: hint}}
}

func warn(hint, format string, args ...any) []v1alpha1.Finding {
	return []v1alpha1.Finding{{Severity: v1alpha1.SeverityWarning, Message: fmt.Sprintf(format, args...), Hint: hint}}
}

// identified gives findings the ID of their rule and their node.
func identified(id, node string, list []v1alpha1.Finding) []v1alpha1.Finding {
	for i := range list {
		list[i].ID, list[i].Node = id, node
	}
	return list
}

// shown adds evidence to findings.
func shown(in []v1alpha1.Finding, evidence ...string) []v1alpha1.Finding {
	for i := range in {
		in[i].Evidence = append(in[i].Evidence, evidence...)
	}
	return in
}
