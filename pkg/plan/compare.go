package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// StaleError says that the node isn't as the plan read it, as the agent says it of what changes later.
type StaleError struct {
	Node    string
	Changes []string
}

// Error implements error.
func (e *StaleError) Error() string {
	return fmt.Sprintf("the node has changed since the plan was made: %s; nothing was changed on node %s; make the plan anew",
		strings.Join(e.Changes, "; "), e.Node)
}

// DifferentError says that a saved plan isn't the one that this program makes of the node.
type DifferentError struct {
	Node string
	// Fields say what the plan has where, and what this program makes of the node there.
	Fields []string
}

// Error implements error.
func (e *DifferentError) Error() string {
	return fmt.Sprintf("the plan isn't the one that this kubectl runtime makes of the node: %s; either it was edited, or another version made it, or the "+
		"node has changed since; nothing was changed on node %s; make the plan anew and compare", strings.Join(e.Fields, "; "), e.Node)
}

// Compare holds a saved plan against the one that was made anew of the same goal and of the node as it is. What rules said, who made the
// plan and how long pods may take to end are left out: rules are run again, and the last is the operator's to say. A node that isn't
// as the plan read it is a *StaleError, everything else that differs a *DifferentError.
func Compare(saved, made *v1alpha1.Plan, f *v1alpha1.Facts) error {
	saved, made = derivable(saved, f), derivable(made, f)
	if changes := read(saved.ReadSet, made.ReadSet); len(changes) > 0 {
		return &StaleError{Node: made.Node, Changes: changes}
	}
	var d differ
	d.compare("", tree(saved), tree(made))
	if len(d.found) > 0 {
		return &DifferentError{Node: made.Node, Fields: d.found}
	}
	return nil
}

// derivable is a plan as far as it must be the same when it is made again.
func derivable(p *v1alpha1.Plan, f *v1alpha1.Facts) *v1alpha1.Plan {
	out := *p
	out.Digest, out.Findings, out.Version, out.EvacuationGrace = "", nil, "", 0
	// A dry run on the node may have loaded what the plan loads.
	out.Modules = slices.DeleteFunc(slices.Clone(p.Modules), func(m string) bool { return slices.Contains(f.Modules, m) })
	out.ReadSet.Dirs = nil
	for _, d := range p.ReadSet.Dirs {
		d.Entries = v1alpha1.Foreign(d.Entries)
		d.Exists = d.Exists && len(d.Entries) > 0
		out.ReadSet.Dirs = append(out.ReadSet.Dirs, d)
	}
	return &out
}

// read says in what the node differs from what was read of it, in words.
func read(was, is v1alpha1.ReadSet) []string {
	var out []string
	if was.Boot != is.Boot {
		out = append(out, "it was rebooted")
	}
	out = append(out, among("", was.Files, is.Files, func(x v1alpha1.FileDigest) string { return x.Path }, func(x, y v1alpha1.FileDigest) string {
		switch {
		case x.Type != y.Type:
			return fmt.Sprintf("is %s and was %s", y.Type, x.Type)
		case x.Target != y.Target:
			return "points to " + y.Target
		}
		return "has another content"
	})...)
	out = append(out, among("the files in ", was.Dirs, is.Dirs, func(x v1alpha1.Dir) string { return x.Path }, func(v1alpha1.Dir, v1alpha1.Dir) string {
		return "are others"
	})...)
	out = append(out, among("", was.Units, is.Units, func(x v1alpha1.UnitDigest) string { return x.Name }, func(x, y v1alpha1.UnitDigest) string {
		return fmt.Sprintf("is %s, %s, %s and was %s, %s, %s", y.LoadState, y.ActiveState, y.FileState, x.LoadState, x.ActiveState, x.FileState)
	})...)
	for _, name := range slices.Sorted(maps.Keys(merged(was.Binaries, is.Binaries))) {
		switch x, y := was.Binaries[name], is.Binaries[name]; {
		case x == y:
		case x == "":
			out = append(out, name+" wasn't read when the plan was made")
		case y == "":
			out = append(out, name+" is gone")
		default:
			out = append(out, fmt.Sprintf("%s is version %s and was %s", name, y, x))
		}
	}
	return out
}

// among compares two lists by the names of what is in them.
func among[T any](what string, was, is []T, name func(T) string, differs func(x, y T) string) []string {
	var out []string
	for _, x := range was {
		switch i := slices.IndexFunc(is, func(y T) bool { return name(x) == name(y) }); {
		case i < 0:
			out = append(out, what+name(x)+" isn't read any more")
		case !reflect.DeepEqual(x, is[i]):
			out = append(out, what+name(x)+" "+differs(x, is[i]))
		}
	}
	for _, y := range is {
		if !slices.ContainsFunc(was, func(x T) bool { return name(x) == name(y) }) {
			out = append(out, what+name(y)+" wasn't read when the plan was made")
		}
	}
	return out
}

func merged(a, b map[string]string) map[string]string {
	out := maps.Clone(a)
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, b)
	return out
}

// tree is a plan as its file has it: fields that say nothing aren't there.
func tree(p *v1alpha1.Plan) any {
	var out any
	data, err := json.Marshal(p)
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		return err.Error() // nothing in a plan can't be encoded
	}
	return out
}

// differ finds the fields in which two trees differ.
type differ struct{ found []string }

// mostFields is how many are told.
const mostFields = 5

func (d *differ) compare(where string, saved, made any) {
	switch s := saved.(type) {
	case map[string]any:
		m, ok := made.(map[string]any)
		if !ok {
			break
		}
		keys := maps.Clone(s)
		maps.Copy(keys, m)
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			d.compare(strings.TrimPrefix(where+"."+k, "."), s[k], m[k])
		}
		return
	case []any:
		m, ok := made.([]any)
		if !ok || len(s) != len(m) {
			break
		}
		for i := range s {
			d.compare(where+element(i, s[i], m[i]), s[i], m[i])
		}
		return
	}
	if reflect.DeepEqual(saved, made) {
		return
	}
	switch n := len(d.found); {
	case n < mostFields:
		d.found = append(d.found, fmt.Sprintf("%s is %s, and of the node comes %s", where, quoted(saved), quoted(made)))
	case n == mostFields:
		d.found = append(d.found, "and more")
	}
}

// element names an element of a list: by what both call it, else by its number.
func element(i int, saved, made any) string {
	s, _ := saved.(map[string]any)
	m, _ := made.(map[string]any)
	for _, key := range []string{"path", "name"} {
		if name, ok := s[key].(string); ok && m[key] == name {
			return "[" + name + "]"
		}
	}
	return fmt.Sprintf("[%d]", i)
}

// quoted is a value as its file has it, shortened.
func quoted(v any) string {
	if v == nil {
		return "empty"
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	const most = 160
	if text := []rune(string(data)); len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(data)
}
