package workload

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// collection joins what was found about the same object by the same rule.
type collection struct {
	byKey map[collectionKey]*collected
	order []*collected
}

type collectionKey struct {
	id     string
	object Object
	file   string
}

type collected struct {
	f     v1alpha1.Finding
	pods  map[string]bool
	nodes map[string]bool
	more  int
	// counts says that something of it isn't suppressed.
	counts bool
}

func newCollection() *collection {
	return &collection{byKey: map[collectionKey]*collected{}}
}

func (c *collection) add(id string, a about) {
	key := collectionKey{id, a.object, a.source.File}
	k, ok := c.byKey[key]
	if !ok {
		k = &collected{f: v1alpha1.Finding{ID: id, File: a.source.File, Line: a.source.Line}, pods: map[string]bool{}, nodes: map[string]bool{}}
		if a.object != (Object{}) {
			k.f.Object = a.object.String()
		}
		c.byKey[key] = k
		c.order = append(c.order, k)
	}
	for _, h := range a.hits {
		if k.f.Severity == "" || rank(h.severity) < rank(k.f.Severity) {
			k.f.Severity, k.f.Message, k.f.Hint = h.severity, h.message, h.hint
			if h.line > 0 {
				k.f.Line = h.line
			}
		}
		if h.evidence != "" && !slices.Contains(k.f.Evidence, h.evidence) {
			k.f.Evidence = append(k.f.Evidence, h.evidence)
		}
	}
	k.more += a.more
	for _, p := range a.pods {
		if p.Name != "" {
			k.pods[p.Name] = true
		}
		if p.Node != "" {
			k.nodes[p.Node] = true
		}
	}
	// A template that says nothing isn't covered by what another one of the same object says.
	reason := suppressed(id, a.annotations)
	k.counts = k.counts || reason == ""
	if k.f.Suppressed = cmp.Or(k.f.Suppressed, reason); k.counts {
		k.f.Suppressed = ""
	}
}

func rank(s v1alpha1.Severity) int {
	switch s {
	case v1alpha1.SeverityError:
		return 0
	case v1alpha1.SeverityFixable:
		return 1
	}
	return 2
}

func (c *collection) findings() []v1alpha1.Finding {
	out := make([]v1alpha1.Finding, 0, len(c.order))
	for _, k := range c.order {
		k.f.Pods = len(k.pods) + k.more
		k.f.Nodes = sortedKeys(k.nodes)
		if len(k.f.Nodes) == 0 {
			k.f.Nodes = nil
		}
		out = append(out, k.f)
	}
	slices.SortStableFunc(out, func(a, b v1alpha1.Finding) int {
		return cmp.Or(cmp.Compare(rank(a.Severity), rank(b.Severity)), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Object, b.Object), cmp.Compare(a.File, b.File))
	})
	return out
}

// suppressed returns the reason that one of the annotations gives for not counting a rule's finding, or nothing.
func suppressed(id string, annotations []map[string]string) string {
	for _, a := range annotations {
		value, ok := a[IgnoreAnnotation]
		if !ok {
			continue
		}
		ids, reason, _ := strings.Cut(value, ":")
		for _, one := range strings.FieldsFunc(ids, func(r rune) bool { return r == ',' || r == ' ' }) {
			if strings.EqualFold(one, id) {
				return cmp.Or(strings.TrimSpace(reason), "no reason given")
			}
		}
	}
	return ""
}
