package workload

import (
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
)

// labelled is a label of a namespace's workloads.
type labelled struct{ namespace, key, value string }

// index finds workloads by their namespace and their pods' labels.
type index struct {
	namespaces map[string][]int
	labels     map[labelled][]int
}

func newIndex(inv *Inventory) *index {
	x := &index{namespaces: map[string][]int{}, labels: map[labelled][]int{}}
	for i := range inv.Workloads {
		w := &inv.Workloads[i]
		ns := w.Object.Namespace
		x.namespaces[ns] = append(x.namespaces[ns], i)
		for key, value := range w.Labels {
			at := labelled{ns, key, value}
			x.labels[at] = append(x.labels[at], i)
		}
	}
	return x
}

// selected returns the workloads of a namespace whose pods a selector matches. Only those are looked at that have the rarest
// label that it asks for.
func (j *judge) selected(namespace string, want labels.Selector) []*Workload {
	if j.index == nil {
		j.index = newIndex(j.inv)
	}
	candidates := j.index.namespaces[namespace]
	requirements, _ := want.Requirements()
	for _, r := range requirements {
		if op := r.Operator(); op != selection.Equals && op != selection.DoubleEquals && op != selection.In || r.Values().Len() != 1 {
			continue
		}
		value, _ := r.Values().PopAny()
		if with := j.index.labels[labelled{namespace, r.Key(), value}]; len(with) < len(candidates) {
			candidates = with
		}
	}
	var out []*Workload
	for _, i := range candidates {
		if w := &j.inv.Workloads[i]; want.Matches(labels.Set(w.Labels)) {
			out = append(out, w)
		}
	}
	return out
}

// serviceSelector returns a Service's selector; one without labels selects nothing.
func serviceSelector(want map[string]string) labels.Selector {
	if len(want) == 0 {
		return labels.Nothing()
	}
	return labels.SelectorFromSet(want)
}
