package edit

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
)

// prove applies the splices and parses the result: it must decode to the old document with the wanted change, and hold
// the same comments. Tables on the way to vanishing may be empty or absent: a table that only its keys implied goes with
// the last of them.
func (t *TOML) prove(s []Splice, change func(tree map[string]any) error, vanishing []string) error {
	text, err := Apply(t.content, s...)
	if err != nil {
		return err
	}
	after, err := ParseTOML(text)
	if err != nil {
		return fmt.Errorf("the edited file doesn't parse: %w: %w", err, ErrRefused)
	}
	want := clone(t.tree).(map[string]any)
	if err := change(want); err != nil {
		return err
	}
	prune(want, vanishing)
	prune(after.tree, vanishing)
	if !equal(want, after.tree) {
		return fmt.Errorf("the edit would change more than the key: %w", ErrRefused)
	}
	if !slices.Equal(t.comments, after.comments) {
		return fmt.Errorf("the edit would lose a comment: %w", ErrRefused)
	}
	return nil
}

// assign sets key in a decoded tree, making the tables on the way.
func assign(tree map[string]any, key []string, value any) error {
	for _, k := range key[:len(key)-1] {
		next, ok := tree[k]
		if !ok {
			next = map[string]any{}
			tree[k] = next
		}
		table, ok := next.(map[string]any)
		if !ok {
			return fmt.Errorf("%q is no table: %w", k, ErrRefused)
		}
		tree = table
	}
	tree[key[len(key)-1]] = value
	return nil
}

// prune removes the table at key when it is empty, and then those above it.
func prune(tree map[string]any, key []string) {
	if len(key) == 0 {
		return
	}
	table, ok := tree[key[0]].(map[string]any)
	if !ok {
		return
	}
	prune(table, key[1:])
	if len(table) == 0 {
		delete(tree, key[0])
	}
}

// unassign removes key from a decoded tree.
func unassign(tree map[string]any, key []string) error {
	for _, k := range key[:len(key)-1] {
		table, ok := tree[k].(map[string]any)
		if !ok {
			return fmt.Errorf("%q is no table: %w", k, ErrRefused)
		}
		tree = table
	}
	delete(tree, key[len(key)-1])
	return nil
}

// clone copies a decoded tree.
func clone(v any) any {
	switch x := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			out[k] = clone(e)
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = clone(e)
		}
		return out
	}
	return v
}

// equal compares decoded values; unlike reflect.DeepEqual it takes a NaN for itself and nil lists for empty ones.
func equal(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		return ok && maps.EqualFunc(x, y, func(a, b any) bool { return equal(a, b) })
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, func(a, b any) bool { return equal(a, b) })
	case float64:
		y, ok := b.(float64)
		return ok && (x == y || math.IsNaN(x) && math.IsNaN(y))
	}
	return reflect.DeepEqual(a, b)
}
