package edit

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxContent bounds what the parsers take; a configuration file is a thousandth of it. maxDepth bounds nesting.
const (
	maxContent = 1 << 20
	maxDepth   = 100
)

// TOML is a parsed TOML document with the place of every value.
type TOML struct {
	content  string
	lines    lineIndex
	tree     map[string]any
	root     *tomlNode
	sections []*tomlSection // the first is the document's own, without a header
	pairs    []*tomlPair    // all, those in inline tables and arrays of tables included
	comments []string
	// single and double say which quotes the document uses.
	single, double bool
}

// Value is a value and where it stands.
type Value struct {
	// Any is the decoded value: string, int64, float64, bool, []any, map[string]any or a time.
	Any any
	// Line is where its key or header stands, from 1; 0 for a table that only its sub-tables imply.
	Line int
	// Start and End bound the value's own bytes; both are 0 for a table that is no inline table.
	Start, End int
}

// tomlNode is a key of the document, at whatever depth.
type tomlNode struct {
	children map[string]*tomlNode
	value    *tomlPair    // defined by key = value
	header   *tomlSection // defined by [key]; the first of several [[key]]
	array    bool         // defined by [[key]]: what is below can't be addressed
	dotted   *tomlSection // defined by dotted keys in that section
}

// tomlPair is key = value.
type tomlPair struct {
	section    *tomlSection
	parts      []string // of the key as it is written here
	start, end int      // key to value
	keyEnd     int
	value      int // where the value starts
	kind       unstable.Kind
	inline     *tomlPair // the pair whose inline table holds this one
	elements   []tomlElement
	plain      bool // an array whose elements all have a span
}

// tomlElement is an element of an array.
type tomlElement struct {
	start, end int
	text       string
	isString   bool
}

// tomlSection is a header and the pairs below it.
type tomlSection struct {
	key        []string
	start, end int // the header
	array      bool
	pairs      []*tomlPair // without those in inline tables
	last       int         // end of the last byte of header and pairs, trailing comments left out
}

// ParseTOML reads a document.
func ParseTOML(content string) (*TOML, error) {
	if len(content) > maxContent {
		return nil, fmt.Errorf("parsing TOML: more than %d bytes", maxContent)
	}
	t := &TOML{content: content, lines: indexLines(content), root: &tomlNode{}, tree: map[string]any{}}
	if err := t.walk(); err != nil {
		return nil, err
	}
	if err := toml.Unmarshal([]byte(content), &t.tree); err != nil {
		var decode *toml.DecodeError
		if errors.As(err, &decode) {
			line, column := decode.Position()
			return nil, fmt.Errorf("parsing TOML: line %d, column %d: %w", line, column, err)
		}
		return nil, fmt.Errorf("parsing TOML: %w", err)
	}
	return t, nil
}

// walk notes where everything stands. Whether the document is valid beyond its grammar is the decoder's matter.
func (t *TOML) walk() error {
	p := unstable.Parser{KeepComments: true}
	p.Reset([]byte(t.content))
	section := &tomlSection{}
	t.sections = append(t.sections, section)
	keys := func(it unstable.Iterator) (parts []string, start, end int) {
		for it.Next() {
			n := it.Node()
			if len(parts) == 0 {
				start = int(n.Raw.Offset)
			}
			end = int(n.Raw.Offset + n.Raw.Length)
			t.noteQuote(int(n.Raw.Offset))
			parts = append(parts, string(n.Data))
		}
		return parts, start, end
	}
	for p.NextExpression() {
		n := p.Expression()
		switch n.Kind {
		case unstable.Comment:
			t.comments = append(t.comments, string(n.Data))
			continue
		case unstable.Table, unstable.ArrayTable:
			key, start, end := keys(n.Key())
			section = &tomlSection{key: key, array: n.Kind == unstable.ArrayTable}
			section.start = strings.LastIndexByte(t.content[:start], '[')
			section.end = end + strings.IndexByte(t.content[end:], ']') + 1
			if section.array {
				section.start, section.end = section.start-1, section.end+1
			}
			section.last = section.end
			t.sections = append(t.sections, section)
			t.enter(section)
		case unstable.KeyValue:
			pair, err := t.pair(section, section.key, n, nil, keys, 0)
			if err != nil {
				return err
			}
			section.pairs = append(section.pairs, pair)
			section.last = pair.end
		}
		for c := n.Next(); c.Valid(); c = c.Next() {
			if c.Kind == unstable.Comment {
				t.comments = append(t.comments, string(c.Data))
			}
		}
		if len(section.key) > maxDepth {
			return fmt.Errorf("parsing TOML: tables are nested more than %d deep", maxDepth)
		}
	}
	if err := p.Error(); err != nil {
		line := 0
		var perr *unstable.ParserError
		if errors.As(err, &perr) && len(perr.Highlight) > 0 {
			line = p.Shape(p.Range(perr.Highlight)).Start.Line
		}
		return fmt.Errorf("parsing TOML: line %d: %w", line, err)
	}
	return nil
}

