package runtimes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// ContainerdRefuses returns what containerd's files say that this release of it starts without, or that its CRI plugin
// fails at. The findings have no ID: the rule that asks gives them its own.
func ContainerdRefuses(f *v1alpha1.Facts) []v1alpha1.Finding {
	c := readContainerd(f)
	if !known(c.version) {
		return nil
	}
	return slices.Concat(c.tooNew(), c.twoRegistries(), c.twoBinDirs(), c.goneFromUse(), c.disabledCore())
}

// newestVersion is the newest version of the file that a release understands.
func newestVersion(release string) int {
	switch {
	case before(release, 2, 0, 0):
		return 2
	case before(release, 2, 3, 0):
		return 3
	}
	return 4
}

// tooNew: releases up to 1.6.31 and 1.7.16 don't look at the version, and know nothing of what a newer one says of CRI.
func (c ctdConfig) tooNew() []v1alpha1.Finding {
	what := "doesn't start with"
	if before(c.version, 1, 6, 32) || !before(c.version, 1, 7, 0) && before(c.version, 1, 7, 17) {
		what = "ignores what is said of CRI in"
	}
	var out []v1alpha1.Finding
	newest := newestVersion(c.version)
	for i := range c.files {
		if x := &c.files[i]; x.version > newest && x.version <= 4 {
			out = append(out, at(failure("", fmt.Sprintf("write it as version %d, or install a newer containerd", newest),
				"containerd %s %s a file of version %d", c.version, what, x.version), x.path, lineWith(x.content, "version")))
		}
	}
	return out
}

// twoRegistries: a directory of hosts and the older tables exclude each other, and the CRI plugin isn't loaded then.
func (c ctdConfig) twoRegistries() []v1alpha1.Finding {
	dir, file := c.explicit(ctdRegistry, "config_path")
	if s, _ := dir.(string); s == "" || before(c.version, 1, 5, 0) {
		return nil
	}
	hint := "move what the tables say into " + dir.(string) + "/HOST/hosts.toml and remove them, or remove config_path"
	if mirrors, from := c.explicit(ctdRegistry, "mirrors"); len(asTable(mirrors)) > 0 {
		return []v1alpha1.Finding{at(at(failure("", hint, "containerd's CRI plugin refuses registry.mirrors together with registry.config_path"),
			from.path, lineWith(from.content, "registry.mirrors")), file.path, lineWith(file.content, "config_path"))}
	}
	configs, from := c.explicit(ctdRegistry, "configs")
	for host := range asTable(configs) {
		if len(tree(asTable(configs)).table(host, "tls")) > 0 && before(c.version, 2, 0, 0) {
			return []v1alpha1.Finding{at(at(failure("", hint, "containerd's CRI plugin refuses registry.configs with tls together with registry.config_path"),
				from.path, lineWith(from.content, "registry.configs")), file.path, lineWith(file.content, "config_path"))}
		}
	}
	return nil
}

// twoBinDirs: from 2.1 on there is a list of directories, and both at once are refused. A bin_dir beside the list that is
// built in isn't.
func (c ctdConfig) twoBinDirs() []v1alpha1.Finding {
	one, _ := c.explicit(ctdCNI, "bin_dir")
	list, file := c.explicit(ctdCNI, "bin_dirs")
	dirs := stringsOf(list)
	if one == nil || one == "" || len(dirs) == 0 || before(c.version, 2, 1, 0) || slices.Equal(dirs, []string{defaultCNIBin}) {
		return nil
	}
	return []v1alpha1.Finding{at(failure("", "remove bin_dir", "containerd's CRI plugin refuses cni.bin_dir together with cni.bin_dirs"), file.path, lineWith(file.content, "bin_dirs"))}
}

