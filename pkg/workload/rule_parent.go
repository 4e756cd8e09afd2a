package workload

import (
	"fmt"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// reached is a use of a runtime's path on the node, through a mount.
type reached struct {
	place
	evidence string
	line     int
}

// reaches returns what the container names or calls that stands on the node at a place of a runtime which may go.
func (c *container) reaches() []reached {
	u := c.used()
	var out []reached
	add := func(host, evidence string, line int) {
		p, ok := c.s.j.known.classify(host)
		if ok && p.kind != parent && p.runtime != "" && c.s.leaving(p.runtime) != stays {
			out = append(out, reached{p, evidence, line})
		}
	}
	for _, n := range u.names {
		if host := c.onNode(n.path, n.root, n.host); host != "" {
			add(host, n.evidence, n.line)
		}
	}
	for i := range u.hosts {
		if p, ok := unixPath(u.hosts[i].value); ok {
			if host, _ := c.where(p); host != "" {
				add(host, u.hosts[i].evidence, u.hosts[i].line)
			}
		}
	}
	for i := range u.calls {
		k := &u.calls[i]
		sock := defaultSocket(k.argv[0])
		if sock == "" || c.daemonOf(k) != onNode {
			continue
		}
		if host := c.onNode(sock, k.root, k.host); host != "" {
			add(host, k.evidence, k.line)
		}
	}
	return out
}

// onNode returns the path on the node that a path in the container leads to, after a chroot or in the node's own
// namespaces; empty for one that stays in the container.
func (c *container) onNode(p, root string, host bool) string {
	if host {
		return clean(p)
	}
	if root != "" {
		if h, _ := c.where(root + "/" + p); h != "" {
			return h
		}
	}
	h, _ := c.where(p)
	return h
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

// through reports whether the mount holds a place of the node.
func (f found) through(p string) bool {
	return below(p, f.m.host) || f.m.host == "/var" && below(p, "/run")
}

func parentsUsed(s *subject) []hit {
	var out []hit
	for _, f := range s.mounted(parent) {
		for _, r := range f.c.reaches() {
			if !f.through(r.path) || f.c.closer(f.m, r.path) {
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

// closer reports whether the container mounts the path by a volume of its own, below the given one: other rules tell of it.
func (c *container) closer(than *mount, p string) bool {
	for i := range c.mounts {
		m := &c.mounts[i]
		if m.host != "" && m != than && len(m.host) > len(than.host) && below(p, m.host) {
			if x, ok := c.s.j.known.classify(m.host); !ok || x.kind != parent {
				return true
			}
		}
	}
	return false
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
