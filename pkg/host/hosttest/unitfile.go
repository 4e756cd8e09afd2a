package hosttest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// unitDirs are where PID 1 looks for unit files, the first wins.
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"}

// definition is a unit as its files say.
type definition struct {
	name     string
	fragment string
	dropIns  []string
	masked   bool
	options  map[string][]string // "Section.Key" → values, an empty assignment clears
	links    map[string][]string // "Wants", "Requires" from .wants and .requires directories
	text     string              // everything that was read, to see changes
}

func (d *definition) all(key string) []string { return d.options[key] }

// words returns the values of a list option, split at blanks.
func (d *definition) words(key string) []string {
	var out []string
	for _, v := range d.options[key] {
		out = append(out, strings.Fields(v)...)
	}
	return out
}

func (d *definition) last(key string) string {
	if v := d.options[key]; len(v) > 0 {
		return v[len(v)-1]
	}
	return ""
}

// deps returns the units that kind ("Wants", "Requires", "BindsTo") names, links included.
func (d *definition) deps(kind string) []string {
	out := append(d.words("Unit."+kind), d.links[kind]...)
	slices.Sort(out)
	return slices.Compact(out)
}

// read returns the definition of a unit as the disk has it; nil when there is none.
func (t *tree) read(name string) (*definition, error) {
	if d, ok := t.units[name]; ok {
		return d, nil
	}
	d, err := t.define(name)
	if err != nil {
		return nil, err
	}
	if t.units == nil {
		t.units = map[string]*definition{}
	}
	t.units[name] = d
	return d, nil
}

func (t *tree) define(name string) (*definition, error) {
	d := &definition{name: name, options: map[string][]string{}, links: map[string][]string{}}
	for _, dir := range unitDirs {
		i, at, err := t.follow(path.Join(dir, name))
		if link := t.now[path.Join(dir, name)]; link != nil && link.kind == v1alpha1.Symlink && link.target == "/dev/null" {
			d.masked, d.fragment = true, path.Join(dir, name)
			return d, nil
		}
		if err != nil || i.kind != v1alpha1.Regular {
			continue
		}
		d.fragment = at
		if err := d.parse(at, string(i.data)); err != nil {
			return nil, err
		}
		break
	}
	dropIns := map[string]string{}
	for _, dir := range slices.Backward(unitDirs) {
		_, at, err := t.follow(path.Join(dir, name+".d"))
		if err != nil {
			continue
		}
		for _, c := range t.children(at) {
			if strings.HasSuffix(c, ".conf") {
				dropIns[c] = path.Join(at, c)
			}
		}
	}
	if d.fragment == "" {
		return nil, nil
	}
	for _, base := range sortedKeys(dropIns) {
		i, at, err := t.follow(dropIns[base])
		if err != nil || i.kind != v1alpha1.Regular {
			continue
		}
		d.dropIns = append(d.dropIns, at)
		if err := d.parse(at, string(i.data)); err != nil {
			return nil, err
		}
	}
	for kind, suffix := range map[string]string{"Wants": ".wants", "Requires": ".requires"} {
		for _, dir := range unitDirs {
			d.links[kind] = append(d.links[kind], t.children(path.Join(dir, name+suffix))...)
		}
	}
	return d, nil
}

func (d *definition) parse(file, text string) error {
	d.text += file + "\n" + text + "\n"
	options, err := unit.DeserializeOptions(strings.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, o := range options {
		key := o.Section + "." + o.Name
		if o.Value == "" {
			delete(d.options, key)
			continue
		}
		// systemd joins continued lines by a blank.
		d.options[key] = append(d.options[key], strings.ReplaceAll(o.Value, "\\\n", " "))
	}
	return nil
}

func sortedKeys[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// fileState is UnitFileState.
func (t *tree) fileState(d *definition) string {
	switch {
	case d.masked:
		return "masked"
	case len(d.words("Install.WantedBy"))+len(d.words("Install.RequiredBy"))+len(d.words("Install.Alias")) == 0:
		return "static"
	}
	for p, i := range t.now {
		if i.kind != v1alpha1.Symlink || path.Base(p) != d.name {
			continue
		}
		dir := path.Dir(p)
		if path.Dir(dir) == unitDirs[0] && (strings.HasSuffix(dir, ".wants") || strings.HasSuffix(dir, ".requires")) {
			return "enabled"
		}
	}
	return "disabled"
}

// conditions reports whether the unit's conditions are met, on the disk as it is now.
func (t *tree) conditions(d *definition) bool {
	for _, c := range d.all("Unit.ConditionPathExists") {
		p, not := strings.CutPrefix(strings.TrimPrefix(c, "|"), "!")
		_, _, err := t.follow(p)
		if (err == nil) == not {
			return false
		}
	}
	return true
}

// environment is what the unit's processes get, EnvironmentFiles read now.
func (t *tree) environment(d *definition) ([]string, error) {
	env := map[string]string{}
	add := func(pair string) {
		if k, v, ok := strings.Cut(pair, "="); ok {
			env[k] = v
		}
	}
	for _, line := range d.all("Service.Environment") {
		for _, pair := range splitWords(line) {
			add(pair)
		}
	}
	for _, file := range d.all("Service.EnvironmentFile") {
		file, optional := strings.CutPrefix(file, "-")
		i, _, err := t.follow(file)
		if err != nil {
			if optional {
				continue
			}
			return nil, fmt.Errorf("failed to load environment files: %w", err)
		}
		parsed, err := edit.ParseEnv(string(i.data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, v := range parsed.Vars {
			add(v.Name + "=" + v.Value)
		}
	}
	out := make([]string, 0, len(env))
	for _, k := range sortedKeys(env) {
		out = append(out, k+"="+env[k])
	}
	return out, nil
}

// splitWords splits a line at blanks, quotes kept together and removed.
func splitWords(s string) []string {
	var out []string
	var word strings.Builder
	var quote rune
	started := false
	for _, r := range s {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, started = r, true
		case quote == 0 && (r == ' ' || r == '\t' || r == '\n'):
			if started {
				out = append(out, word.String())
				word.Reset()
			}
			started = false
		default:
			word.WriteRune(r)
			started = true
		}
	}
	if started {
		out = append(out, word.String())
	}
	return out
}

// command is the unit's ExecStart with its variables: $VAR alone becomes its words, ${VAR} one piece of text.
func command(d *definition, env []string) []string {
	vars := map[string]string{}
	for _, pair := range env {
		k, v, _ := strings.Cut(pair, "=")
		vars[k] = v
	}
	var argv []string
	for k, w := range splitWords(d.last("Service.ExecStart")) {
		if k == 0 {
			w = strings.TrimLeft(w, "-@:+!")
		}
		if name, ok := strings.CutPrefix(w, "$"); ok && name != "" && name[0] != '{' && name[0] != '$' {
			argv = append(argv, splitWords(vars[name])...)
			continue
		}
		for name, v := range vars {
			w = strings.ReplaceAll(w, "${"+name+"}", v)
		}
		argv = append(argv, w)
	}
	return argv
}
