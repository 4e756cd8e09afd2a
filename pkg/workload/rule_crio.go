package workload

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func crioRules() []rule {
	return []rule{
		{Rule{
			"W020", advising, "no container needs a capability that CRI-O drops",
			"CRI-O gives containers neither NET_RAW nor SYS_CHROOT, MKNOD, SETFCAP and AUDIT_WRITE, which Docker and containerd do. ping, tcpdump, chroot, sshd, mknod and setcap fail then. " +
				"Add the capability to the container's securityContext, or to default_capabilities in CRI-O's configuration. Only for --to cri-o.",
		}, crio(capabilities), nil},
		{Rule{
			"W021", advising, "images are named with their registry",
			"Docker and containerd take nginx for docker.io/library/nginx. CRI-O asks the registries of unqualified-search-registries, and refuses a short name when there is none or, in the mode enforcing, more than one. " +
				"Write the registry into the manifest, or set the list on the nodes. Only for --to cri-o.",
		}, crio(shortNames), nil},
		{Rule{
			"W022", advising, "no container needs more processes than CRI-O's limit",
			"CRI-O may limit the processes of each container by pids_limit, where Docker and containerd don't; releases before 1.24 set 1024. " +
				"A container that asks for more threads than that fails to make them. Set pids_limit, or the kubelet's podPidsLimit. Only for --to cri-o.",
		}, crio(processes), nil},
		{Rule{
			"W023", advising, "no container listens below port 1024 without being root",
			"Docker lets every user of a container bind low ports by the sysctl net.ipv4.ip_unprivileged_port_start=0, and so does containerd from 2.0 on; CRI-O does not. " +
				"Set that sysctl in the pod's securityContext, or in CRI-O's default_sysctls, or listen on a high port. Only for --to cri-o.",
		}, crio(lowPorts), nil},
		{Rule{
			"W024", advising, "no container pings without being root",
			"Docker lets every user of a container send ICMP echo by the sysctl net.ipv4.ping_group_range, and so does containerd from 2.0 on; CRI-O does not. " +
				"Set the sysctl in the pod's securityContext, or in CRI-O's default_sysctls. Only for --to cri-o.",
		}, crio(pings), nil},
	}
}

// crio narrows a rule to moves to CRI-O.
func crio(apply func(*subject) []hit) func(*subject) []hit {
	return func(s *subject) []hit {
		if s.j.o.To != v1alpha1.CRIO || !s.j.moves(s.w.Pods) {
			return nil
		}
		return apply(s)
	}
}

// needs returns the capability that a command takes, of those that CRI-O drops.
func needs(argv []string) corev1.Capability {
	// A program of the same name in a directory of its own is another one.
	if dir := strings.TrimSuffix(argv[0], base(argv[0])); dir != "" && !strings.HasSuffix(dir, "bin/") {
		return ""
	}
	switch base(argv[0]) {
	case "ping", "ping6", "arping", "fping", "hping3", "tcpdump", "tshark", "dumpcap", "traceroute", "mtr", "nmap":
		return "NET_RAW"
	case "chroot", "sshd":
		return "SYS_CHROOT"
	case "setcap":
		return "SETFCAP"
	case "mknod":
		// A FIFO needs none.
		if !slices.Contains(argv[1:], "p") {
			return "MKNOD"
		}
	}
	return ""
}

// settled reports whether the container says itself what becomes of a capability, so that no default matters.
func (c *container) settled(want corev1.Capability) bool {
	sc := c.SecurityContext
	if sc == nil {
		return false
	}
	if sc.Privileged != nil && *sc.Privileged {
		return true
	}
	if sc.Capabilities == nil {
		return false
	}
	for _, have := range slices.Concat(sc.Capabilities.Add, sc.Capabilities.Drop) {
		if name := strings.TrimPrefix(strings.ToUpper(string(have)), "CAP_"); name == string(want) || name == "ALL" {
			return true
		}
	}
	return false
}

func pingName(name string) bool {
	switch base(name) {
	case "ping", "ping6":
		return true
	}
	return false
}

func capabilities(s *subject) []hit {
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		root := c.root()
		u := c.used()
		for n := range u.calls {
			k := &u.calls[n]
			want := needs(k.Argv)
			if want == "" || k.Host || c.settled(want) || !root && pingName(k.Argv[0]) {
				continue
			}
			out = append(out, hit{advising, "uses a capability that CRI-O doesn't give by default", fmt.Sprintf("add %s to its capabilities", want), k.evidence, k.line})
		}
		for _, f := range u.files {
			// The blackbox exporter and its like ping when their configuration says so.
			if strings.Contains(f.text.body, "prober: icmp") && !c.settled("NET_RAW") {
				out = append(out, hit{advising, "uses a capability that CRI-O doesn't give by default", "add NET_RAW to its capabilities", f.evidence + ": prober: icmp", f.line})
			}
		}
	}
	return out
}

