package v1alpha1

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// KubeletUnit is the unit whose kubelet can be led to another runtime.
const KubeletUnit = "kubelet.service"

// WritablePath is a pattern of paths that the node agent may write.
type WritablePath struct {
	// Root is a directory of the system's. It may be reached through links; what is below it must not lead out of it.
	Root string
	// Name is what lies below it, element by element as path.Match has it; of {a,b} in it one of both. Empty: everything below.
	Name string
	// Why says in a few words what is written there.
	Why string
	// Made says that the directory itself may be made and removed. Directories between it and what is written always may.
	Made bool
	// Link says that nothing but a link to a unit's own file may stand there: to one that is called as To, else as the link itself.
	Link bool
	To   string
	// Own says that the agent alone decides what is written there: no plan may name it.
	Own bool
}

// What of the runtimes' units is told in drop-ins and links.
const (
	anyUnit    = "{containerd.service,docker.socket,docker.service,cri-docker.socket,cri-docker.service,crio.service}"
	anyService = "{containerd.service,docker.service,cri-docker.service,crio.service}"
	systemdDir = "/etc/systemd/system"
)

// WritablePaths are all paths that the node agent may write, whatever a plan says, but for KubeletPaths.
func WritablePaths() []WritablePath {
	return []WritablePath{
		{Root: "/var/lib/kubectl-runtime", Own: true, Made: true, Why: "the agent itself, records and backups of runs, staging"},
		{Root: systemdDir, Name: "kubectl-runtime-{early,recover}.service", Own: true, Why: "units of an open run"},
		{Root: systemdDir, Name: "kubectl-runtime-recover.timer", Own: true, Why: "units of an open run"},
		{Root: systemdDir, Name: "timers.target.wants/kubectl-runtime-recover.timer", Own: true, Link: true, Why: "units of an open run"},
		{Root: systemdDir, Name: KubeletUnit + ".d/" + EarlyDropIn, Own: true, Why: "holds the kubelet back at boot while a run is open"},
		{Root: systemdDir, Name: anyService + ".d/" + EarlyDropIn, Own: true, Why: "holds a runtime back at boot while a run is open"},
		{Root: systemdDir, Name: ".kubectl-runtime-reserve", Own: true, Why: "room that is set aside for a rollback"},
		{Root: systemdDir, Name: anyUnit + ".d/zz-kubectl-runtime-parked.conf", Why: "keeps a parked runtime from starting"},
		{Root: systemdDir, Name: anyService + ".d/90-kubectl-runtime.conf", Why: "proxies of a runtime, flags of cri-dockerd"},
		{Root: systemdDir, Name: "*.wants/" + anyUnit, Link: true, Why: "the target starts at boot, as its unit says"},
		{Root: systemdDir, Name: "*.requires/" + anyUnit, Link: true, Why: "the target starts at boot, as its unit says"},
		{Root: systemdDir, Name: "cri-o.service", Link: true, To: "crio.service", Why: "another name of CRI-O's unit"},
		{Root: systemdDir, Name: KubeletUnit, Why: "the kubelet's flags"},
		{Root: systemdDir, Name: KubeletUnit + ".d/*.conf", Why: "the kubelet's flags"},
		{Root: "/etc/default", Name: "kubelet", Made: true, Why: "the kubelet's flags"},
		{Root: "/etc/sysconfig", Name: "kubelet", Made: true, Why: "the kubelet's flags"},
		{Root: "/etc/kubernetes", Name: "kubelet.env", Why: "the kubelet's flags"},
		{Root: "/etc/kubernetes", Name: "kubelet-config.yaml", Why: "the kubelet's configuration"},
		{Root: "/var/lib/kubelet", Name: "kubeadm-flags.env", Why: "the kubelet's flags, as kubeadm keeps them"},
		{Root: "/var/lib/kubelet", Name: "config.yaml", Why: "the kubelet's configuration, as kubeadm keeps it"},
		{Root: "/var/lib/kubelet", Name: "instance-config.yaml", Why: "the kubelet's endpoint, as kubeadm keeps it"},
		{Root: "/var/lib/kubelet", Name: ".kubectl-runtime-reserve", Own: true, Why: "room that is set aside for a rollback"},
		{Root: "/var/lib/kubelet", Name: "image_manager/{pulled,pulling}/sha256-*", Own: true, Why: "the kubelet's records of who may use an image"},
		{Root: "/etc", Name: "crictl.yaml", Why: "the endpoint that crictl asks"},
		{Root: "/etc/containerd", Name: "*.toml", Made: true, Why: "containerd's configuration, and what it imports"},
		{Root: "/etc/containerd", Name: "*.d/*.toml", Made: true, Why: "what containerd's configuration imports, our drop-in"},
		{Root: "/etc/containerd", Name: "certs.d/*/hosts.toml", Made: true, Why: "how containerd asks a registry"},
		{Root: "/etc/crio", Name: "*.d/99-kubectl-runtime.conf", Made: true, Why: "CRI-O's configuration"},
		{Root: "/etc/containers", Name: "registries.conf.d/99-kubectl-runtime.conf", Made: true, Why: "how CRI-O asks registries"},
		{Root: "/etc/containers", Name: "certs.d/*/kubectl-runtime*.{crt,cert,key}", Made: true, Why: "certificates and keys for registries, as the source has them"},
		{Root: "/etc/containers", Name: "policy.json", Made: true, Why: "which images CRI-O accepts, where nothing says it"},
		{Root: "/etc/docker", Name: "daemon.json", Made: true, Why: "Docker's configuration"},
		{Root: "/etc/docker", Name: "certs.d/*/kubectl-runtime*.{crt,cert,key}", Made: true, Why: "certificates and keys for registries, as the source has them"},
		{Root: "/etc/docker", Name: "certs.d/*/hosts.toml", Made: true, Why: "how containerd asks a registry, where it is configured to look there first"},
		{Root: "/etc/modules-load.d", Name: "kubectl-runtime.conf", Made: true, Why: "kernel modules that the runtimes need"},
		{Root: "/etc/sysctl.d", Name: "99-kubectl-runtime.conf", Made: true, Why: "kernel parameters that pods' networks need"},
	}
}

