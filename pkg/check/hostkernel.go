package check

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// lasting: Docker sets what it needs itself, so only the others are asked.
func lasting(n *node) []v1alpha1.Finding {
	if n.to.Name == v1alpha1.Docker {
		return nil
	}
	var out []v1alpha1.Finding
	if modules := runtimes.LostModules(n.f); len(modules) > 0 {
		out = append(out, repaired(runtimes.ModulesFile, "no file loads the kernel modules %s at the next boot", strings.Join(modules, ", "))...)
	}
	var names []string
	for _, s := range runtimes.LostParameters(n.f) {
		names = append(names, s.Name+"="+s.Value)
	}
	if len(names) > 0 {
		out = append(out, repaired(runtimes.SysctlFile, "no file sets the kernel parameters %s at the next boot", strings.Join(names, ", "))...)
	}
	for _, s := range runtimes.Reversed(n.f) {
		out = append(out, shown(warn("set it to 1 there if pods need it, as it is now", "%s is 1 now, and this file sets it to %s at the next boot: only Docker would set it again", s.Name, s.Value), place(s.File, s.Line))...)
	}
	return out
}

// repaired is a finding that the plan does away with by the file it names.
func repaired(file, format string, args ...any) []v1alpha1.Finding {
	out := warn("", format, args...)
	out[0].Severity, out[0].Evidence = v1alpha1.SeverityFixable, []string{file}
	return out
}

// agreedDriver compares what the kubelet is told with what holds.
func agreedDriver(n *node) []v1alpha1.Finding {
	from := n.f.Runtime(n.from)
	if n.from == "" || n.v.Dockershim || from.CRI == nil {
		return nil
	}
	d, err := runtimes.Get(n.from)
	if err != nil {
		return nil
	}
	_, file, line, _ := n.config.Get("cgroup-driver", "cgroupDriver")
	evidence := place(cmp.Or(file, n.v.ConfigFile), line)
	s, _ := d.ReadSettings(n.f)
	now := cmp.Or(from.CRI.CgroupDriver, s.CgroupDriver)
	if from.CRI.CgroupDriver == "" && s.DefaultOCIRuntime != "" {
		return nil // a handler of its own, whose options mean something else
	}
	if now == "" || now == n.v.CgroupDriver {
		return nil
	}
	hint := "set cgroupDriver: " + now + " in the kubelet's configuration and in the ConfigMap kubelet-config, and restart the kubelet"
	told := n.v.Minor >= 31 && from.CRI.CgroupDriver != ""
	switch {
	case told && !tellsDriver(n):
		return shown(stop(hint, "the kubelet's configuration says %s and the kubelet goes by the %s that its runtime names; %s names none, so every pod would fail",
			n.v.CgroupDriver, now, n.to.Name), evidence)
	case told:
		return shown(warn(hint, "the kubelet's configuration says %s, its runtime names %s and the kubelet goes by that: a runtime that names none would bring the other one back", n.v.CgroupDriver, now), evidence)
	}
	return shown(warn("find out which one pods run with before the switch, which gives the target the kubelet's",
		"the kubelet uses the cgroup driver %s, the runtime that it leaves is told %s", n.v.CgroupDriver, now), evidence)
}

// tellsDriver reports whether the target answers CRI's RuntimeConfig.
func tellsDriver(n *node) bool {
	version := runtimes.CRIDaemon(n.f, n.to.Name).Version
	least := map[v1alpha1.RuntimeName]string{v1alpha1.Containerd: "2.0.0", v1alpha1.CRIO: "1.28.0", v1alpha1.Docker: "0.3.17"}[n.to.Name]
	return version == "" || !runtimes.Before(version, least)
}

func cgroupSupport(n *node) []v1alpha1.Finding {
	if n.f.Machine.CgroupVersion != 1 {
		return nil
	}
	daemon := n.f.Runtime(n.to.Name).Binaries[n.to.Daemons[0]].Version
	least := map[v1alpha1.RuntimeName]string{v1alpha1.Containerd: "2.2.0", v1alpha1.Docker: "29.0.0"}[n.to.Name]
	if daemon == "" || least == "" || runtimes.Before(daemon, least) {
		return nil
	}
	return warn("move the node to cgroup v2 before May 2029", "the node uses cgroup v1, whose end %s %s announces", n.to.Name, daemon)
}

// appArmor compares what containers are confined by.
func appArmor(n *node) []v1alpha1.Finding {
	aa := n.f.Machine.AppArmor
	if aa == nil || !aa.Enabled {
		return nil
	}
	version := n.f.Runtime(n.to.Name).Binaries[n.to.Daemons[0]].Version
	least := map[v1alpha1.RuntimeName]string{v1alpha1.Containerd: "1.5.0", v1alpha1.Docker: "23.0.0"}[n.to.Name]
	switch {
	case aa.Parser == "" && version != "" && least != "" && runtimes.Before(version, least):
		return warn("install the package apparmor", "AppArmor is on and apparmor_parser is missing: %s %s fails to load its profile, and with it containers", n.to.Name, version)
	case aa.Parser == "":
		return nil // no runtime confines containers then
	}
	target, source := runtimes.Confinement(n.f, n.to.Name), runtimes.Confinement(n.f, n.from)
	custom := target.Value != "" && target.Value != runtimes.Unconfined
	switch {
	case custom && len(aa.Profiles) > 0 && !slices.Contains(aa.Profiles, target.Value):
		return shown(stop("load it (apparmor_parser -r FILE, with the file below /etc/apparmor.d so that it is loaded at boot), or remove the setting",
			"%s is told the AppArmor profile %s, which isn't loaded: it doesn't start", n.to.Name, target.Value), place(target.File, target.Line))
	case target.Value == runtimes.Unconfined && source.Value != runtimes.Unconfined:
		return shown(warn("remove the setting if that isn't meant", "AppArmor confines containers now, and %s is told not to", n.to.Name), place(target.File, target.Line))
	case source.Value != "" && source.Value != target.Value:
		return shown(warn("tell the target the same, or name the profile in the pods (appArmorProfile)",
			"the AppArmor profile of containers, %s, isn't carried: %s has another", source.Value, n.to.Name), place(source.File, source.Line))
	}
	return nil
}
