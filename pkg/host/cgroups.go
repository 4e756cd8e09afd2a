//go:build linux

package host

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// containerGroup is a cgroup that an engine made for a container. What is below it belongs to whatever runs in there,
// another cluster's pods included.
var containerGroup = regexp.MustCompile(`^(?:[a-z-]+-)?[0-9a-f]{64}(?:\.scope)?$`)

// inPod reports whether a cgroup path belongs to a pod of this node's kubelet: below a kubepods group, which the cgroupfs
// driver names kubepods and the systemd driver kubepods.slice, the names of the groups above joined to it by dashes
// (kubelet-kubepods.slice). Above it there may be no container and no delegated group that PID 1, whose path is init, isn't in
// itself.
func inPod(path, init string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	own := strings.Split(strings.Trim(init, "/"), "/")
	for _, part := range parts {
		if part == "kubepods" || part == "kubepods.slice" || strings.HasSuffix(part, "-kubepods.slice") {
			return true
		}
		if !slices.Contains(own, part) && (containerGroup.MatchString(part) || delegated(part)) {
			return false
		}
	}
	return false
}

// delegated reports whether what is below a group may belong to somebody else than root, who names groups as he likes: users
// have such groups below their sessions, services that ask for it (Delegate=) below their own, and so have the containers of LXC and
// Incus, and what is registered as a machine: those of nspawn and virtual machines. No kubelet makes its groups there.
func delegated(part string) bool {
	return part == "user.slice" || part == "machine.slice" || part == "machine" || part == "lxc" || strings.HasPrefix(part, "lxc.payload") ||
		strings.HasSuffix(part, ".service")
}

// inPodAnywhere looks at all hierarchies: a runtime may put a process into some of them only.
func inPodAnywhere(groups, init map[string]string) bool {
	for hierarchy, path := range groups {
		if inPod(path, init[hierarchy]) {
			return true
		}
	}
	return false
}

// monitorProgram reports whether a program is one that watches containers, whoever's they are.
func monitorProgram(exe string) bool {
	base := filepath.Base(exe)
	return strings.HasPrefix(base, "containerd-shim") || base == "conmon" || base == "conmonrs"
}

// monitors reports whether a process is the monitor of a pod of Kubernetes: a shim of containerd's namespace k8s.io, or a
// conmon that answers to CRI-O. Those of Docker (namespace moby) and podman are somebody else's.
func monitors(p v1alpha1.Process) bool {
	switch base := filepath.Base(p.Exe); {
	case strings.HasPrefix(base, "containerd-shim"):
		return argument(p.Argv, "-namespace") == "k8s.io"
	case base == "conmon" || base == "conmonrs":
		return !podman(p.Argv) && slices.ContainsFunc(p.Argv, func(a string) bool {
			return strings.HasSuffix(a, "/crio") || strings.Contains(a, "/crio/") || strings.Contains(a, "-containers/")
		})
	}
	return false
}

// podman tells its monitors by the cleanup that they call at the end.
func podman(argv []string) bool {
	return slices.ContainsFunc(argv, func(a string) bool { return strings.Contains(a, "podman") || strings.Contains(a, "libpod") })
}

// argument is the value of a flag given as "-flag value" or "-flag=value", with one dash or two.
func argument(argv []string, flag string) string {
	name := strings.TrimLeft(flag, "-")
	for i, word := range argv {
		if !strings.HasPrefix(word, "-") {
			continue
		}
		got, value, has := strings.Cut(strings.TrimLeft(word, "-"), "=")
		switch {
		case got != name:
		case has:
			return value
		case i+1 < len(argv):
			return argv[i+1]
		}
	}
	return ""
}