// KubeletPaths are where the kubelet's configuration and its drop-ins may lie, too. A plan may name such a path; the agent writes one only
// where the kubelet's own units on the node name it.
func KubeletPaths() []WritablePath {
	const why = "the kubelet's configuration, where its units name it"
	return []WritablePath{
		{Root: "/etc", Name: "kubelet*.{yaml,yml,json}", Why: why},
		{Root: "/etc", Name: "kubelet*/*.{yaml,yml,json,conf}", Why: why},
		{Root: "/etc", Name: "kubelet*/*/*.conf", Why: why},
		{Root: "/etc/kubernetes", Name: "*.{yaml,yml,json}", Why: why},
		{Root: "/etc/kubernetes", Name: "{kubelet,config}*/*.{yaml,yml,json,conf}", Why: why},
		{Root: "/etc/kubernetes", Name: "{kubelet,config}*/*/*.conf", Why: why},
		{Root: "/var/lib/kubelet", Name: "*.{yaml,yml,json}", Why: why},
		{Root: "/var/lib/kubelet", Name: "*/*.{yaml,yml,json,conf}", Why: why},
		{Root: "/var/lib/kubelet", Name: "*.d/*/*.conf", Why: why},
	}
}

// KubeletFile reports whether the kubelet's configuration may lie there.
func KubeletFile(p string) bool {
	return slices.ContainsFunc(KubeletPaths(), func(w WritablePath) bool { return w.Matches(p) })
}

// Pattern is the pattern of the whole path, for people.
func (w WritablePath) Pattern() string { return w.Root + "/" + w.Name }

// Patterns are the patterns of the whole path as path.Match has them: one for each choice.
func (w WritablePath) Patterns() []string { return choices(w.Pattern()) }

// choices spells {a,b} out.
func choices(pattern string) []string {
	before, rest, found := strings.Cut(pattern, "{")
	list, after, closed := strings.Cut(rest, "}")
	if !found || !closed {
		return []string{pattern}
	}
	var out []string
	for choice := range strings.SplitSeq(list, ",") {
		for _, end := range choices(after) {
			out = append(out, before+choice+end)
		}
	}
	return out
}

// Matches reports whether the path is one of these, and not only on the way to one.
func (w WritablePath) Matches(p string) bool {
	rel, below := w.below(p)
	return below && (w.Name == "" || matches(choices(w.Name), rel))
}

// OnTheWay reports whether the path is that of a directory that may be made for one of these.
func (w WritablePath) OnTheWay(p string) bool {
	if p == w.Root {
		return w.Made
	}
	rel, below := w.below(p)
	if !below || w.Name == "" {
		return below
	}
	for _, name := range choices(w.Name) {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if matches([]string{dir}, rel) {
				return true
			}
		}
	}
	return false
}

// below is the path below the root.
func (w WritablePath) below(p string) (rel string, ok bool) {
	if !path.IsAbs(p) || path.Clean(p) != p || strings.ContainsRune(p, 0) {
		return "", false
	}
	return strings.CutPrefix(p, w.Root+"/")
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return err == nil && ok
	})
}

// unitDirs are where units have their files.
var unitDirs = []string{systemdDir, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// allows reports whether this may stand there.
func (w WritablePath) allows(s FileState) bool {
	switch s.Type {
	case Absent:
		return w.Matches(s.Path) || w.OnTheWay(s.Path)
	case Directory:
		return w.OnTheWay(s.Path)
	case Regular:
		return !w.Link && w.Matches(s.Path)
	case Symlink:
		to := w.To
		if to == "" {
			to = path.Base(s.Path)
		}
		dir, name := path.Split(s.Target)
		return w.Link && w.Matches(s.Path) && name == to && slices.Contains(unitDirs, strings.TrimSuffix(dir, "/"))
	}
	return false
}

// CheckPlanned refuses what no plan may have stand at a path, before or after: other paths than plans write, and something else there than
// they write.
func CheckPlanned(s FileState) error {
	for _, w := range slices.Concat(WritablePaths(), KubeletPaths()) {
		if !w.Own && w.allows(s) {
			return nil
		}
	}
	if s.Type == Symlink {
		return fmt.Errorf("%s as a link to %s", s.Path, s.Target)
	}
	return fmt.Errorf("%s as %s", s.Path, s.Type)
}
