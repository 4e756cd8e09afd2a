package edit

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// YAML is a parsed YAML document: a mapping, as configuration files are.
type YAML struct {
	content string
	lines   lineIndex
	tree    map[string]any
	root    *yaml.Node // the mapping; nil in an empty document
}

// ParseYAML reads a document; an empty one is an empty mapping. More than one document is an error.
func ParseYAML(content string) (*YAML, error) {
	if len(content) > maxContent {
		return nil, fmt.Errorf("parsing YAML: more than %d bytes", maxContent)
	}
	y := &YAML{content: content, lines: indexLines(content), tree: map[string]any{}}
	decoder := yaml.NewDecoder(strings.NewReader(content))
	var doc, next yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return y, nil
		}
		return nil, fmt.Errorf("parsing YAML: %w", err)
	}
	if err := decoder.Decode(&next); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, fmt.Errorf("parsing YAML: %w", err)
		}
		return nil, errors.New("parsing YAML: more than one document")
	}
	if len(doc.Content) != 1 {
		return nil, errors.New("parsing YAML: no document")
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" && root.Value == "" {
		return y, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("parsing YAML: line %d: the document is no mapping", root.Line)
	}
	if err := root.Decode(&y.tree); err != nil {
		return nil, fmt.Errorf("parsing YAML: %w", err)
	}
	y.root = root
	return y, nil
}

// Tree is the decoded document. It must not be changed.
func (y *YAML) Tree() map[string]any { return y.tree }

// Get returns the scalar at key as text and the line of the key, from 1; ok is false when there is no scalar. A null
// is the empty text.
func (y *YAML) Get(key ...string) (text string, line int, ok bool) {
	n := y.root
	for _, k := range key {
		name, value := pairOf(n, k)
		if value == nil {
			return "", 0, false
		}
		n, line = value, name.Line
	}
	if n == nil || n.Kind != yaml.ScalarNode {
		return "", 0, false
	}
	if n.Tag == "!!null" {
		return "", line, true
	}
	return n.Value, line, true
}

// Keys returns the top-level keys in file order.
func (y *YAML) Keys() []string {
	var out []string
	if y.root != nil {
		for i := 0; i+1 < len(y.root.Content); i += 2 {
			out = append(out, y.root.Content[i].Value)
		}
	}
	return out
}

// pairOf returns key and value of a mapping's entry, nil where there is none.
func pairOf(n *yaml.Node, key string) (name, value *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i]; k.Kind == yaml.ScalarNode && k.Value == key {
			return k, n.Content[i+1]
		}
	}
	return nil, nil
}

// YAMLSet gives the top-level key a string, where it stands or at the end of the mapping.
func YAMLSet(content, key, value string) ([]Splice, error) {
	y, err := ParseYAML(content)
	if err != nil {
		return nil, err
	}
	fail := func(err error) ([]Splice, error) { return nil, fmt.Errorf("setting %s: %w", key, err) }
	if key == "" || key == "<<" || !utf8.ValidString(value) {
		return fail(ErrRefused)
	}
	if have, ok := y.tree[key]; ok && have == any(value) {
		return nil, nil
	}
	var at Splice
	plain := false
	name, old := pairOf(y.root, key)
	switch {
	case y.flow() && len(y.root.Content) == 0:
		at, plain, err = y.emptyFlow(key)
	case y.flow():
		err = fmt.Errorf("the document is written in flow style ({…}): %w", ErrRefused)
	case name == nil:
		at, plain = y.appended(key), true
	default:
		at.Start, at.End, plain, err = y.scalar(name, old)
		if err == nil && at.Start == at.End {
			at.Text = " "
		}
	}
	if err != nil {
		return fail(err)
	}
	prefix, suffix := at.Text, ""
	if name == nil {
		suffix = newline(content)
		if at.End < len(content) && at.End > at.Start {
			suffix = "" // the rest of the line of {} follows
		}
	}
	// The plain form is tried first where that is how the file writes; whether it decodes to the same string is proved.
	forms := []string{yamlQuoted(value)}
	if plain && value != "" {
		forms = []string{value, forms[0]}
	}
	for _, form := range forms {
		at.Text = prefix + form + suffix
		want := cloneMap(y.tree)
		want[key] = value
		if err = y.prove([]Splice{at}, want); err == nil {
			return []Splice{at}, nil
		}
	}
	return fail(err)
}

