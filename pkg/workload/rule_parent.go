package workload

import (
	"fmt"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// reached is a use of a runtime's path on the node.
type reached struct {
	place
	// m is the mount that it is seen through; nil for one that is used in the node's own namespaces.
	m        *mount
	evidence string
	line     int
}

// reaches returns what the container names or calls that stands on the node at a place of a runtime which may go.
func (c *container) reaches() []reached {
	u := c.used()
	var out []reached
	add := func(m *mount, host, evidence string, line int) {
		if host == "" {
			return
		}
		p, ok := c.s.j.known.classify(host)
		if ok && p.kind != parent && p.runtime != "" && c.s.leaving(p.runtime) != stays {
			out = append(out, reached{p, m, evidence, line})
		}
	}
	for _, n := range u.names {
		m, host := c.onNode(n.path, n.root, n.host)
		add(m, host, n.evidence, n.line)
	}
	for i := range u.hosts {
		if p, ok := unixPath(u.hosts[i].value); ok {
			m, host := c.mountOf(p)
			add(m, host, u.hosts[i].evidence, u.hosts[i].line)
		}
	}
	for i := range u.calls {
		k := &u.calls[i]
		if sock := defaultSocket(k.Argv[0]); sock != "" && c.daemonOf(k) == onNode {
			m, host := c.onNode(sock, k.Root, k.Host)
			add(m, host, k.evidence, k.line)
		}
	}
	return out
}

// onNode returns the path on the node that a path in the container leads to, after a chroot or in the node's own
// namespaces, and the mount on the way; host is empty for one that stays in the container.
func (c *container) onNode(p, root string, host bool) (*mount, string) {
	if host {
		return nil, clean(p)
	}
	if root != "" {
		if m, h := c.mountOf(root + "/" + p); h != "" {
			return m, h
		}
	}
	return c.mountOf(p)
}

// defaultSocket is where a client looks for its daemon when it is told nothing.
func defaultSocket(name string) string {
	switch base(name) {
	case "docker", "docker-compose":
		return "/var/run/docker.sock"
	case "ctr", "nerdctl":
		return "/run/containerd/containerd.sock"
	}
	return ""
}

func parentsUsed(s *subject) []hit {
	var out []hit
	for _, f := range s.mounted(parent) {
		for _, r := range f.c.reaches() {
			if r.m != f.m {
				continue
			}
			h := hit{
				failing, fmt.Sprintf("reaches %s through its mount of %s", r.kind.of(r.runtime), f.m.said),
				"use the target's CRI socket or the kubelet, and mount no more than that", f.evidence(), f.line(),
			}
			if s.leaving(r.runtime) == perhaps {
				h.severity = advising
			}
			out = append(out, h)
			h.evidence, h.line = r.evidence, r.line
			out = append(out, h)
		}
	}
	return out
}

// of names the kind of place, for people.
func (k kind) of(r v1alpha1.RuntimeName) string {
	switch k {
	case socket:
		return nameOf(r) + "'s socket"
	case shim:
		return "the socket or the files of dockershim or cri-dockerd"
	case logs:
		return "the logs that Docker writes"
	case config:
		return "the configuration of " + nameOf(r)
	case binary:
		return "the programs of " + nameOf(r)
	}
	return "the files of " + nameOf(r)
}

func parentsUnused(s *subject) []hit {
	parents := s.mounted(parent)
	if len(parents) == 0 || !s.anyGoes() || len(parentsUsed(s)) > 0 {
		return nil
	}
	var out []hit
	for _, f := range parents {
		out = append(out, hit{
			advising, "mounts a directory that holds the runtime's socket or files; nothing here says whether it uses them",
			"ask those who run it; suppress the finding when it doesn't", f.evidence(), f.line(),
		})
	}
	return out
}

// anyGoes reports whether some runtime goes for sure.
func (s *subject) anyGoes() bool {
	for _, r := range [...]v1alpha1.RuntimeName{v1alpha1.Docker, v1alpha1.Containerd, v1alpha1.CRIO} {
		if s.leaving(r) == goes {
			return true
		}
	}
	return false
}
