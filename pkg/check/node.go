package check

import (
	"cmp"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

func nodeRules() []rule {
	return []rule{
		{Rule{
			"N001", "the system is mutable and runs systemd",
			"The switch is made of files below /etc and of systemd units. A system that mounts /usr read-only or rebuilds /etc from an image would lose it; there the image's own tools change the runtime. Named are Flatcar, Fedora and Red Hat CoreOS, Bottlerocket, Talos, Container-Optimized OS, Ubuntu Core, SLE Micro and MicroOS, NixOS, Kairos and what OSTree booted; others are found by their read-only /usr or /etc.",
		}, mutable},
		{Rule{
			"N002", "the node is no control plane node",
			"The static pods of a control plane can't be drained. Moving them is not supported yet.",
		}, controlPlane},
		{Rule{
			"N003", "no other run is open on the node",
			"A run that was started and neither kept nor taken back owns the node. Finish it first: run the same switch again, or kubectl runtime rollback.",
		}, noOpenRun},
		{Rule{
			"N004", "there is room for a second image store",
			"Both stores lie on disk until the old one is given up. When the disk passes the kubelet's image garbage collection threshold or an eviction threshold, the kubelet deletes images of the old store, which the way back needs, or evicts pods.",
		}, room},
		{Rule{
			"N005", "SELinux leaves the switch alone",
			"Files that are written anew get the label of their directory, as intended. Binaries and stores of the target outside the usual directories lack the labels that containers need. CRI-O confines containers where the system has SELinux, containerd with enable_selinux and Docker with selinux-enabled: what the runtimes do differently is told.",
		}, selinux},
		{Rule{
			"N006", "the kubelet accepts the node's cgroup version",
			"From 1.35 on a kubelet refuses to start on cgroup v1 unless failCgroupV1 is false, from 1.31 on where it is true: the restart that a switch needs would be its last.",
		}, cgroupVersion},
		{Rule{
			"N007", "everything could be looked at",
			"What could not be looked at on the node may hide a reason against the switch.",
		}, lookedAt},
		{Rule{
			"N008", "no process of a pod waits where no signal reaches it",
			"A process in state D waits in the kernel, for a dead NFS server or a device most often, and is not ended by SIGKILL. The switch ends every pod of the node before it changes the runtime and can't go on beside such a process. One that only waits for a slow disk isn't meant: it is looked at four times within two seconds. Bring back what the process waits for, or reboot the node before the switch.",
		}, endable},
	}
}

func mutable(n *node) []v1alpha1.Finding {
	const hint = "change the runtime in the system's image or by its vendor's tools"
	m := n.f.Machine
	name := nameOf(m)
	if family := immutable(m); family != "" && !strings.Contains(strings.ToLower(name), strings.ToLower(family)) {
		name += " (" + family + ")"
	}
	switch {
	case immutable(m) != "":
		return stop(hint, "%s is an immutable system", name)
	case m.SystemdVersion == 0:
		return stop("change the runtime by the means of the system's own supervisor", "process 1 isn't systemd")
	case m.ReadOnlyUsr:
		return stop(hint, "%s is an immutable system: /usr or /etc is read-only", name)
	}
	return nil
}

func nameOf(m v1alpha1.MachineInfo) string { return cmp.Or(m.OSName, m.OSID, "the system") }

// immutable names the system that is built as an image, by its os-release or by how it was booted; empty for others.
func immutable(m v1alpha1.MachineInfo) string {
	switch m.OSID {
	case "flatcar":
		return "Flatcar"
	case "coreos", "fedora-coreos":
		return "CoreOS"
	case "rhcos", "scos":
		return "Red Hat CoreOS"
	case "bottlerocket":
		return "Bottlerocket"
	case "talos":
		return "Talos"
	case "cos":
		return "Container-Optimized OS"
	case "ubuntu-core":
		return "Ubuntu Core"
	case "opensuse-microos", "microos", "sle-micro", "sl-micro", "suse-microos":
		return "SLE Micro or MicroOS"
	case "nixos":
		return "NixOS"
	case "kairos":
		return "Kairos"
	}
	switch {
	case m.OSVariant == "coreos":
		return "CoreOS"
	case m.OSTree:
		return "OSTree"
	}
	return ""
}

func controlPlane(n *node) []v1alpha1.Finding {
	if !n.v.ControlPlane {
		return nil
	}
	return shown(stop("switch the workers; control plane nodes will follow in a later release", "the node runs static pods of the control plane"), n.v.StaticPodPath)
}

func noOpenRun(n *node) []v1alpha1.Finding {
	r := n.f.OpenRun
	if r == nil || !r.Phase.Open() {
		return nil
	}
	hint := "kubectl runtime switch " + n.f.Node + " --to=" + string(r.To) + " carries on; kubectl runtime rollback " + n.f.Node + " takes it back"
	return stop(hint, "run %s (%s to %s, %s) is open", r.ID, r.From, r.To, r.Phase)
}

func selinux(n *node) []v1alpha1.Finding {
	if n.f.Machine.SELinux != "enforcing" {
		return nil
	}
	for _, b := range n.f.Runtime(n.to.Name).Binaries {
		if b.Path != "" && !usualPlace(b.Path) {
			return shown(stop("label it container_runtime_exec_t (semanage fcontext, restorecon), or install it in /usr/bin", "SELinux is enforcing and a binary of %s lies where it gets no label for container runtimes", n.to.Name), b.Path)
		}
	}
	s, _ := n.to.ReadSettings(n.f)
	if s.StoreRoot != "" {
		return shown(stop("label it as "+n.to.Store+" is (semanage fcontext -e)", "SELinux is enforcing and %s keeps its store where it gets no label for containers", n.to.Name), s.StoreRoot)
	}
	now := runtimes.Labels(n.f, n.from)
	switch next := runtimes.Labels(n.f, n.to.Name) || runtimes.CarriesLabels(n.f, n.from, n.to.Name); {
	case now && !next:
		how := map[v1alpha1.RuntimeName]string{v1alpha1.Containerd: "set enable_selinux = true in containerd's configuration", v1alpha1.Docker: `set "selinux-enabled": true in daemon.json`, v1alpha1.CRIO: "remove selinux = false from CRI-O's configuration"}[n.to.Name]
		return warn(how, "SELinux is enforcing and confines containers now; %s gives them no labels", n.to.Name)
	case !now && next:
		return warn("watch for denials after the switch (ausearch -m avc), first of all of hostPath volumes", "SELinux is enforcing and %s confines containers, which the runtime that is left doesn't", n.to.Name)
	}
	return nil
}

func usualPlace(binary string) bool {
	for _, dir := range []string{"/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/", "/usr/libexec/", "/bin/", "/sbin/"} {
		if strings.HasPrefix(binary, dir) {
			return true
		}
	}
	return false
}

func cgroupVersion(n *node) []v1alpha1.Finding {
	if n.f.Machine.CgroupVersion != 1 || n.v.Minor < 31 {
		return nil
	}
	value, file, line, ok := n.config.Get("fail-cgroupv1", "failCgroupV1")
	if fails := n.v.Minor >= 35; ok && value == "false" || !ok && !fails {
		return nil
	}
	return shown(stop("move the node to cgroup v2, or set failCgroupV1: false", "kubelet %s refuses to start on cgroup v1", n.v.Version), place(cmp.Or(file, n.v.ConfigFile), line))
}

func lookedAt(n *node) []v1alpha1.Finding {
	var out []v1alpha1.Finding
	for _, p := range n.f.Problems {
		out = append(out, warn("", "%s", p)...)
	}
	return out
}