// flow reports whether the top-level mapping is written in braces.
func (y *YAML) flow() bool { return y.root != nil && y.root.Style&yaml.FlowStyle != 0 }

// emptyFlow replaces {} by a pair.
func (y *YAML) emptyFlow(key string) (Splice, bool, error) {
	start := y.offset(y.root)
	end := strings.IndexByte(y.content[start:], '}')
	if start != lineStart(y.content, start) || !strings.HasPrefix(y.content[start:], "{") || !blank(y.content[start+1:start+end]) {
		return Splice{}, false, fmt.Errorf("the empty document isn't a plain {}: %w", ErrRefused)
	}
	return Splice{Start: start, End: start + end + 1, Text: yamlKey(key) + ": "}, true, nil
}

// appended adds a pair at the end of the document.
func (y *YAML) appended(key string) Splice {
	at := len(y.content)
	for _, start := range y.lines {
		if strings.HasPrefix(y.content[start:], "...") {
			at = start
			break
		}
	}
	text := ""
	if at > 0 && y.content[at-1] != '\n' {
		text = newline(y.content)
	}
	if y.root != nil {
		text += strings.Repeat(" ", max(y.root.Column-1, 0))
	}
	return Splice{Start: at, End: at, Text: text + yamlKey(key) + ": "}
}

// YAMLRemove removes the top-level key with its scalar; a key that isn't there needs no splice. A comment behind it
// stays.
func YAMLRemove(content, key string) ([]Splice, error) {
	y, err := ParseYAML(content)
	if err != nil {
		return nil, err
	}
	fail := func(err error) ([]Splice, error) { return nil, fmt.Errorf("removing %s: %w", key, err) }
	name, old := pairOf(y.root, key)
	if name == nil {
		if _, ok := y.tree[key]; ok {
			return fail(fmt.Errorf("a merge brings it: %w", ErrRefused))
		}
		return nil, nil
	}
	if y.flow() {
		return fail(fmt.Errorf("the document is written in flow style ({…}): %w", ErrRefused))
	}
	_, end, _, err := y.scalar(name, old)
	if err != nil {
		return fail(err)
	}
	start := y.offset(name)
	from, to := lineStart(content, start), lineEnd(content, end)
	s := Splice{Start: from, End: to}
	if !blank(content[from:start]) || !blank(content[end:to]) {
		for end < to && (content[end] == ' ' || content[end] == '\t') {
			end++
		}
		s = Splice{Start: start, End: end}
	}
	want := cloneMap(y.tree)
	delete(want, key)
	if err := y.prove([]Splice{s}, want); err != nil {
		return fail(err)
	}
	return []Splice{s}, nil
}

// offset returns where a node starts. The parser counts columns in characters.
func (y *YAML) offset(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(y.lines) {
		return len(y.content)
	}
	at := y.lines[n.Line-1]
	for i := 1; i < n.Column && at < len(y.content); i++ {
		_, size := utf8.DecodeRuneInString(y.content[at:])
		at += size
	}
	return at
}

