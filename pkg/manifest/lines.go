package manifest

import (
	"strconv"

	"go.yaml.in/yaml/v3"
)

// lines returns the function that finds lines within a pod template. The document is parsed again for it: few templates have
// findings, and trees are large.
func (l *Loader) lines(at *place, lists map[string][]*place) func(path ...string) int {
	return func(path ...string) int {
		n := l.node(at)
		if n == nil {
			return 0
		}
		line := n.Line
		for i := 0; i < len(path); i++ {
			if i == 1 && path[0] == "spec" && lists[path[1]] != nil {
				line, n, i = l.among(lists[path[1]], path, line)
				continue
			}
			next, at := below(n, path[i])
			if next == nil {
				if i == 0 && path[0] == "spec" {
					continue // the template is a pod's spec itself
				}
				break
			}
			n, line = next, at
		}
		return at.doc.line + line - 1
	}
}

// among finds the element of a list whose elements are scattered over an object.
func (l *Loader) among(list []*place, path []string, line int) (int, *yaml.Node, int) {
	if len(path) < 3 {
		return line, nil, len(path)
	}
	for i, at := range list {
		n := l.node(at)
		if n != nil && (scatteredName(n, i) == path[2] || strconv.Itoa(i) == path[2]) {
			return n.Line, n, 2
		}
	}
	return line, nil, len(path)
}

// node finds a place in its document again.
func (l *Loader) node(at *place) *yaml.Node {
	if l.last != at.doc {
		l.last, l.roots = nil, nil
		roots, err := at.doc.parse()
		if err != nil {
			return nil // it was read before
		}
		l.last, l.roots = at.doc, roots
	}
	n := resolved(l.roots[at.steps[0]])
	for _, i := range at.steps[1:] {
		if i >= len(n.Content) {
			return nil
		}
		n = resolved(n.Content[i])
	}
	return n
}

// below returns what a step leads to, and the line that it begins in: a key of a mapping, or an element of a list by its name or its
// index.
func below(n *yaml.Node, step string) (*yaml.Node, int) {
	n = resolved(n)
	if n == nil {
		return nil, 0
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k := n.Content[i]; k.Value == step && !isMerge(k) {
				return resolved(n.Content[i+1]), k.Line
			}
		}
		if v := field(n, step); v != nil {
			return v, v.Line
		}
	case yaml.SequenceNode:
		for _, key := range []string{"name", "mountPath", "key"} {
			for _, c := range n.Content {
				if text(c, key) == step {
					return resolved(c), c.Line
				}
			}
		}
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(n.Content) {
			return resolved(n.Content[i]), n.Content[i].Line
		}
	}
	return nil, 0
}
