package runtimes

import (
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// wants collects what to read next and leaves out what facts already hold.
type wants struct {
	f    *v1alpha1.Facts
	want v1alpha1.Wants
}

func newWants(f *v1alpha1.Facts) *wants { return &wants{f: f} }

// file asks for contents and returns the content where it is known.
func (w *wants) file(name string) (string, bool) {
	name = path.Clean(name)
	x, ok := w.f.File(name)
	if !ok {
		add(&w.want.Files, name)
		return "", false
	}
	return x.Content, x.Type == v1alpha1.Regular
}

func (w *wants) stat(names ...string) {
	for _, name := range names {
		name = path.Clean(name)
		if _, ok := w.f.File(name); !ok && !slices.Contains(w.want.Files, name) {
			add(&w.want.Stats, name)
		}
	}
}

// dir asks for a listing and returns the paths of its entries.
func (w *wants) dir(name string) []string {
	name = path.Clean(name)
	x, ok := w.f.Dir(name)
	if !ok {
		add(&w.want.Dirs, name)
		return nil
	}
	out := make([]string, 0, len(x.Entries))
	for _, e := range x.Entries {
		out = append(out, path.Join(name, e))
	}
	return out
}

// unit asks for a unit, the files that make it, and what a plan may put beside them.
func (w *wants) unit(name string) {
	u, ok := w.f.Unit(name)
	if !ok {
		add(&w.want.Units, name)
		return
	}
	if u.LoadState == "not-found" {
		return
	}
	for _, file := range unitFiles(u) {
		w.file(file)
	}
	for _, file := range u.EnvironmentFiles {
		if p := environmentFile(file); p != "" {
			w.file(p)
		}
	}
	dir := DropInDir(name)
	w.stat(dir)
	w.dir(dir)
	w.file(path.Join(dir, ParkingDropIn))
	w.file(path.Join(dir, OwnDropIn))
	for _, l := range InstallLinks(w.f, name) {
		w.stat(l.Path, path.Dir(l.Path))
	}
}

// common asks for what belongs to no single runtime.
func (w *wants) common() {
	w.stat("/etc/crio", "/etc/containerd", "/etc/containers", "/etc/docker", "/etc/systemd/system")
	for _, dir := range []string{"/etc/modules-load.d", "/etc/sysctl.d", "/usr/lib/modules-load.d", "/usr/lib/sysctl.d", defaultCNIConf, defaultCNIBin} {
		entries := w.dir(dir)
		w.stat(dir)
		switch dir {
		case "/etc/modules-load.d", "/etc/sysctl.d", "/usr/lib/modules-load.d", "/usr/lib/sysctl.d":
			for _, e := range entries {
				if strings.HasSuffix(e, ".conf") {
					w.file(e)
				}
			}
		}
	}
	w.file("/etc/sysctl.conf")
	w.file("/etc/modules")
	w.file(ModulesFile)
	w.file(SysctlFile)
	for _, d := range All() {
		for _, dir := range cniBinDirs(d, w.f) {
			w.dir(dir)
		}
	}
}

// command asks for a runtime's own dump of its configuration, with flags for those of its paths that exist: one that is
// named must be there. It waits until that is known.
func (w *wants) command(name v1alpha1.RuntimeName, binary string, paths [][2]string, words ...string) {
	if binary == "" {
		return
	}
	argv := []string{binary}
	for _, p := range paths {
		x, ok := w.f.File(path.Clean(p[1]))
		if !ok {
			return
		}
		if x.Type != v1alpha1.Absent {
			argv = append(argv, p[0], p[1])
		}
	}
	if w.want.Commands == nil {
		w.want.Commands = map[v1alpha1.RuntimeName][]string{}
	}
	w.want.Commands[name] = append(argv, words...)
}

func add(list *[]string, name string) {
	if name != "" && !slices.Contains(*list, name) {
		*list = append(*list, name)
	}
}

// unitFiles are the files that a unit is made of, in the order in which they count.
func unitFiles(u v1alpha1.Unit) []string {
	var out []string
	if u.Fragment != "" {
		out = append(out, u.Fragment)
	}
	return append(out, u.DropIns...)
}

// environmentFile returns the path of an EnvironmentFile= value, empty for a pattern.
func environmentFile(value string) string {
	value, _, _ = strings.Cut(value, " (ignore_errors")
	if rest, ok := strings.CutPrefix(value, "-"); ok {
		return rest
	}
	if strings.ContainsAny(value, "*?[%") {
		return ""
	}
	return value
}

// parseUnit reads all files of a unit as one.
func parseUnit(f *v1alpha1.Facts, name string) *edit.Unit {
	all := &edit.Unit{}
	u, ok := f.Unit(name)
	if !ok {
		return all
	}
	for _, file := range unitFiles(u) {
		x, ok := f.File(file)
		if !ok || x.Type != v1alpha1.Regular {
			continue
		}
		if part, err := edit.ParseUnit(x.Content); err == nil {
			all.Entries = append(all.Entries, part.Entries...)
		}
	}
	return all
}
