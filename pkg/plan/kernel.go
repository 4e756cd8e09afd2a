package plan

import (
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// persistent makes modules and parameters that are in force now, or needed, last through the next boot. What a file
// of the operator says stays. Docker sets them itself at each start.
func (b *builder) persistent() []v1alpha1.FileState {
	var out []v1alpha1.FileState
	if b.to.Name == v1alpha1.Docker {
		return nil
	}
	modules := runtimes.LostModules(b.f)
	for _, m := range modules {
		if !slices.Contains(b.f.Modules, m) {
			b.modules = append(b.modules, m)
		}
	}
	if len(modules) > 0 {
		out = append(out, b.ownText(runtimes.ModulesFile, "kernel modules last through boots",
			"# Written by kubectl runtime: modules that the container runtime needs.\n"+strings.Join(modules, "\n")+"\n"))
	}
	var lines []string
	for _, s := range runtimes.LostParameters(b.f) {
		lines = append(lines, s.Name+" = "+s.Value)
	}
	if len(lines) > 0 {
		out = append(out, b.ownText(runtimes.SysctlFile, "kernel parameters last through boots",
			"# Written by kubectl runtime: parameters that pod networks need.\n"+strings.Join(lines, "\n")+"\n"))
	}
	return out
}

func (b *builder) ownText(name, why, content string) v1alpha1.FileState {
	return v1alpha1.FileState{Path: name, Type: v1alpha1.Regular, Mode: 0o644, Content: edit.Text(content), Why: why}
}
