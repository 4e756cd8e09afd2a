package workload

import (
	"fmt"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

const (
	failing  = v1alpha1.SeverityError
	fixable  = v1alpha1.SeverityFixable
	advising = v1alpha1.SeverityWarning
)

func mountRules() []rule {
	socketDoc := func(name, less string) string {
		return "Whoever mounts " + name + "'s socket asks " + name + ", which serves no pods after the switch: the socket is gone, or it shows no container of the cluster. " +
			"Mounting it read-only changes nothing, as a connection needs no right to write. Talk to the target over CRI, to the kubelet, or not to the runtime at all; images are built without a daemon by BuildKit, Buildah or Kaniko. " +
			less + " A socket in an unusual place, and one of which nothing says that " + name + " leaves it, is a warning."
	}
	const ready = "A pod that mounts the target's socket too is ready for it. Without --to it is a warning."
	return []rule{
		{Rule{"W001", failing, "no workload mounts Docker's socket", socketDoc("Docker", "Where the pod mounts the target's socket too it is a warning.")}, sockets(v1alpha1.Docker), nil},
		{Rule{"W002", failing, "no workload mounts containerd's socket", socketDoc("containerd", ready)}, sockets(v1alpha1.Containerd), nil},
		{Rule{"W003", failing, "no workload mounts CRI-O's socket", socketDoc("CRI-O", ready)}, sockets(v1alpha1.CRIO), nil},
		{Rule{
			"W004", failing, "no workload reaches a runtime through a directory above its files",
			"A mount of /, /run, /var/run, /var or /var/lib holds the runtime's socket or its files, and the command, the environment or a mounted ConfigMap names one of them as the container sees it. " +
				"Change the path, or give the workload what it needs over CRI or from the kubelet.",
		}, parentsUsed, nil},
		{Rule{
			"W005", advising, "no workload mounts a directory above the runtime's socket",
			"A mount of /, /run, /var/run, /var or /var/lib lets a workload reach the runtime's socket or files. Nothing that can be read here says that it does; programs have defaults. " +
				"Ask those who run it, and suppress the finding with the annotation kubectl-runtime/ignore when it doesn't.",
		}, parentsUnused, nil},
		{Rule{
			"W006", failing, "no workload mounts the runtime's own files",
			"Below /var/lib/docker, /run/docker, /var/lib/containerd or /var/lib/containers stand images, layers and states of containers in a form that only their runtime understands. " +
				"After the switch they are out of date. Who only reads there gets a warning, who may write an error.",
		}, dataMounts, nil},
		{Rule{
			"W007", failing, "no workload mounts the runtime's configuration",
			"Certificates, mirrors and settings that a workload writes to /etc/docker, /etc/containerd, /etc/crio or the runtime's unit aren't read by another runtime. " +
				"The switch carries over what is there now, not what is written later. Write them for the target too. Who only reads there gets a warning.",
		}, configMounts, nil},
		{Rule{
			"W008", failing, "no workload mounts the runtime's programs",
			"A client that is mounted from the node speaks to that runtime alone, and goes when its package goes. Put the client that is needed into the image.",
		}, binaryMounts, nil},
		{Rule{
			"W015", failing, "no workload mounts what belongs to dockershim or cri-dockerd",
			"dockershim.sock, cri-dockerd.sock and the directories beside them exist only while Docker serves the kubelet. Network and monitoring agents mount them by their manifest's old default: take the manifest of a newer release, or name the target's socket. " +
				"For the directories, and where the pod mounts the target's socket too, it is a warning.",
		}, shims, nil},
		socketRule(),
	}
}

func nameOf(r v1alpha1.RuntimeName) string {
	switch r {
	case v1alpha1.Docker:
		return "Docker"
	case v1alpha1.CRIO:
		return "CRI-O"
	}
	return string(r)
}

// found is a mount that shows something of a runtime.
type found struct {
	c *container
	m *mount
	place
	leaving leaving
}

func (f found) evidence() string {
	s := f.c.says("mounts %s at %s (volume %s", f.m.said, f.m.at, f.m.volume)
	if f.m.via != "" {
		s += ", " + f.m.via
	}
	return s + ")"
}

func (f found) line() int {
	if f.c.s.w.Line == nil {
		return f.c.s.w.Source.Line
	}
	return f.c.s.line("spec", "volumes", f.m.volume)
}

// mounted returns the mounts of one kind whose runtime may go.
func (s *subject) mounted(k kind) []found {
	var out []found
	for i := range s.containers {
		c := &s.containers[i]
		for n := range c.mounts {
			m := &c.mounts[n]
			if m.host == "" {
				continue
			}
			p, ok := s.j.known.classify(m.host)
			if !ok || p.kind != k {
				continue
			}
			f := found{c, m, p, goes}
			if p.runtime != "" {
				f.leaving = s.leaving(p.runtime)
			}
			if f.leaving != stays {
				out = append(out, f)
			}
		}
	}
	return out
}

// offersTarget reports whether the pod mounts a socket that serves after the switch: of the target, or where none is
// named, of a runtime other than the one in question.
func (s *subject) offersTarget(than v1alpha1.RuntimeName) bool {
	for i := range s.containers {
		for n := range s.containers[i].mounts {
			m := &s.containers[i].mounts[n]
			if m.host == "" {
				continue
			}
			p, ok := s.j.known.classify(m.host)
			if !ok || p.kind != socket && p.kind != shim || p.runtime == than {
				continue
			}
			if s.j.o.To == "" || p.runtime == s.j.o.To {
				return true
			}
		}
	}
	return false
}

func sockets(runtime v1alpha1.RuntimeName) func(*subject) []hit {
	return func(s *subject) []hit {
		var out []hit
		for _, f := range s.mounted(socket) {
			// An agent that takes containerd's socket or CRI-O's, whichever is there, is ready. Beside Docker's it was written
			// for Docker first, which is worth a look.
			if f.runtime != runtime || runtime != v1alpha1.Docker && s.j.o.To != "" && !f.m.must && s.offersTarget(runtime) {
				continue
			}
			out = append(out, s.socketHit(f, nameOf(runtime)+"'s socket"))
		}
		return out
	}
}

// socketHit judges the mount of a socket.
func (s *subject) socketHit(f found, what string) hit {
	name := nameOf(f.runtime)
	h := hit{
		severity: failing, evidence: f.evidence(), line: f.line(),
		message: fmt.Sprintf("mounts %s; after the switch nobody answers there", what),
		hint:    "use the target's CRI socket, the kubelet, or a tool that needs no daemon of the node",
	}
	switch {
	case f.leaving == perhaps && s.presence(f.runtime) == away:
		h.severity = advising
		h.message = fmt.Sprintf("mounts %s; none of the nodes that it is on takes part, but it may be moved to one that did", what)
		h.hint = "keep it on its nodes, or change it before the others move"
	case f.leaving == perhaps && s.presence(f.runtime) == absent:
		h.severity = advising
		h.message = fmt.Sprintf("mounts %s, though %s serves none of the nodes that it is on", what, name)
		h.hint = fmt.Sprintf("remove the mount, unless %s is meant to run beside the kubelet's runtime", name)
	case f.leaving == perhaps:
		h.severity = advising
		h.message = fmt.Sprintf("mounts %s and works with %s alone", what, name)
		h.hint = "say where the nodes go by --to"
	case f.m.must:
	case s.offersTarget(f.runtime):
		h.severity = advising
		h.message = fmt.Sprintf("mounts %s beside another runtime's", what)
		h.hint = fmt.Sprintf("see that it takes the one that is there, then remove %s's", name)
	case !s.j.known.usual(f.path):
		h.severity = advising
		h.message = fmt.Sprintf("mounts what is named like %s, in an unusual place", what)
		h.hint = "see whose daemon listens there"
	}
	return h
}

func shims(s *subject) []hit {
	var out []hit
	for _, f := range s.mounted(shim) {
		h := s.socketHit(f, "the socket of dockershim or cri-dockerd")
		if base(f.path) != "dockershim.sock" && base(f.path) != "cri-dockerd.sock" {
			h.severity, h.message = advising, "mounts a directory of dockershim or cri-dockerd, which nobody keeps after the switch"
			h.hint = "take the manifest of a release that doesn't"
		}
		out = append(out, h)
	}
	return out
}

// writable judges mounts that matter more to those who write.
func writable(k kind, message, hint string) func(*subject) []hit {
	return func(s *subject) []hit {
		var out []hit
		for _, f := range s.mounted(k) {
			h := hit{advising, fmt.Sprintf(message, "reads", nameOf(f.runtime)), hint, f.evidence(), f.line()}
			if !f.m.readOnly && f.leaving == goes {
				h.severity, h.message = failing, fmt.Sprintf(message, "may write to", nameOf(f.runtime))
			}
			out = append(out, h)
		}
		return out
	}
}

func dataMounts(s *subject) []hit {
	return writable(data, "%s the files of %s, which are out of date after the switch", "ask the runtime over CRI, or the kubelet, instead of reading its files")(s)
}

func configMounts(s *subject) []hit {
	return writable(config, "%s the configuration of %s, which the target doesn't read", "write what is needed for the target too")(s)
}

func binaryMounts(s *subject) []hit {
	var out []hit
	for _, f := range s.mounted(binary) {
		h := hit{failing, fmt.Sprintf("mounts programs of %s from the node", nameOf(f.runtime)), "put the client that is needed into the image", f.evidence(), f.line()}
		if f.leaving == perhaps {
			h.severity = advising
		}
		out = append(out, h)
	}
	return out
}