// scalar returns the bytes of a value that stands on the line of its key, and whether it is written without quotes. An
// empty value has an empty span behind the colon.
func (y *YAML) scalar(name, value *yaml.Node) (start, end int, plain bool, err error) {
	refuse := func(why string) (int, int, bool, error) {
		return 0, 0, false, fmt.Errorf("line %d: %s: %w", name.Line, why, ErrRefused)
	}
	if name.Anchor != "" || name.Style&yaml.TaggedStyle != 0 {
		return refuse("the key has an anchor or a tag")
	}
	if value.Kind != yaml.ScalarNode || value.Anchor != "" || value.Style&yaml.TaggedStyle != 0 {
		return refuse("the value isn't a simple scalar")
	}
	rest := y.content[y.offset(name):]
	line, _, _ := strings.Cut(rest, "\n")
	line = strings.TrimSuffix(line, "\r")
	base := y.offset(name)
	at := scalarEnd(line, name.Style, ":")
	for at < len(line) && (line[at] == ' ' || line[at] == '\t') {
		at++
	}
	if at >= len(line) || line[at] != ':' {
		return refuse("the key isn't followed by its colon")
	}
	colon := at + 1
	for at++; at < len(line) && (line[at] == ' ' || line[at] == '\t'); {
		at++
	}
	if at == len(line) || line[at] == '#' && at > colon {
		if value.Tag != "!!null" || value.Value != "" {
			return refuse("the value doesn't stand on the line of its key")
		}
		return base + colon, base + colon, true, nil
	}
	if value.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return refuse("the value is a block")
	}
	end = at + scalarEnd(line[at:], value.Style, " #")
	if end > len(line) || value.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 && line[at:end] != value.Value {
		return refuse("the value spans lines")
	}
	tail := strings.TrimLeft(line[end:], " \t")
	if tail != "" && tail[0] != '#' {
		return refuse("something follows the value")
	}
	return base + at, base + end, value.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0, nil
}

// scalarEnd returns where a scalar at the start of text ends: behind its closing quote, or before stop and the blanks in
// front of it. A quote that doesn't close ends behind the text.
func scalarEnd(text string, style yaml.Style, stop string) int {
	switch {
	case style&yaml.DoubleQuotedStyle != 0:
		for i := 1; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
		return len(text) + 1
	case style&yaml.SingleQuotedStyle != 0:
		for i := 1; i < len(text); i++ {
			if text[i] != '\'' {
				continue
			}
			if i+1 < len(text) && text[i+1] == '\'' {
				i++
				continue
			}
			return i + 1
		}
		return len(text) + 1
	}
	if stop == ":" {
		for i := 0; i < len(text); i++ {
			if text[i] == ':' && (i+1 == len(text) || text[i+1] == ' ' || text[i+1] == '\t') {
				return len(strings.TrimRight(text[:i], " \t"))
			}
		}
		return len(text)
	}
	if i := strings.Index(strings.ReplaceAll(text, "\t#", " #"), stop); i >= 0 {
		text = text[:i]
	}
	return len(strings.TrimRight(text, " \t"))
}

// prove applies the splices and parses the result: it must decode to want and keep its comment lines.
func (y *YAML) prove(s []Splice, want map[string]any) error {
	text, err := Apply(y.content, s...)
	if err != nil {
		return err
	}
	after, err := ParseYAML(text)
	if err != nil {
		return fmt.Errorf("the edited file doesn't parse: %w: %w", err, ErrRefused)
	}
	if !equal(want, after.tree) {
		return fmt.Errorf("the edit would change more than the key: %w", ErrRefused)
	}
	if !slices.Equal(commentLines(y.content), commentLines(text)) {
		return fmt.Errorf("the edit would lose a comment: %w", ErrRefused)
	}
	return nil
}

// commentLines returns every line from its first "#" that a blank or the line's start precedes: all comments, and some
// text that only looks like one, which is as good to compare.
func commentLines(content string) []string {
	var out []string
	for line := range strings.Lines(content) {
		line = strings.TrimRight(line, "\r\n")
		for i := 0; i < len(line); i++ {
			if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
				out = append(out, line[i:])
				break
			}
		}
	}
	return out
}

func cloneMap(m map[string]any) map[string]any { return clone(m).(map[string]any) }

// yamlKey writes a key: as it is where it is a plain word.
func yamlKey(key string) string {
	if strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == "" && key[0] != '-' {
		return key
	}
	return yamlQuoted(key)
}

// yamlQuoted writes a double-quoted scalar on one line.
func yamlQuoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x80 && r >= ' ' && r != 0x7f:
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08X`, r)
		case r < 0xa0 || r == 0xfeff || r >= 0x2028 && r <= 0x2029 || r == 0xfffe || r == 0xffff:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
