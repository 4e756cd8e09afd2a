package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is one document of a stream, kept as it is written: a tree takes ten times as much.
type document struct {
	name string
	text []byte
	line int // that text begins in
}

// at names a place of the document.
func (d *document) at(line int) string { return fmt.Sprintf("%s:%d", d.name, max(d.line+line-1, 1)) }

// parse returns the document's values with their lines; nil for an empty one. Of JSON there may be several, one behind the other.
func (d *document) parse() ([]*yaml.Node, error) {
	if isJSON(d.text) {
		nodes, err := jsonNodes(d.text)
		var at *jsonError
		if errors.As(err, &at) {
			return nil, fmt.Errorf("%s: %w", d.at(at.line), at.err)
		}
		return nodes, nil
	}
	if n := parts(d.text); n > maxParts {
		return nil, fmt.Errorf("%s: the document has some %d values, more than %d", d.at(1), n, maxParts)
	}
	node, err := parseYAML(d.text)
	if err != nil {
		return nil, d.explain(err)
	}
	if node == nil {
		return nil, nil
	}
	if _, err := measure(node, map[*yaml.Node]int{}, 0); err != nil {
		return nil, fmt.Errorf("%s: %w", d.at(1), err)
	}
	return []*yaml.Node{node}, nil
}

// parseYAML returns the root value of one document. The library promises not to panic; what is read is hostile, and a check of a
// repository shall not end there.
func parseYAML(text []byte) (_ *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it can't be read as YAML: %v", r)
		}
	}()
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return nil, err
	}
	if node.Kind != yaml.DocumentNode || len(node.Content) == 0 {
		return nil, nil
	}
	return node.Content[0], nil
}

// explain puts the file's line for the document's, and says what templates are.
func (d *document) explain(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, after, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				line, text = n, after
			}
		}
	}
	if slices.Contains(ofParser, text) {
		line++ // the library counts these from 0
	}
	if bytes.Contains(d.text, []byte("{{")) {
		text = fmt.Sprintf("%v (%s)", errTemplate, text)
	}
	return fmt.Errorf("%s: %s", d.at(line), text)
}

var errTemplate = errors.New("it is a template, not a manifest: render it first, as helm template does")

// ofParser are the messages of the library's parser, not of its scanner.
var ofParser = []string{
	"did not find expected key", "did not find expected '-' indicator", "did not find expected ',' or ']'", "did not find expected ',' or '}'",
	"did not find expected node content", "did not find expected <document start>",
}

// parts is an upper bound, in practice, of how many values a document has.
func parts(text []byte) int {
	n := 0
	for i, c := range text {
		switch c {
		case '\n', ',', '[', '{', '&', '*', '!', '?':
			n++
		case ':', '-':
			if i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\t' {
				n++
			}
		}
	}
	return n
}

// measure counts the values below a node with all aliases followed, and refuses what is too many, too deep or endless.
func measure(n *yaml.Node, known map[*yaml.Node]int, depth int) (int, error) {
	if depth > maxDepth {
		return 0, fmt.Errorf("values are nested more than %d deep", maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
		if size, ok := known[n]; ok {
			if size == 0 {
				return 0, fmt.Errorf("the anchor %q contains itself", n.Anchor)
			}
			return size, nil
		}
	}
	if n.Anchor != "" {
		known[n] = 0
	}
	size := 1
	for _, c := range n.Content {
		below, err := measure(c, known, depth+1)
		if err != nil {
			return 0, err
		}
		if size += below; size > maxExpanded {
			return 0, fmt.Errorf("its aliases expand to more than %d values", maxExpanded)
		}
	}
	if n.Anchor != "" {
		known[n] = size
	}
	return size, nil
}

// resolved follows an alias.
func resolved(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// field returns the value of a mapping's key, merged mappings included; nil where there is none.
func field(n *yaml.Node, key string) *yaml.Node {
	n = resolved(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	var merged *yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		switch {
		case k.Kind == yaml.ScalarNode && k.Value == key && !isMerge(k):
			return resolved(n.Content[i+1])
		case isMerge(k) && merged == nil:
			for _, from := range mergedFrom(n.Content[i+1]) {
				if merged = field(from, key); merged != nil {
					break
				}
			}
		}
	}
	return merged
}

func isMerge(k *yaml.Node) bool { return k.Kind == yaml.ScalarNode && k.Tag == "!!merge" }

// mergedFrom are the mappings of a merge key, the first of them the strongest.
func mergedFrom(n *yaml.Node) []*yaml.Node {
	n = resolved(n)
	switch n.Kind {
	case yaml.MappingNode:
		return []*yaml.Node{n}
	case yaml.SequenceNode:
		var out []*yaml.Node
		for _, c := range n.Content {
			if c = resolved(c); c.Kind == yaml.MappingNode {
				out = append(out, c)
			}
		}
		return out
	}
	return nil
}

// text returns the string below keys; empty where there is none.
func text(n *yaml.Node, keys ...string) string {
	for _, k := range keys {
		n = field(n, k)
	}
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

// elements are the elements of a list, aliases followed.
func elements(n *yaml.Node) []*yaml.Node {
	n = resolved(n)
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	out := make([]*yaml.Node, len(n.Content))
	for i, c := range n.Content {
		out[i] = resolved(c)
	}
	return out
}

// stringsOf returns a mapping of strings, such as annotations.
func stringsOf(n *yaml.Node) map[string]string {
	n = resolved(n)
	if n == nil || n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		return nil
	}
	out := map[string]string{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], resolved(n.Content[i+1])
		if isMerge(k) {
			for _, from := range mergedFrom(v) {
				for name, value := range stringsOf(from) {
					if _, ok := out[name]; !ok {
						out[name] = value
					}
				}
			}
		} else if v.Kind == yaml.ScalarNode && v.Tag != "!!null" {
			out[k.Value] = v.Value
		}
	}
	return out
}
