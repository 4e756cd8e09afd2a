package runtimes

import (
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// tree is a decoded configuration file.
type tree map[string]any

func (t tree) get(key ...string) (any, bool) {
	var v any = map[string]any(t)
	for _, k := range key {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[k]; !ok {
			return nil, false
		}
	}
	return v, true
}

func (t tree) table(key ...string) tree {
	v, _ := t.get(key...)
	m, _ := v.(map[string]any)
	return m
}

func (t tree) str(key ...string) string {
	v, _ := t.get(key...)
	s, _ := v.(string)
	return s
}

func (t tree) boolean(key ...string) (value, ok bool) {
	v, _ := t.get(key...)
	value, ok = v.(bool)
	return value, ok
}

func (t tree) number(key ...string) int64 {
	v, _ := t.get(key...)
	switch n := v.(type) {
	case int64:
		return n
	case float64:
		return int64(n)
	}
	return 0
}

// strs returns a list of strings; a single string is a list of one.
func (t tree) strs(key ...string) []string {
	v, _ := t.get(key...)
	return stringsOf(v)
}

func stringsOf(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	case []string:
		return v
	}
	return nil
}

func (t tree) keys(key ...string) []string {
	return slices.Sorted(maps.Keys(t.table(key...)))
}

// tables returns an array of tables.
func (t tree) tables(key ...string) []tree {
	v, _ := t.get(key...)
	var out []tree
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			if m, ok := e.(map[string]any); ok {
				out = append(out, m)
			}
		}
	case []map[string]any:
		for _, m := range v {
			out = append(out, m)
		}
	}
	return out
}

// parseTree decodes TOML; what can't be parsed is an empty tree.
func parseTree(content string) tree {
	t, err := edit.ParseTOML(content)
	if err != nil {
		return tree{}
	}
	return t.Tree()
}

// tomlText builds a TOML document of ours.
type tomlText struct{ b strings.Builder }

func (t *tomlText) comment(s string) { t.b.WriteString("# " + s + "\n") }

func (t *tomlText) header(key ...string) {
	if t.b.Len() > 0 {
		t.b.WriteString("\n")
	}
	t.b.WriteString("[" + edit.TOMLKey(key...) + "]\n")
}

func (t *tomlText) element(key ...string) {
	if t.b.Len() > 0 {
		t.b.WriteString("\n")
	}
	t.b.WriteString("[[" + edit.TOMLKey(key...) + "]]\n")
}

func (t *tomlText) set(key string, value any) {
	quoted, err := edit.TOMLQuote(value)
	if err != nil {
		return
	}
	t.b.WriteString(edit.TOMLKey(key) + " = " + quoted + "\n")
}

func (t *tomlText) String() string { return t.b.String() }