func pings(s *subject) []hit {
	if s.sysctl("net.ipv4.ping_group_range") != "" || s.w.Spec.HostNetwork {
		return nil
	}
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		if c.root() {
			continue
		}
		u := c.used()
		for n := range u.calls {
			if k := &u.calls[n]; pingName(k.Argv[0]) && !k.Host && !c.settled("NET_RAW") {
				out = append(out, hit{advising, "pings without being root, which CRI-O doesn't allow by default", "set the sysctl net.ipv4.ping_group_range in the pod's securityContext", k.evidence, k.line})
			}
		}
	}
	return out
}

func (s *subject) sysctl(name string) string {
	if sc := s.w.Spec.SecurityContext; sc != nil {
		for _, k := range sc.Sysctls {
			if k.Name == name {
				return k.Value
			}
		}
	}
	return ""
}

func lowPorts(s *subject) []hit {
	// In the node's network the node's own sysctl decides, with every runtime.
	if s.w.Spec.HostNetwork {
		return nil
	}
	start := 1024
	if v, err := strconv.Atoi(s.sysctl("net.ipv4.ip_unprivileged_port_start")); err == nil {
		start = v
	}
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		if c.root() || c.adds("NET_BIND_SERVICE") {
			continue
		}
		for _, p := range c.Ports {
			if p.ContainerPort > 0 && int(p.ContainerPort) < start {
				out = append(out, hit{
					advising, "listens on a low port without being root, which CRI-O doesn't allow by default",
					"set the sysctl net.ipv4.ip_unprivileged_port_start in the pod's securityContext", c.says("port %d", p.ContainerPort), c.at("ports"),
				})
			}
		}
	}
	return out
}

// adds reports whether the container is given a capability by name, or all.
func (c *container) adds(want corev1.Capability) bool {
	sc := c.SecurityContext
	if sc == nil {
		return false
	}
	if sc.Privileged != nil && *sc.Privileged {
		return true
	}
	return sc.Capabilities != nil && (slices.Contains(sc.Capabilities.Add, want) || slices.Contains(sc.Capabilities.Add, "ALL"))
}

func shortNames(s *subject) []hit {
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		if c.Image == "" || imageID(c.Image) || registry(c.Image) != "" {
			continue
		}
		out = append(out, hit{advising, "names images without their registry", "write docker.io/ or another registry before the name", c.says("image %s", c.Image), c.at("image")})
	}
	return out
}

// processes looks for limits and pools that a container asks for beyond CRI-O's old default.
func processes(s *subject) []hit {
	const limit = 1024
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		add := func(evidence string, line int) {
			out = append(out, hit{advising, "asks for more processes than CRI-O may allow a container", "set pids_limit in CRI-O's configuration, or podPidsLimit of the kubelet", evidence, line})
		}
		u := c.used()
		for n := range u.calls {
			k := &u.calls[n]
			if k.Argv[0] == "ulimit" && len(k.Argv) > 2 && k.Argv[1] == "-u" && above(k.Argv[2], limit) {
				add(k.evidence, k.line)
			}
		}
		for _, words := range [...][]string{c.Command, c.Args} {
			for n, w := range words {
				name, v, ok := strings.Cut(w, "=")
				if !ok && n+1 < len(words) {
					v = words[n+1]
				}
				switch strings.TrimLeft(name, "-") {
				case "threads", "max-threads", "num-threads", "worker-threads", "max-worker-threads", "processes", "max-procs", "workers":
					if name[0] == '-' && above(v, limit) {
						add(c.says("argument %s %s", name, v), c.at("args"))
					}
				}
			}
		}
	}
	return out
}

func above(s string, limit int) bool {
	if s == "unlimited" {
		return true
	}
	n, err := strconv.Atoi(s)
	return err == nil && n > limit
}

// root reports whether the container's process is root, as far as the manifest tells: an image may say another user.
func (c *container) root() bool {
	var pod corev1.PodSecurityContext
	if p := c.s.w.Spec.SecurityContext; p != nil {
		pod = *p
	}
	user, nonRoot := pod.RunAsUser, pod.RunAsNonRoot
	if sc := c.SecurityContext; sc != nil {
		user, nonRoot = cmp.Or(sc.RunAsUser, user), cmp.Or(sc.RunAsNonRoot, nonRoot)
	}
	if user != nil {
		return *user == 0
	}
	return nonRoot == nil || !*nonRoot
}
