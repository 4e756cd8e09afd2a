package kubelet

import (
	"strconv"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Configuration is the kubelet's effective configuration: its file, its drop-ins and the flags that overrule them.
type Configuration struct {
	flags []flag
	cfg   config
}

// Flag is a flag that the kubelet is started with, and where it stands.
type Flag struct {
	Name, Value string
	// File and Line say where it is written; empty where it stands on the running kubelet's command line alone.
	File string
	Line int
}

// Configure reads the configuration that the running kubelet goes by, or the one that its unit would start it with.
func Configure(f *v1alpha1.Facts) Configuration {
	s := source{f: f}
	var c command
	if u, ok := f.Unit(unitName(f.Kubelet)); ok && u.LoadState == "loaded" {
		c = s.command(u)
	}
	flags := c.flags()
	if len(f.Kubelet.Argv) > 0 {
		flags = flagsOf(fromArgv(f.Kubelet.Argv))
	}
	cfg, _, _ := s.config(flags)
	return Configuration{flags: flags, cfg: cfg}
}

// Get returns the strongest value of a field and the file and line that say so. flagName is the flag that overrules the
// field, empty where there is none. ok is false where nobody says anything and the kubelet's default holds.
func (c Configuration) Get(flagName string, field ...string) (value, file string, line int, ok bool) {
	if f, found := lastFlag(c.flags, flagName); flagName != "" && found {
		return f.value, f.file, f.line, true
	}
	for _, x := range c.cfg.files {
		if text, at, found := x.yaml.Get(field...); found {
			value, file, line, ok = text, x.name, at, true
		}
	}
	return value, file, line, ok && value != ""
}

// Table returns the values of a field that maps names to values, such as evictionHard. ok is false where nobody says
// anything; drop-ins are merged name by name, and a flag (names and values joined by "<") replaces all.
func (c Configuration) Table(flagName, field string) (values map[string]string, ok bool) {
	values = map[string]string{}
	if f, found := lastFlag(c.flags, flagName); flagName != "" && found {
		for pair := range strings.SplitSeq(f.value, ",") {
			if name, value, ok := strings.Cut(pair, "<"); ok {
				values[strings.TrimSpace(name)] = strings.TrimSpace(value)
			}
		}
		return values, true
	}
	for _, x := range c.cfg.files {
		table, found := x.yaml.Tree()[field].(map[string]any)
		for name := range table {
			values[name], _, _ = x.yaml.Get(field, name)
		}
		ok = ok || found && len(table) > 0
	}
	return values, ok
}

// Gate returns whether a feature gate is on, and whether anybody says so: a flag beats the configuration, gate by gate.
func (c Configuration) Gate(name string) (on, said bool) {
	gates, _ := c.Table("", "featureGates")
	for _, f := range c.flags {
		if f.name != "feature-gates" {
			continue
		}
		for pair := range strings.SplitSeq(f.value, ",") {
			if gate, value, ok := strings.Cut(pair, "="); ok {
				gates[strings.TrimSpace(gate)] = strings.TrimSpace(value)
			}
		}
	}
	value, said := gates[name]
	on, err := strconv.ParseBool(value)
	return on, said && err == nil
}

// PlannedFlags are the flags that the kubelet's unit would start it with, each with its place.
func PlannedFlags(f *v1alpha1.Facts) []Flag {
	u, ok := f.Unit(unitName(f.Kubelet))
	if !ok || u.LoadState != "loaded" {
		return nil
	}
	var out []Flag
	for _, x := range (source{f: f}).command(u).flags() {
		out = append(out, Flag{Name: x.name, Value: x.value, File: x.file, Line: x.line})
	}
	return out
}

// RunsWith reports whether the running kubelet was started with a flag of that name.
func RunsWith(f *v1alpha1.Facts, name string) bool {
	_, ok := lastFlag(flagsOf(fromArgv(f.Kubelet.Argv)), name)
	return ok
}

// KubeadmFlags is the file that kubeadm writes flags into, and takes those out of that a newer kubelet doesn't know.
const KubeadmFlags = kubeadmFlags
