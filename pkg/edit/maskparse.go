package edit

import (
	"encoding/json"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
	"go.yaml.in/yaml/v3"
)

// structure masks what only the format's own parser can delimit: values that span lines, lists, tables of headers. A
// content that doesn't parse has been scanned line by line.
func (m *masker) structure(f format) {
	switch f {
	case formatTOML:
		m.toml()
	case formatYAML:
		if y, err := ParseYAML(m.content); err == nil && y.root != nil {
			m.yaml(y, y.root, 0, 0)
		}
	case formatJSON:
		m.json()
	case formatEnv:
		if e, err := ParseEnv(m.content); err == nil {
			m.variables(e.Vars)
		}
	case formatUnit:
		if u, err := ParseUnit(m.content); err == nil {
			vars, _ := u.Environment()
			m.variables(vars)
		}
	}
}

func (m *masker) variables(vars []EnvVar) {
	for _, v := range vars {
		if !secretName(v.Name) || harmless(v.Value) {
			continue
		}
		for i := range v.value.text {
			m.hide(v.value.from[i], v.value.to[i])
		}
	}
}

func (m *masker) toml() {
	t, err := ParseTOML(m.content)
	if err != nil {
		return
	}
	for _, p := range t.pairs {
		last := p.parts[len(p.parts)-1]
		secret := secretName(last)
		for q := p; q != nil && !secret; q = q.inline {
			for _, k := range q.parts {
				secret = secret || headerName(k)
			}
			if q != p && secretName(q.parts[len(q.parts)-1]) && !strings.EqualFold(q.parts[len(q.parts)-1], "auth") {
				secret = true
			}
		}
		for _, k := range p.section.key {
			secret = secret || headerName(k)
		}
		if secret && p.kind != unstable.InlineTable {
			m.tomlStrings(p.value, p.end)
		}
	}
}

// tomlStrings masks all strings in [start, end), comments between them left alone.
func (m *masker) tomlStrings(start, end int) {
	c := m.content
	for i := start; i < end; i++ {
		switch q := c[i]; q {
		case '#':
			i = lineEnd(c, i) - 1
		case '"', '\'':
			width := 1
			stop := 0
			if triple := strings.Repeat(string(rune(q)), 3); strings.HasPrefix(c[i:end], triple) {
				width = 3
				stop = tripleEnd(c, i+3, end, triple)
			} else {
				stop = quoteEnd(c[:end], i)
			}
			m.maskLines(i+width, stop)
			i = stop + width - 1
		}
	}
}

// tripleEnd returns where a multi-line string closes; up to two quotes more may belong to it.
func tripleEnd(c string, at, end int, triple string) int {
	for ; at < end; at++ {
		if c[at] == '\\' && triple[0] == '"' {
			at++
			continue
		}
		if strings.HasPrefix(c[at:end], triple) {
			for at+3 < end && c[at+3] == triple[0] {
				at++
			}
			return at
		}
	}
	return end
}

// maskLines masks each line of [start, end) for itself, so that a span holds no line end.
func (m *masker) maskLines(start, end int) {
	for at := start; at < end; {
		stop := at
		for stop < end && m.content[stop] != '\n' && m.content[stop] != '\r' {
			stop++
		}
		m.mask(at, stop, false)
		at = stop + 1
	}
}

// json masks the strings below telling keys.
func (m *masker) json() {
	d := json.NewDecoder(strings.NewReader(m.content))
	type level struct {
		object, secret bool
		key            string
		isKey          bool // the next token is a key
	}
	var stack []level
	for {
		token, err := d.Token()
		if err != nil {
			return
		}
		end := int(d.InputOffset())
		secret := false
		var top *level
		if len(stack) > 0 {
			top = &stack[len(stack)-1]
			secret = top.secret || top.object && (secretName(top.key) || headerName(top.key))
		}
		switch x := token.(type) {
		case json.Delim:
			if x == '{' || x == '[' {
				inherit := secret && (x != '{' || !top.object || top.secret || !strings.EqualFold(top.key, "auth"))
				stack = append(stack, level{object: x == '{', secret: inherit, isKey: x == '{'})
				continue
			}
			stack = stack[:len(stack)-1]
			if len(stack) == 0 {
				return
			}
			top = &stack[len(stack)-1]
		case string:
			if top != nil && top.object && top.isKey {
				top.key, top.isKey = x, false
				continue
			}
			if secret {
				m.mask(jsonStringStart(m.content, end)+1, end-1, false)
			}
		}
		if top != nil && top.object {
			top.isKey = true
		}
	}
}

// jsonStringStart returns where the string starts whose closing quote ends at end.
func jsonStringStart(c string, end int) int {
	for i := end - 2; i >= 0; i-- {
		if c[i] != '"' {
			continue
		}
		n := 0
		for i-1-n >= 0 && c[i-1-n] == '\\' {
			n++
		}
		if n%2 == 0 {
			return i
		}
	}
	return 0
}

// yamlInherit says what a YAML node's parents make of it.
type yamlInherit int

const (
	yamlOwn    yamlInherit = iota // its own name decides
	yamlSecret                    // it is part of a secret
)

func (m *masker) yaml(y *YAML, n *yaml.Node, from yamlInherit, depth int) {
	if depth > maxDepth {
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			inherit := from
			if secretName(key.Value) && (value.Kind != yaml.MappingNode || !strings.EqualFold(key.Value, "auth")) || headerName(key.Value) {
				inherit = yamlSecret
			}
			m.yaml(y, value, inherit, depth+1)
		}
	case yaml.SequenceNode:
		for _, c := range n.Content {
			m.yaml(y, c, from, depth+1)
		}
	case yaml.ScalarNode:
		if from == yamlSecret && n.Tag != "!!bool" && n.Tag != "!!null" {
			m.yamlScalar(y, n)
		}
	}
}

// yamlScalar masks a scalar in whatever style.
func (m *masker) yamlScalar(y *YAML, n *yaml.Node) {
	c := m.content
	at := y.offset(n)
	for at < len(c) && (c[at] == '&' || c[at] == '!') {
		for at < len(c) && strings.IndexByte(" \t\r\n", c[at]) < 0 {
			at++
		}
		for at < len(c) && (c[at] == ' ' || c[at] == '\t') {
			at++
		}
	}
	if at >= len(c) {
		return
	}
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		m.yamlBlock(lineEnd(c, at), len(indentOf(c, at)))
	case c[at] == '"' || c[at] == '\'':
		end := at + scalarEnd(c[at:], n.Style, "")
		m.maskLines(at+1, min(end-1, len(c)))
	default:
		line, _, _ := strings.Cut(c[at:], "\n")
		end := at + scalarEnd(strings.TrimSuffix(line, "\r"), n.Style, " #")
		if strings.HasPrefix(n.Value, c[at:end]) && len(n.Value) > end-at {
			m.yamlBlock(lineEnd(c, at), len(indentOf(c, at))) // it goes on below
		} else if i := strings.IndexAny(c[at:end], ",]}"); i >= 0 && len(n.Value) < end-at {
			end = at + len(n.Value) // in a flow
		}
		m.mask(at, end, true)
	}
}

// yamlBlock masks the lines from at that are indented deeper than indent, or blank.
func (m *masker) yamlBlock(at, indent int) {
	c := m.content
	for at < len(c) {
		end := lineEnd(c, at)
		line := strings.TrimRight(c[at:end], "\r\n")
		own := len(line) - len(strings.TrimLeft(line, " "))
		if strings.TrimSpace(line) != "" {
			if own <= indent {
				return
			}
			m.mask(at+own, at+len(line), false)
		}
		at = end
	}
}
