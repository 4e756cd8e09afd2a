package runtimes

import (
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// argv is how a daemon is started.
type argv struct {
	exe  string
	args []string
}

// command returns how a daemon is started: as its process says, or as its unit would start it.
func command(f *v1alpha1.Facts, name v1alpha1.RuntimeName, daemon, unit string) argv {
	if p, ok := running(f, name, daemon, unit); ok {
		return argv{exe: p.Exe, args: p.Argv[1:]}
	}
	lines := parseUnit(f, unit).Values("Service", "ExecStart")
	if len(lines) == 0 {
		return argv{exe: f.Runtime(name).Binaries[daemon].Path}
	}
	words := edit.SplitWords(lines[len(lines)-1].Value)
	if len(words) == 0 {
		return argv{exe: f.Runtime(name).Binaries[daemon].Path}
	}
	vars := environment(f, unit)
	out := argv{exe: strings.TrimLeft(words[0], "@-:+!")}
	for _, w := range words[1:] {
		out.args = append(out.args, expand(w, vars)...)
	}
	return out
}

// running returns the daemon's process in its own unit. Others of that name may run in pods, or below dockerd.
func running(f *v1alpha1.Facts, name v1alpha1.RuntimeName, daemon, unit string) (v1alpha1.Process, bool) {
	for _, p := range f.Runtime(name).Processes {
		if path.Base(p.Exe) == daemon && p.Unit == unit && len(p.Argv) > 0 {
			return p, true
		}
	}
	return v1alpha1.Process{}, false
}

// expand replaces $NAME, a word of its own that becomes any number of words, and ${NAME} as systemd does.
func expand(word string, vars map[string]string) []string {
	if name, ok := strings.CutPrefix(word, "$"); ok && name != "" && !strings.ContainsAny(name, "{}$/=") {
		return strings.Fields(vars[name])
	}
	for {
		before, rest, ok := strings.Cut(word, "${")
		if !ok {
			return []string{word}
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return []string{word}
		}
		word = before + vars[name] + after
	}
}

// environment returns the variables that a unit sets, files after lines as systemd does.
func environment(f *v1alpha1.Facts, unit string) map[string]string {
	out := map[string]string{}
	for _, v := range variables(f, unit) {
		out[v.name] = v.value
	}
	return out
}

// variable is an environment variable of a unit and where it stands.
type variable struct {
	name, value, file string
	line              int
	// fromUnit: in an Environment= line, where percent signs are doubled.
	fromUnit bool
}

// variables returns the assignments of a unit in the order in which they count.
func variables(f *v1alpha1.Facts, unit string) []variable {
	u, ok := f.Unit(unit)
	if !ok {
		return nil
	}
	var out []variable
	for _, name := range unitFiles(u) {
		x, ok := f.File(name)
		if !ok || x.Type != v1alpha1.Regular {
			continue
		}
		parsed, err := edit.ParseUnit(x.Content)
		if err != nil {
			continue
		}
		vars, err := parsed.Environment()
		if err != nil {
			continue
		}
		for _, v := range vars {
			out = append(out, variable{v.Name, v.Value, name, v.Line, true})
		}
	}
	for _, e := range u.EnvironmentFiles {
		name := environmentFile(e)
		x, ok := f.File(name)
		if !ok || x.Type != v1alpha1.Regular {
			continue
		}
		parsed, err := edit.ParseEnv(x.Content)
		if err != nil {
			continue
		}
		for _, v := range parsed.Vars {
			out = append(out, variable{v.Name, v.Value, name, v.Line, false})
		}
	}
	return out
}

// flag returns the value of a flag, the last one given; a flag without value is "true".
func (a argv) flag(names ...string) (value string, ok bool) {
	values := a.values(names...)
	if len(values) == 0 {
		return "", false
	}
	return values[len(values)-1], true
}

// values returns all values of a flag that may be repeated.
func (a argv) values(names ...string) []string {
	var out []string
	for i := 0; i < len(a.args); i++ {
		word := a.args[i]
		if !strings.HasPrefix(word, "-") {
			continue
		}
		name, value, has := strings.Cut(strings.TrimLeft(word, "-"), "=")
		if !slices.Contains(names, name) {
			continue
		}
		switch {
		case has:
		case i+1 < len(a.args) && !strings.HasPrefix(a.args[i+1], "-"):
			i++
			value = a.args[i]
		default:
			value = "true"
		}
		out = append(out, value)
	}
	return out
}
