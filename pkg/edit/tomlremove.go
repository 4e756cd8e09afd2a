package edit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// TOMLRemove removes key and its value, a whole table included; a key that isn't there needs no splice. Comments stay.
func TOMLRemove(content string, key []string) ([]Splice, error) {
	t, err := ParseTOML(content)
	if err != nil {
		return nil, err
	}
	if len(key) == 0 {
		return nil, fmt.Errorf("removing a TOML key without a name: %w", ErrRefused)
	}
	if _, ok := lookup(t.tree, key); !ok {
		return nil, nil
	}
	s, err := t.remove(key)
	if err != nil {
		return nil, fmt.Errorf("removing %s: %w", TOMLKey(key...), err)
	}
	if err := t.prove(s, func(tree map[string]any) error { return unassign(tree, key) }, key[:len(key)-1]); err != nil {
		return nil, fmt.Errorf("removing %s: %w", TOMLKey(key...), err)
	}
	return s, nil
}

func (t *TOML) remove(key []string) ([]Splice, error) {
	n := t.find(key)
	if n == nil {
		return nil, fmt.Errorf("it is inside an array of tables: %w", ErrRefused)
	}
	if n.value != nil && n.value.inline != nil {
		return t.removeInline(n.value)
	}
	var out []Splice
	for _, s := range t.sections {
		if len(s.key) >= len(key) && slices.Equal(s.key[:len(key)], key) {
			out = append(out, t.removeLine(s.start, s.end))
			for _, p := range s.pairs {
				if err := t.commentFree(p); err != nil {
					return nil, err
				}
				out = append(out, t.removeLine(p.start, p.end))
			}
		}
	}
	pairs, err := t.below(n)
	if err != nil {
		return nil, err
	}
	for _, p := range pairs {
		out = append(out, t.removeLine(p.start, p.end))
	}
	slices.SortFunc(out, func(a, b Splice) int { return a.Start - b.Start })
	return slices.CompactFunc(out, func(a, b Splice) bool { return a.Start == b.Start }), nil
}

// below returns the pairs that make up the node, those of other sections' headers included.
func (t *TOML) below(n *tomlNode) ([]*tomlPair, error) {
	if n.value != nil {
		if n.value.inline != nil {
			return nil, fmt.Errorf("an inline table holds it: %w", ErrRefused)
		}
		return []*tomlPair{n.value}, t.commentFree(n.value)
	}
	var out []*tomlPair
	for _, c := range n.children {
		p, err := t.below(c)
		if err != nil {
			return nil, err
		}
		out = append(out, p...)
	}
	return out, nil
}

// commentFree refuses a value whose removal would take comments along.
func (t *TOML) commentFree(p *tomlPair) error {
	if p.kind != unstable.Array && p.kind != unstable.InlineTable {
		return nil
	}
	text := t.content[p.value:p.end]
	if strings.Contains(text, "#") && strings.Contains(text, "\n") {
		return fmt.Errorf("comments stand inside the value: %w", ErrRefused)
	}
	return nil
}

// removeLine removes an expression: its whole line where nothing else stands on it.
func (t *TOML) removeLine(start, end int) Splice {
	from, to := lineStart(t.content, start), lineEnd(t.content, end)
	if blank(t.content[from:start]) && blank(t.content[end:to]) {
		return Splice{Start: from, End: to}
	}
	for end < len(t.content) && strings.IndexByte(" \t", t.content[end]) >= 0 {
		end++
	}
	return Splice{Start: start, End: end}
}

// removeInline removes a pair of an inline table with its comma.
func (t *TOML) removeInline(p *tomlPair) ([]Splice, error) {
	outer := p.inline
	if strings.ContainsAny(t.content[outer.value:outer.end], "\n#") {
		return nil, fmt.Errorf("the inline table spans lines: %w", ErrRefused)
	}
	start, end := p.start, p.end
	after := strings.TrimLeft(t.content[end:outer.end], " \t")
	if strings.HasPrefix(after, ",") {
		end = outer.end - len(after) + 1
		for end < outer.end && strings.IndexByte(" \t", t.content[end]) >= 0 {
			end++
		}
		return []Splice{{Start: start, End: end}}, nil
	}
	before := strings.TrimRight(t.content[outer.value:start], " \t")
	if strings.HasSuffix(before, ",") {
		start = outer.value + len(before) - 1
	}
	return []Splice{{Start: start, End: end}}, nil
}

