package edit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// TOMLSet gives key the value: a string, bool, int, int64 or []string. The value is replaced where it stands; else the
// key is added to its table, and the table with a header of its own where it doesn't exist.
func TOMLSet(content string, key []string, value any) ([]Splice, error) {
	t, err := ParseTOML(content)
	if err != nil {
		return nil, err
	}
	want, err := normal(value)
	if err != nil {
		return nil, err
	}
	if len(key) == 0 || len(key) > maxDepth {
		return nil, fmt.Errorf("setting a TOML key of %d parts: %w", len(key), ErrRefused)
	}
	if have, ok := lookup(t.tree, key); ok && equal(have, want) {
		return nil, nil
	}
	s, err := t.set(key, want)
	if err != nil {
		return nil, fmt.Errorf("setting %s: %w", TOMLKey(key...), err)
	}
	if err := t.prove(s, func(tree map[string]any) error { return assign(tree, key, want) }, nil); err != nil {
		return nil, fmt.Errorf("setting %s: %w", TOMLKey(key...), err)
	}
	return s, nil
}

func (t *TOML) set(key []string, want any) ([]Splice, error) {
	n := t.root
	deepest := 0 // how many parts of the key exist
	var inline *tomlPair
	outside := 0 // how many of them lead to the inline table
	for _, k := range key {
		if n.array {
			return nil, fmt.Errorf("%s is an array of tables: %w", TOMLKey(key[:deepest]...), ErrRefused)
		}
		if n.value != nil && n.value.kind != unstable.InlineTable {
			return nil, fmt.Errorf("%s is no table: %w", TOMLKey(key[:deepest]...), ErrRefused)
		}
		if n.value != nil {
			inline, outside = n.value, deepest
		}
		c := n.children[k]
		if c == nil {
			break
		}
		n, deepest = c, deepest+1
	}
	if deepest == len(key) {
		if n.value == nil || n.value.kind == unstable.InlineTable {
			return nil, fmt.Errorf("it is a table: %w", ErrRefused)
		}
		return t.replace(n.value, want)
	}
	if n.array || n.value != nil && n.value.kind != unstable.InlineTable {
		return nil, fmt.Errorf("%s is no table: %w", TOMLKey(key[:deepest]...), ErrRefused)
	}
	parent := key[:len(key)-1]
	switch {
	case inline != nil:
		return t.intoInline(inline, key[outside:], want)
	case n.dotted != nil && n.header == nil:
		// A table made by dotted keys may not get a header.
		return t.intoSection(n.dotted, key[len(n.dotted.key):], want)
	case deepest == len(parent) && n.header != nil:
		return t.intoSection(n.header, key[len(parent):], want)
	case len(parent) == 0:
		return t.intoSection(t.sections[0], key, want)
	}
	return t.newSection(parent, key[len(key)-1], want)
}

// replace exchanges a value; an array with comments inside is changed element by element.
func (t *TOML) replace(p *tomlPair, want any) ([]Splice, error) {
	if p.kind == unstable.Array && strings.Contains(t.content[p.value:p.end], "#") {
		return t.replaceElements(p, want)
	}
	quote := byte('"')
	if p.kind == unstable.String && t.content[p.value] == '\'' {
		quote = '\''
	}
	for _, e := range p.elements {
		if e.isString && t.content[e.start] == '\'' {
			quote = '\''
		}
	}
	return []Splice{{p.value, p.end, quoted(want, quote)}}, nil
}

// replaceElements drops the elements that aren't wanted and appends the new ones, so that comments survive.
func (t *TOML) replaceElements(p *tomlPair, want any) ([]Splice, error) {
	list, ok := want.([]any)
	if !ok || !p.plain {
		return nil, fmt.Errorf("comments stand inside the old value: %w", ErrRefused)
	}
	drop := make([]bool, len(p.elements))
	next := 0
	for i, e := range p.elements {
		if next < len(list) && e.isString && list[next] == any(e.text) {
			next++
		} else {
			drop[i] = true
		}
	}
	added := list[next:]
	if len(added) > 0 && slices.Contains(drop, true) {
		return nil, fmt.Errorf("comments stand inside the old value: %w", ErrRefused)
	}
	if len(added) == 0 {
		return t.dropElements(p, drop), nil
	}
	var texts []string
	for _, a := range added {
		texts = append(texts, quoted(a, t.quote()))
	}
	text := strings.Join(texts, ", ")
	if len(p.elements) == 0 {
		return []Splice{{p.value + 1, p.value + 1, text}}, nil
	}
	at := p.elements[len(p.elements)-1].end
	return []Splice{{at, at, ", " + text}}, nil
}

// intoInline adds a key at the end of an inline table.
func (t *TOML) intoInline(p *tomlPair, key []string, want any) ([]Splice, error) {
	body := t.content[p.value+1 : p.end-1]
	if strings.ContainsAny(body, "\n#") {
		return nil, fmt.Errorf("the inline table spans lines: %w", ErrRefused)
	}
	text := t.key(key) + " = " + quoted(want, t.quote())
	trimmed := strings.TrimRight(body, " \t")
	at := p.value + 1 + len(trimmed)
	switch {
	case trimmed == "":
		return []Splice{{p.value + 1, p.end - 1, " " + text + " "}}, nil
	case strings.HasSuffix(trimmed, ","):
		return []Splice{{at, at, " " + text}}, nil
	}
	return []Splice{{at, at, ", " + text}}, nil
}

