package workload

import (
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func socketRule() rule {
	return rule{Rule{
		"W018", advising, "mounts of a runtime's socket have type: Socket",
		"Where nothing stands at a hostPath volume's path, the runtime creates a directory there if the volume has no type, and the kubelet does for DirectoryOrCreate and for a subPath; FileOrCreate leaves a file. " +
			"While a node is switched the socket of the runtime that is parked is absent, and so is the socket of every runtime that isn't installed. A daemon that finds a directory at its socket does not start. " +
			"The switch and the rollback remove such a directory before they start a runtime; nobody else does. Set type: Socket, or mount the directory that holds the socket: a pod that works under several runtimes needs that.",
	}, moved(untypedSockets), nil}
}

// untypedSockets finds mounts by which something else than a socket comes to stand where a runtime's socket belongs, on whatever
// side of the move the runtime is, and whatever else the pod mounts.
func untypedSockets(s *subject) []hit {
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		for n := range c.mounts {
			m := &c.mounts[n]
			if m.host == "" || m.creates == nothing {
				continue
			}
			p, ok := s.j.known.classify(m.host)
			if !ok || !p.isSocket() {
				continue
			}
			f := found{c: c, m: m, place: p}
			out = append(out, hit{
				severity: advising, message: f.created(), evidence: f.evidence(), line: f.line(),
				hint: "set type: Socket on the volume, or mount the directory that holds the socket where the pod must start under several runtimes",
			})
		}
	}
	return out
}

// isSocket reports whether the path is that of one socket, and not of a directory that holds it. Named pipes of Windows stand in no
// directory.
func (p place) isSocket() bool {
	return (p.kind == socket || p.kind == shim) && strings.Contains(base(p.path), ".sock")
}

// created says what the mount leaves where the socket isn't there.
func (f found) created() string {
	how, what := "without type: Socket", "a directory"
	switch {
	case f.m.sub:
		how = "by a subPath"
	case f.m.creates == emptyFile:
		what = "a file"
	}
	daemon := nameOf(f.runtime)
	if f.runtime == v1alpha1.Docker && f.kind == shim {
		daemon = strings.TrimSuffix(base(f.path), ".sock")
	}
	text := "mounts " + daemon + "'s socket " + how + ": where the socket is absent, " + what + " is created at its path"
	if f.m.creates == directory {
		text += ", and " + daemon + " cannot start"
	}
	return text
}
