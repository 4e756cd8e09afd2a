package plan

import (
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// What every runtime needs of the kernel. Docker sets most of it itself at each start, so a node that always ran Docker
// may have nothing of it on disk.
var (
	wantedModules = []string{"overlay", "br_netfilter"}
	wantedSysctls = []v1alpha1.Sysctl{
		{Name: "net.bridge.bridge-nf-call-ip6tables", Value: "1"},
		{Name: "net.bridge.bridge-nf-call-iptables", Value: "1"},
		{Name: "net.ipv4.ip_forward", Value: "1"},
	}
)

// persistent makes modules and parameters that are in force now, or needed, last through the next boot. What a file
// of the operator says stays; a parameter that isn't in force is none that this node's pods need.
func (b *builder) persistent() []v1alpha1.FileState {
	var out []v1alpha1.FileState
	if b.to.Name == v1alpha1.Docker {
		return nil
	}
	var modules []string
	for _, m := range wantedModules {
		if b.moduleOnDisk(m) || !b.wantsModule(m) {
			continue
		}
		modules = append(modules, m)
		if !slices.Contains(b.f.Modules, m) {
			b.modules = append(b.modules, m)
		}
	}
	if len(modules) > 0 {
		out = append(out, b.ownText(runtimes.ModulesFile, "kernel modules last through boots",
			"# Written by kubectl runtime: modules that the container runtime needs.\n"+strings.Join(modules, "\n")+"\n"))
	}
	var lines []string
	for _, s := range wantedSysctls {
		if b.sysctlOnDisk(s.Name) || !b.wantsSysctl(s) {
			continue
		}
		lines = append(lines, s.Name+" = "+s.Value)
	}
	if len(lines) > 0 {
		out = append(out, b.ownText(runtimes.SysctlFile, "kernel parameters last through boots",
			"# Written by kubectl runtime: parameters that pod networks need.\n"+strings.Join(lines, "\n")+"\n"))
	}
	return out
}

// wantsModule: overlay always; br_netfilter only where it is loaded now, networks without bridges don't need it.
func (b *builder) wantsModule(m string) bool {
	return m == "overlay" || slices.Contains(b.f.Modules, m)
}

func (b *builder) wantsSysctl(s v1alpha1.Sysctl) bool {
	return b.f.Sysctls[s.Name] == s.Value
}

func (b *builder) moduleOnDisk(module string) bool {
	for _, file := range b.kernelFiles("/etc/modules-load.d/", "/usr/lib/modules-load.d/", "/etc/modules") {
		for line := range strings.Lines(file.Content) {
			if strings.ReplaceAll(strings.TrimSpace(line), "-", "_") == module {
				return true
			}
		}
	}
	return false
}

func (b *builder) sysctlOnDisk(name string) bool {
	for _, file := range b.kernelFiles("/etc/sysctl.d/", "/usr/lib/sysctl.d/", "/etc/sysctl.conf") {
		for line := range strings.Lines(file.Content) {
			key, _, ok := strings.Cut(line, "=")
			key = strings.ReplaceAll(strings.TrimPrefix(strings.TrimSpace(key), "-"), "/", ".")
			if ok && strings.TrimSpace(key) == name {
				return true
			}
		}
	}
	return false
}

// kernelFiles are the regular files below directories, or of that very name, other than ours.
func (b *builder) kernelFiles(prefixes ...string) []v1alpha1.File {
	var out []v1alpha1.File
	for _, x := range b.f.Files {
		if x.Type != v1alpha1.Regular || x.Path == runtimes.ModulesFile || x.Path == runtimes.SysctlFile {
			continue
		}
		for _, p := range prefixes {
			if x.Path == p || strings.HasSuffix(p, "/") && strings.HasPrefix(x.Path, p) {
				out = append(out, x)
			}
		}
	}
	return out
}

func (b *builder) ownText(name, why, content string) v1alpha1.FileState {
	return v1alpha1.FileState{Path: name, Type: v1alpha1.Regular, Mode: 0o644, Content: edit.Text(content), Why: why}
}