// intoSection adds a key after the last one of a section.
func (t *TOML) intoSection(s *tomlSection, key []string, want any) ([]Splice, error) {
	nl := newline(t.content)
	line := t.key(key) + " = " + quoted(want, t.quote())
	switch {
	case len(s.pairs) > 0:
		last := s.pairs[len(s.pairs)-1]
		return t.lineAfter(last.end, indentOf(t.content, last.start)+line), nil
	case s != t.sections[0]:
		header, pair := t.indents()
		indent := indentOf(t.content, s.start)
		if pair > header {
			indent += strings.Repeat(" ", pair-header)
		}
		return t.lineAfter(s.end, indent+line), nil
	case len(t.sections) > 1:
		at := t.blockStart(t.sections[1].start, 0)
		return []Splice{{at, at, line + nl + nl}}, nil
	}
	// Nothing but comments, or nothing at all.
	text := line + nl
	if c := t.content; c != "" && !strings.HasSuffix(c, "\n") {
		text = nl + text
	}
	return []Splice{{len(t.content), len(t.content), text}}, nil
}

// newSection adds a header with one key below the sections of the same family, else at the end of the document.
func (t *TOML) newSection(key []string, name string, want any) ([]Splice, error) {
	nl := newline(t.content)
	// The family shares the longest existing prefix; a super-table may follow its sub-tables, but reads better first.
	family := 0
	n := t.root
	for _, k := range key {
		if n = n.children[k]; n == nil {
			break
		}
		family++
	}
	first, last := -1, -1
	for i, s := range t.sections {
		if family > 0 && len(s.key) >= family && slices.Equal(s.key[:family], key[:family]) {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	at := len(t.content)
	switch {
	case family == len(key) && first > 0:
		at = t.blockStart(t.sections[first].start, t.sections[first-1].last)
	case last >= 0 && last+1 < len(t.sections):
		at = t.blockStart(t.sections[last+1].start, t.sections[last].last)
	}
	header, pair := t.indents()
	indent := ""
	if header > 0 {
		indent = strings.Repeat(" ", header*(len(key)-1))
	}
	inner := indent
	if pair > header {
		inner += strings.Repeat(" ", pair-header)
	}
	text := indent + "[" + t.key(key) + "]" + nl + inner + t.key([]string{name}) + " = " + quoted(want, t.quote()) + nl
	if before := t.content[:at]; before != "" {
		switch {
		case !strings.HasSuffix(before, "\n"):
			text = nl + nl + text
		case !blank(before[lineStart(before, len(before)-1):]):
			text = nl + text
		}
	}
	if at < len(t.content) && !blank(t.content[at:lineEnd(t.content, at)]) {
		text += nl
	}
	return []Splice{{at, at, text}}, nil
}

// indents returns by how many blanks the document indents: its headers for each level below the first, and its first
// indented pair.
func (t *TOML) indents() (header, pair int) {
	for _, s := range t.sections[1:] {
		h := len(indentOf(t.content, s.start))
		if header == 0 && h > 0 && len(s.key) > 1 {
			header = min(h/(len(s.key)-1), 8)
		}
		if len(s.pairs) > 0 && pair == 0 {
			if own := len(indentOf(t.content, s.pairs[0].start)); own > h {
				pair = min(own-h, 8)
			}
		}
	}
	return header, header + pair
}

// lineAfter adds a line of its own below the line on which at stands. What follows at on that line (a comment) stays.
func (t *TOML) lineAfter(at int, line string) []Splice {
	nl := newline(t.content)
	end := lineEnd(t.content, at)
	if end == len(t.content) && !strings.HasSuffix(t.content, "\n") {
		return []Splice{{end, end, nl + line + nl}}
	}
	return []Splice{{end, end, line + nl}}
}

// blockStart returns where the comment block starts that stands directly above the header at offset, looking back no
// further than the line of limit.
func (t *TOML) blockStart(offset, limit int) int {
	at := lineStart(t.content, offset)
	floor := 0
	if limit > 0 {
		floor = lineEnd(t.content, limit)
	}
	for at > floor {
		above := lineStart(t.content, at-1)
		if above < floor || !strings.HasPrefix(strings.TrimLeft(t.content[above:at], " \t"), "#") {
			break
		}
		at = above
	}
	return at
}

// key writes a dotted key with the quotes that the document prefers.
func (t *TOML) key(parts []string) string {
	return dotted(parts, t.quote())
}

// TOMLKey writes a dotted key, quoting the parts that need it.
func TOMLKey(key ...string) string { return dotted(key, '"') }

func dotted(parts []string, quote byte) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		if p != "" && strings.Trim(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == "" {
			out[i] = p
		} else {
			out[i] = quoted(p, quote)
		}
	}
	return strings.Join(out, ".")
}

// TOMLQuote writes a value (string, bool, int, int64, []string) as TOML does.
func TOMLQuote(value any) (string, error) {
	v, err := normal(value)
	if err != nil {
		return "", err
	}
	return quoted(v, '"'), nil
}

// normal turns a value into what the decoder would return for it.
func normal(value any) (any, error) {
	switch v := value.(type) {
	case string:
		if !utf8.ValidString(v) {
			return nil, fmt.Errorf("a TOML string must be UTF-8: %q", v)
		}
		return v, nil
	case bool, int64:
		return v, nil
	case int:
		return int64(v), nil
	case []string:
		list := make([]any, 0, len(v))
		for _, s := range v {
			x, err := normal(s)
			if err != nil {
				return nil, err
			}
			list = append(list, x)
		}
		return list, nil
	}
	return nil, fmt.Errorf("no TOML value: %T", value)
}

// quoted writes a normal value; quote is the preferred one for strings.
func quoted(value any, quote byte) string {
	switch v := value.(type) {
	case string:
		return quotedString(v, quote)
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			parts[i] = quoted(x, quote)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return ""
}

func quotedString(s string, quote byte) string {
	plain := !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
	if quote == '\'' && plain && !strings.Contains(s, "'") {
		return "'" + s + "'"
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