// goneFromUse are a snapshotter and shims that 2.0 removed, where every pod would need them.
func (c ctdConfig) goneFromUse() []v1alpha1.Finding {
	if before(c.version, 2, 0, 0) {
		return nil
	}
	var out []v1alpha1.Finding
	if name, file := c.explicit(ctdSnapshotter); name == "aufs" {
		out = append(out, at(failure("", "use overlayfs", "containerd %s has no snapshotter aufs", c.version), file.path, lineWith(file.content, "snapshotter")))
	}
	handler := c.defaultRuntime()
	if kind, file := c.explicit(ctdRuntimes, handler, "runtime_type"); goneShim(kind) {
		out = append(out, at(failure("", "use io.containerd.runc.v2", "containerd %s has no %s, which the default handler %s names", c.version, kind, handler),
			file.path, lineWith(file.content, fmt.Sprint(kind))))
	}
	return out
}

// disabledCore are plugins without which the CRI plugin isn't loaded, and that the plan doesn't enable as it does that one.
func (c ctdConfig) disabledCore() []v1alpha1.Finding {
	snapshotter := cmp.Or(c.str(ctdSnapshotter), "overlayfs")
	needed := []string{"io.containerd.snapshotter.v1." + snapshotter, "io.containerd.runtime.v2.task", "io.containerd.metadata.v1.bolt", "io.containerd.content.v1.content"}
	var out []v1alpha1.Finding
	for i := range c.files {
		for _, id := range c.files[i].tree.strs("disabled_plugins") {
			if slices.Contains(needed, id) {
				out = append(out, at(failure("", "take it out of disabled_plugins", "containerd's configuration disables the plugin %s, without which it doesn't serve CRI", id),
					c.files[i].path, lineWith(c.files[i].content, id)))
			}
		}
	}
	return out
}

func goneShim(kind any) bool {
	return kind == "io.containerd.runtime.v1.linux" || kind == "io.containerd.runc.v1"
}

func asTable(v any) map[string]any {
	t, _ := v.(map[string]any)
	return t
}

// announced are settings of containerd's that go, or are gone.
type announced struct {
	// name is the setting for people, key where it stands and more what stands below that; "*" is every handler.
	name string
	key  ctdKey
	more []string
	// since is the release that announced it; gone the one from which on it has no effect, empty where there is none yet.
	since, gone string
	// from is the version of the file from which on it counts.
	from int
}

func announcements() []announced {
	return []announced{
		{name: "systemd_cgroup", key: ctdCRI, more: []string{"systemd_cgroup"}, since: "1.3", gone: "2.0"},
		{name: "untrusted_workload_runtime", key: ctdContainerd, more: []string{"untrusted_workload_runtime", "runtime_type"}, since: "1.2", gone: "2.0"},
		{name: "default_runtime", key: ctdContainerd, more: []string{"default_runtime", "runtime_type"}, since: "1.3", gone: "2.0"},
		{name: "runtime_engine", key: ctdRuntimes, more: []string{"*", "runtime_engine"}, since: "1.3", gone: "2.0"},
		{name: "runtime_root", key: ctdRuntimes, more: []string{"*", "runtime_root"}, since: "1.3", gone: "2.0"},
		{name: "CriuPath", key: ctdRuntimes, more: []string{"*", "options", "CriuPath"}, since: "1.7", gone: "2.0"},
		{name: "registry.auths", key: ctdRegistry, more: []string{"auths"}, since: "1.3"},
		{name: "registry.configs", key: ctdRegistry, more: []string{"configs"}, since: "1.5"},
		{name: "registry.mirrors", key: ctdRegistry, more: []string{"mirrors"}, since: "1.5"},
		{name: "cni.bin_dir", key: ctdCNI, more: []string{"bin_dir"}, since: "2.1", from: 3},
		{name: "enable_cdi", key: ctdEnableCDI, since: "2.2", from: 3},
	}
}