func (t *TOML) noteQuote(at int) {
	switch t.content[at] {
	case '"':
		t.double = true
	case '\'':
		t.single = true
	}
}

// quote is the quote that the document prefers: containerd's generated files use single ones throughout.
func (t *TOML) quote() byte {
	if t.single && !t.double {
		return '\''
	}
	return '"'
}

// enter notes the header of a section.
func (t *TOML) enter(s *tomlSection) {
	n := t.root
	for _, k := range s.key[:len(s.key)-1] {
		if n = n.child(k); n.array {
			return
		}
	}
	n = n.child(s.key[len(s.key)-1])
	if n.header == nil {
		n.header = s
	}
	n.array = n.array || s.array
}

type keyReader func(unstable.Iterator) (parts []string, start, end int)

// pair notes a key and its value, and what is inside an inline table.
func (t *TOML) pair(section *tomlSection, base []string, n *unstable.Node, inline *tomlPair, keys keyReader, depth int) (*tomlPair, error) {
	parts, start, keyEnd := keys(n.Key())
	if depth += len(parts); len(base)+depth > maxDepth {
		return nil, fmt.Errorf("parsing TOML: keys are nested more than %d deep", maxDepth)
	}
	value := n.Value()
	pair := &tomlPair{
		section: section, parts: parts, start: start, end: int(n.Raw.Offset + n.Raw.Length), keyEnd: keyEnd, kind: value.Kind, inline: inline,
	}
	pair.value = keyEnd + strings.IndexByte(t.content[keyEnd:], '=') + 1
	for pair.value < pair.end && strings.IndexByte(" \t", t.content[pair.value]) >= 0 {
		pair.value++
	}
	if value.Kind == unstable.String {
		t.noteQuote(pair.value)
	}
	t.pairs = append(t.pairs, pair)
	full := append(slices.Clone(base), parts...)
	t.place(full, len(base), pair)
	switch value.Kind {
	case unstable.InlineTable:
		it := value.Children()
		for it.Next() {
			switch c := it.Node(); c.Kind {
			case unstable.Comment:
				t.comment(c)
			case unstable.KeyValue:
				if _, err := t.pair(section, full, c, pair, keys, 0); err != nil {
					return nil, err
				}
			}
		}
	case unstable.Array:
		pair.plain = true
		it := value.Children()
		for it.Next() {
			c := it.Node()
			switch c.Kind {
			case unstable.Comment:
				t.comment(c)
			case unstable.Array, unstable.InlineTable:
				pair.plain = false
				if err := t.nested(c, 0); err != nil {
					return nil, err
				}
			default:
				from := int(c.Raw.Offset)
				pair.elements = append(pair.elements, tomlElement{from, from + int(c.Raw.Length), string(c.Data), c.Kind == unstable.String})
			}
		}
	}
	return pair, nil
}

// nested collects the comments inside a value without names.
func (t *TOML) nested(n *unstable.Node, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("parsing TOML: values are nested more than %d deep", maxDepth)
	}
	it := n.Children()
	if n.Kind == unstable.KeyValue {
		it = n.Value().Children()
	}
	for it.Next() {
		switch c := it.Node(); c.Kind {
		case unstable.Comment:
			t.comment(c)
		case unstable.Array, unstable.InlineTable, unstable.KeyValue:
			if err := t.nested(c, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// comment notes a comment of a run: those that follow it directly hang below the first.
func (t *TOML) comment(n *unstable.Node) {
	t.comments = append(t.comments, string(n.Data))
	it := n.Children()
	for it.Next() {
		t.comments = append(t.comments, string(it.Node().Data))
	}
}

// place puts the pair into the tree of keys. The first explicit parts are those of the header or the outer inline table.
func (t *TOML) place(full []string, explicit int, pair *tomlPair) {
	n := t.root
	for i, k := range full {
		if n.array {
			return
		}
		n = n.child(k)
		if i >= explicit && i < len(full)-1 && n.dotted == nil && pair.inline == nil {
			n.dotted = pair.section
		}
	}
	if !n.array {
		n.value = pair
	}
}

func (n *tomlNode) child(key string) *tomlNode {
	c, ok := n.children[key]
	if !ok {
		if n.children == nil {
			n.children = map[string]*tomlNode{}
		}
		c = &tomlNode{}
		n.children[key] = c
	}
	return c
}

// find returns the node at key, nil where there is none or an array of tables is on the way.
func (t *TOML) find(key []string) *tomlNode {
	n := t.root
	for _, k := range key {
		if n.array || n.children[k] == nil {
			return nil
		}
		n = n.children[k]
	}
	return n
}
