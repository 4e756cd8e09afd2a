package workload

import (
	"cmp"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

// rule is a Rule and the function that applies it: to each workload, or once to the inventory.
type rule struct {
	Rule
	each func(s *subject) []hit
	once func(j *judge) []about
}

// hit is one place where a rule found something.
type hit struct {
	severity v1alpha1.Severity
	// message says what is so and why it matters; that of the gravest hit stands for all of an object.
	message, hint string
	evidence      string
	// line is where it stands in the file, if it is known.
	line int
}

// about is what a rule found of one object.
type about struct {
	object      Object
	annotations []map[string]string
	// pods are those that are concerned; one without a name stands for its node alone.
	pods []Placed
	// more counts pods that aren't in the list above.
	more   int
	source Source
	hits   []hit
}

// judge is one run of all rules.
type judge struct {
	inv    *Inventory
	o      Options
	known  *known
	served map[v1alpha1.RuntimeName]bool
	texts  map[textKey]*text
	parser *shell.Parser
	// index and addresses are made when a rule asks for them.
	index *index
	// addresses are the nodes' names and addresses.
	addresses map[string]bool
	// drivers are the DaemonSets that register a driver with the kubelet, once a rule has asked for one.
	drivers map[*Workload]bool
}

// Rules returns all rules in the order of their IDs.
func Rules() []Rule {
	var out []Rule
	for _, r := range rules() {
		out = append(out, r.Rule)
	}
	return out
}

func rules() []rule {
	all := slices.Concat(mountRules(), dockerRules(), logRules(), crioRules(), imageRules(), classRules(), drainRules(), stayRules(), clusterRules())
	slices.SortFunc(all, func(a, b rule) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Check returns what the rules say about the inventory: once per rule and object, errors first, with the evidence of every
// place. Findings that an annotation suppresses carry its reason; they are returned too.
func Check(inv *Inventory, o Options) []v1alpha1.Finding {
	j := &judge{inv: inv, o: o, known: newKnown(), served: map[v1alpha1.RuntimeName]bool{}, texts: map[textKey]*text{}, parser: shell.NewParser()}
	for _, name := range o.From {
		j.served[name] = true
	}
	all := rules()
	c := newCollection()
	for i := range inv.Workloads {
		s := j.subject(&inv.Workloads[i])
		for n := range all {
			if all[n].each == nil {
				continue
			}
			if hits := all[n].each(s); len(hits) > 0 {
				c.add(all[n].ID, about{s.w.Object, []map[string]string{s.w.Annotations, s.w.PodAnnotations}, s.w.Pods, 0, s.w.Source, hits})
			}
		}
	}
	for n := range all {
		if all[n].once == nil {
			continue
		}
		for _, a := range all[n].once(j) {
			c.add(all[n].ID, a)
		}
	}
	return c.findings()
}

// one returns a single hit.
func one(severity v1alpha1.Severity, line int, evidence, message, hint string) []hit {
	return []hit{{severity, message, hint, evidence, line}}
}
