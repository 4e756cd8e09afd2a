package manifest

import (
	"fmt"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// template takes in the pod template of a kind that keeps it in a known place.
func (o *object) template(path []string) error {
	at, n := o.at, o.node
	for _, key := range path {
		at, n = at.field(n, key)
		if n == nil {
			return nil // a patch, or an object without pods
		}
	}
	if field(n, "spec") == nil {
		return nil
	}
	var spec corev1.PodSpec
	if err := decode(field(n, "spec"), &spec); err != nil {
		return err
	}
	o.add(at, n, spec, nil)
	return nil
}

// add adds a workload whose pod template is n. lists are lists that the template doesn't have where pods have them.
func (o *object) add(at *place, n *yaml.Node, spec corev1.PodSpec, lists map[string][]*place) {
	meta, template := field(o.node, "metadata"), field(n, "metadata")
	w := workload.Workload{
		Object: o.ref, Annotations: stringsOf(field(meta, "annotations")), Spec: spec,
		PodAnnotations: stringsOf(field(template, "annotations")), Labels: stringsOf(field(template, "labels")),
		Source: workload.Source{File: at.doc.name, Line: at.doc.line + o.node.Line - 1},
		Line:   o.l.lines(at, lists),
	}
	for _, f := range elements(field(template, "finalizers")) {
		w.Finalizers = append(w.Finalizers, f.Value)
	}
	if r := field(field(o.node, "spec"), "replicas"); r != nil && r.Kind == yaml.ScalarNode {
		var count int32
		if _, err := fmt.Sscan(r.Value, &count); err == nil {
			w.Replicas = &count
		}
	}
	f := found{uid: text(meta, "uid"), isPod: o.ref.Kind == "Pod"}
	for _, owner := range elements(field(meta, "ownerReferences")) {
		if text(owner, "controller") == "true" {
			f.ownerUID = text(owner, "uid")
			f.controller = workload.Object{APIVersion: text(owner, "apiVersion"), Kind: text(owner, "kind"), Namespace: o.ref.Namespace, Name: text(owner, "name")}
		}
	}
	if f.isPod {
		_, mirror := w.Annotations[corev1.MirrorPodAnnotationKey]
		f.pod = workload.Placed{Name: o.ref.Name, Node: spec.NodeName, Mirror: mirror}
		if text(o.node, "status", "phase") != "" {
			w.Pods = []workload.Placed{f.pod}
		}
	}
	o.l.inv.Workloads = append(o.l.inv.Workloads, w)
	o.l.found = append(o.l.found, f)
}

// owned leaves out what another object of the streams controls: its pods are counted there.
func (l *Loader) owned() []workload.Workload {
	byUID := map[string]int{}
	for i, f := range l.found {
		if f.uid != "" {
			byUID[f.uid] = i
		}
	}
	list := append([]workload.Workload(nil), l.inv.Workloads...)
	drop := make([]bool, len(list))
	for i, f := range l.found {
		top, known := i, false
		for range len(l.found) {
			owner, ok := byUID[l.found[top].ownerUID]
			if !ok || owner == top {
				break
			}
			top, known = owner, true
		}
		if known && top != i {
			drop[i] = true
			list[top].Pods = append(list[top].Pods, list[i].Pods...)
		} else if c := f.controller; c.Name != "" && c.Kind != "Node" {
			// Its controller isn't among what was read, but it has the name.
			list[i].Object = c
		}
	}
	out := list[:0]
	for i := range list {
		if !drop[i] {
			out = append(out, list[i])
		}
	}
	return out
}

// place leads from the root of a document to a value.
type place struct {
	doc *document
	// steps are the document's root and then the index among each node's content.
	steps []int
}

// field returns the value of a mapping's key and the place of it. A value that is merged in has no place of its own: it is that
// of the mapping.
func (p *place) field(n *yaml.Node, key string) (*place, *yaml.Node) {
	n = resolved(n)
	if n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k := n.Content[i]; k.Kind == yaml.ScalarNode && k.Value == key && !isMerge(k) {
				return p.index(i + 1), resolved(n.Content[i+1])
			}
		}
	}
	return p, field(n, key)
}

func (p *place) index(i int) *place {
	steps := make([]int, len(p.steps)+1)
	copy(steps, p.steps)
	steps[len(p.steps)] = i
	return &place{doc: p.doc, steps: steps}
}