// ContainerdDeprecations returns what the files of a containerd of this release say without effect, and what it announces
// that a later release won't know: from its files and, where it runs, as it says itself. The findings have no ID.
func ContainerdDeprecations(f *v1alpha1.Facts) []v1alpha1.Finding {
	c := readContainerd(f)
	if !known(c.version) {
		return nil
	}
	dead := warning("", "say it anew as containerd's RELEASES.md tells, or remove it", "containerd %s ignores what its configuration says of", c.version)
	old := warning("", "say it anew before containerd is brought to a release without it: containerd's RELEASES.md tells how", "a later containerd won't know what its configuration says of")
	var deadNames, oldNames []string
	for _, a := range announcements() {
		file := c.says(a)
		switch {
		case file == nil || Before(c.version, a.since):
		case a.gone != "" && !Before(c.version, a.gone):
			dead, deadNames = at(dead, file.path, lineWith(file.content, lastOf(a.name))), append(deadNames, a.name)
		default:
			old, oldNames = at(old, file.path, lineWith(file.content, lastOf(a.name))), append(oldNames, a.name)
		}
	}
	var out []v1alpha1.Finding
	if len(deadNames) > 0 {
		dead.Message += " " + strings.Join(deadNames, ", ")
		out = append(out, dead)
	}
	if len(oldNames) > 0 {
		old.Message += " " + strings.Join(oldNames, ", ")
		out = append(out, old)
	}
	out = append(out, c.deadHandlers()...)
	return append(out, c.itself(f, len(oldNames) > 0)...)
}

func lastOf(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// says returns the file that gives a setting a value of its own.
func (c ctdConfig) says(a announced) *ctdFile {
	for i := range c.files {
		x := &c.files[i]
		if x.version < a.from {
			continue
		}
		more := [][]string{a.more}
		if len(a.more) > 0 && a.more[0] == "*" {
			more = nil
			for _, name := range x.tree.keys(a.key.key(x.version)...) {
				more = append(more, append([]string{name}, a.more[1:]...))
			}
		}
		for _, m := range more {
			// What a release prints as its defaults (true for CDI, nothing for the rest) nobody said.
			v, ok := x.tree.get(a.key.key(x.version, m...)...)
			empty := v == "" || v == false || asTable(v) != nil && len(asTable(v)) == 0 || a.key == ctdEnableCDI && v == true
			if ok && !empty {
				return x
			}
		}
	}
	return nil
}

// deadHandlers are handlers beside the default one that name a shim that 2.0 removed.
func (c ctdConfig) deadHandlers() []v1alpha1.Finding {
	if before(c.version, 2, 0, 0) {
		return nil
	}
	names := map[string]*ctdFile{}
	for i := range c.files {
		x := &c.files[i]
		for _, name := range x.tree.keys(ctdRuntimes.key(x.version)...) {
			if kind, _ := x.tree.get(ctdRuntimes.key(x.version, name, "runtime_type")...); goneShim(kind) && name != c.defaultRuntime() {
				names[name] = x
			}
		}
	}
	var out []v1alpha1.Finding
	for _, name := range slices.Sorted(maps.Keys(names)) {
		out = append(out, at(warning("", "use io.containerd.runc.v2", "pods of the handler %s won't start: containerd %s doesn't have its runtime_type any more", name, c.version),
			names[name].path, lineWith(names[name].content, "runtimes."+name)))
	}
	return out
}

// itself is what the running daemon says. What its files show is told already, and cgroups are another rule's.
func (c ctdConfig) itself(f *v1alpha1.Facts, told bool) []v1alpha1.Finding {
	var out []v1alpha1.Finding
	for _, d := range f.Runtime(v1alpha1.Containerd).Deprecations {
		id := d.ID[strings.LastIndexByte(d.ID, '/')+1:]
		if id == "cgroup-v1" || told && (strings.HasPrefix(id, "cri-registry-") || id == "cri-cni-bin-dir") {
			continue
		}
		x := warning("", "ctr deprecations list tells more", "containerd itself warns: %s", strings.TrimSuffix(d.Message, "."))
		x.Evidence = []string{d.ID}
		out = append(out, x)
	}
	return out
}
