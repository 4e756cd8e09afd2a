package edit

import (
	"maps"
	"slices"
)

// Tree is the decoded document. It must not be changed.
func (t *TOML) Tree() map[string]any { return t.tree }

// Get returns the value at key.
func (t *TOML) Get(key ...string) (Value, bool) {
	v, ok := lookup(t.tree, key)
	if !ok {
		return Value{}, false
	}
	out := Value{Any: v}
	switch n := t.find(key); {
	case n == nil:
	case n.value != nil:
		out.Line, out.Start, out.End = t.lines.of(n.value.start), n.value.value, n.value.end
	case n.header != nil:
		out.Line = t.lines.of(n.header.start)
	}
	return out, true
}

// String returns the string at key; ok is false when there is none or it isn't a string.
func (t *TOML) String(key ...string) (s string, ok bool) {
	v, _ := lookup(t.tree, key)
	s, ok = v.(string)
	return s, ok
}

// Bool returns the boolean at key.
func (t *TOML) Bool(key ...string) (b, ok bool) {
	v, _ := lookup(t.tree, key)
	b, ok = v.(bool)
	return b, ok
}

// Int returns the integer at key.
func (t *TOML) Int(key ...string) (n int64, ok bool) {
	v, _ := lookup(t.tree, key)
	n, ok = v.(int64)
	return n, ok
}

// Strings returns the strings of the array at key; ok is false when there is no array or an element isn't a string.
func (t *TOML) Strings(key ...string) (s []string, ok bool) {
	v, _ := lookup(t.tree, key)
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	for _, x := range list {
		text, ok := x.(string)
		if !ok {
			return nil, false
		}
		s = append(s, text)
	}
	return s, true
}

// Keys returns the keys of the table at key, sorted; none of key is the document itself.
func (t *TOML) Keys(key ...string) []string {
	v, _ := lookup(t.tree, key)
	table, _ := v.(map[string]any)
	return slices.Sorted(maps.Keys(table))
}

// lookup follows key through tables.
func lookup(tree map[string]any, key []string) (any, bool) {
	var v any = tree
	for _, k := range key {
		table, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = table[k]; !ok {
			return nil, false
		}
	}
	return v, true
}
