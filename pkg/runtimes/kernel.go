package runtimes

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// What every runtime needs of the kernel. Docker sets most of it itself at each start, so a node that always ran Docker
// may have nothing of it on disk.
var (
	neededModules    = []string{"overlay", "br_netfilter"}
	neededParameters = []string{"net.bridge.bridge-nf-call-ip6tables", "net.bridge.bridge-nf-call-iptables", "net.ipv4.ip_forward"}
)

// LostModules are the kernel modules that containerd or CRI-O need and that no file of an operator's loads at boot:
// overlay always; br_netfilter only where it is loaded now, networks without bridges don't need it.
func LostModules(f *v1alpha1.Facts) []string {
	var out []string
	for _, m := range neededModules {
		if !moduleOnDisk(f, m) && (m == "overlay" || slices.Contains(f.Modules, m)) {
			out = append(out, m)
		}
	}
	return out
}

// LostParameters are the kernel parameters that pods' networks need, that are in force now, and that no file of an
// operator's says at boot. One that isn't in force is none that this node's pods need.
func LostParameters(f *v1alpha1.Facts) []v1alpha1.Sysctl {
	var out []v1alpha1.Sysctl
	for _, name := range neededParameters {
		if _, said := AtBoot(f, name); !said && f.Sysctls[name] == "1" {
			out = append(out, v1alpha1.Sysctl{Name: name, Value: "1"})
		}
	}
	return out
}

// Setting is what a file says of a kernel parameter.
type Setting struct {
	Name, Value, File string
	Line              int
}

// Reversed are the needed parameters that are in force now and that a file of an operator's will set otherwise at boot.
func Reversed(f *v1alpha1.Facts) []Setting {
	var out []Setting
	for _, name := range neededParameters {
		if s, said := AtBoot(f, name); said && f.Sysctls[name] == "1" && s.Value != "1" {
			out = append(out, s)
		}
	}
	return out
}

// AtBoot returns what operators' files say of a kernel parameter, ours left out, the last one in the order in which
// systemd-sysctl(8) reads them: by their names, one below /etc in place of one of the same name below /usr/lib, and
// /etc/sysctl.conf behind all, to which distributions link from the last name.
func AtBoot(f *v1alpha1.Facts, name string) (s Setting, said bool) {
	for _, file := range kernelFiles(f, "/etc/sysctl.d/", "/usr/lib/sysctl.d/", "/etc/sysctl.conf") {
		at := 0
		for line := range strings.Lines(file.Content) {
			at++
			key, value, ok := strings.Cut(line, "=")
			key = strings.ReplaceAll(strings.TrimPrefix(strings.TrimSpace(key), "-"), "/", ".")
			if ok && strings.TrimSpace(key) == name {
				s, said = Setting{Name: name, Value: strings.TrimSpace(value), File: file.Path, Line: at}, true
			}
		}
	}
	return s, said
}

func moduleOnDisk(f *v1alpha1.Facts, module string) bool {
	for _, file := range kernelFiles(f, "/etc/modules-load.d/", "/usr/lib/modules-load.d/", "/etc/modules") {
		for line := range strings.Lines(file.Content) {
			if strings.ReplaceAll(strings.TrimSpace(line), "-", "_") == module {
				return true
			}
		}
	}
	return false
}

// kernelFiles are the regular files below directories, or of that very name, other than ours, in the order in which they
// count. Directories come first of all, the stronger one before the weaker.
func kernelFiles(f *v1alpha1.Facts, places ...string) []v1alpha1.File {
	rank := func(p string) int {
		return slices.IndexFunc(places, func(at string) bool { return p == at || strings.HasSuffix(at, "/") && path.Dir(p)+"/" == at })
	}
	var out []v1alpha1.File
	for _, x := range f.Files {
		if x.Type == v1alpha1.Regular && x.Path != ModulesFile && x.Path != SysctlFile && rank(x.Path) >= 0 {
			out = append(out, x)
		}
	}
	single := func(x v1alpha1.File) bool { return slices.Contains(places, x.Path) }
	hidden := func(x v1alpha1.File) bool {
		return !single(x) && slices.ContainsFunc(out, func(y v1alpha1.File) bool {
			return !single(y) && path.Base(y.Path) == path.Base(x.Path) && rank(y.Path) < rank(x.Path)
		})
	}
	shown := slices.DeleteFunc(slices.Clone(out), hidden)
	slices.SortStableFunc(shown, func(a, b v1alpha1.File) int {
		if single(a) != single(b) {
			return map[bool]int{true: 1, false: -1}[single(a)]
		}
		return cmp.Compare(path.Base(a.Path), path.Base(b.Path))
	})
	return shown
}