// TOMLRemoveElement removes every element equal to element from the array at key; none needs no splice.
func TOMLRemoveElement(content string, key []string, element string) ([]Splice, error) {
	t, err := ParseTOML(content)
	if err != nil {
		return nil, err
	}
	v, ok := lookup(t.tree, key)
	if !ok {
		return nil, nil
	}
	fail := func(why string) ([]Splice, error) {
		return nil, fmt.Errorf("removing %q from %s: %s: %w", element, TOMLKey(key...), why, ErrRefused)
	}
	list, isList := v.([]any)
	if !isList {
		return fail("it is no array")
	}
	var kept []any
	for _, x := range list {
		if x != any(element) {
			kept = append(kept, x)
		}
	}
	if len(kept) == len(list) {
		return nil, nil
	}
	n := t.find(key)
	if n == nil || n.value == nil || !n.value.plain {
		return fail("it isn't a list of plain values")
	}
	drop := make([]bool, len(n.value.elements))
	for i, e := range n.value.elements {
		drop[i] = e.isString && e.text == element
	}
	if kept == nil {
		kept = []any{}
	}
	s := t.dropElements(n.value, drop)
	if err := t.prove(s, func(tree map[string]any) error { return assign(tree, key, kept) }, nil); err != nil {
		return nil, fmt.Errorf("removing %q from %s: %w", element, TOMLKey(key...), err)
	}
	return s, nil
}

// dropElements removes elements with one comma each; comments between them stay.
func (t *TOML) dropElements(p *tomlPair, drop []bool) []Splice {
	var out []Splice
	lastKept := -1
	trailing := false
	for i, e := range p.elements {
		next := p.end
		if i+1 < len(p.elements) {
			next = p.elements[i+1].start
		}
		comma := t.comma(e.end, next)
		trailing = comma >= 0
		if !drop[i] {
			lastKept = i
			continue
		}
		for _, x := range t.dropElement(e, comma) {
			if n := len(out); n > 0 {
				x.Start = max(x.Start, out[n-1].End)
			}
			out = append(out, x)
		}
	}
	// The last element had no comma after it: neither gets the one that is last now.
	if n := len(p.elements); lastKept >= 0 && lastKept < n-1 && !trailing {
		if c := t.comma(p.elements[lastKept].end, p.elements[lastKept+1].start); c >= 0 {
			out = append(out, Splice{Start: c, End: c + 1})
		}
	}
	return out
}

func (t *TOML) dropElement(e tomlElement, comma int) []Splice {
	start, end := e.start, e.end
	if comma < 0 {
		for start > 0 && strings.IndexByte(" \t", t.content[start-1]) >= 0 {
			start--
		}
		return []Splice{{Start: start, End: end}}
	}
	if !blank(t.content[end:comma]) {
		// A comment stands between the element and its comma.
		return []Splice{{Start: start, End: end}, {Start: comma, End: comma + 1}}
	}
	end = comma + 1
	if from, to := lineStart(t.content, start), lineEnd(t.content, end); blank(t.content[from:start]) && blank(t.content[end:to]) && to > end {
		return []Splice{{Start: from, End: to}}
	}
	for end < len(t.content) && strings.IndexByte(" \t", t.content[end]) >= 0 {
		end++
	}
	return []Splice{{Start: start, End: end}}
}

// comma returns where the comma stands between two elements, comments skipped; -1 when there is none.
func (t *TOML) comma(from, to int) int {
	for i := from; i < to; i++ {
		switch t.content[i] {
		case ',':
			return i
		case '#':
			i = lineEnd(t.content, i) - 1
		}
	}
	return -1
}
