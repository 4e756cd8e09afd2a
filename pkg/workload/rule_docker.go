package workload

import (
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

func dockerRules() []rule {
	return []rule{
		{Rule{
			"W009", failing, "DOCKER_HOST points into the pod",
			"DOCKER_HOST tells Docker's clients which daemon to ask: by env, envFrom, a ConfigMap or a script. The daemon of a node goes with the switch; one that runs in the pod itself (Docker in Docker, reached over localhost or a shared emptyDir) stays and isn't reported. " +
				"Give the workload a daemon of its own, or a builder that needs none. An address that may be somebody else's, and a value that stands in a Secret, is a warning.",
		}, dockerHosts, nil},
		{Rule{
			"W010", failing, "no workload runs docker against its node",
			"A docker or docker-compose command in the command, the arguments, a probe, a lifecycle hook or a script in a mounted ConfigMap, or one that restarts Docker's unit, needs the node's daemon. " +
				"With a daemon in the pod itself it isn't reported; where no daemon can be seen, or crictl is called too, it is a warning. crictl asks any runtime that speaks CRI.",
		}, dockerCalls, nil},
		{Rule{
			"W011", failing, "no workload runs ctr or nerdctl against its node",
			"ctr and nerdctl speak to containerd alone. crictl asks any runtime that speaks CRI. Without --to it is a warning.",
		}, containerdCalls, nil},
		{Rule{
			"W016", failing, "no configuration hands the runtime's socket to pods that are made later",
			"CI runners and operators make pods by a template in their configuration. A ConfigMap that names the runtime's socket as a host path makes each of those pods depend on it, though none of them may live now. " +
				"Change the template. Where the socket is only mentioned, and nothing in the pod provides it, it is a warning.",
		}, handedOn, nil},
	}
}

func dockerHosts(s *subject) []hit {
	leaving := s.leaving(v1alpha1.Docker)
	if leaving == stays {
		return nil
	}
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		for _, v := range c.used().hosts {
			h := hit{evidence: v.evidence, line: v.line}
			if v.unread {
				h.severity, h.message = advising, "DOCKER_HOST stands where it can't be read"
				h.hint = "see whether it names a node's daemon"
				out = append(out, h)
				continue
			}
			if strings.TrimSpace(v.value) == "" {
				continue
			}
			switch c.reach(v.value) {
			case onNode:
				h.severity, h.message = failing, "DOCKER_HOST names the Docker of a node, which goes"
				h.hint = "run a daemon in the pod, or a builder that needs none"
				if leaving == perhaps {
					h.severity = advising
				}
			case somewhere:
				h.severity, h.message = advising, "DOCKER_HOST names a Docker that may be a node's"
				h.hint = "see whose daemon answers there"
			default:
				continue
			}
			out = append(out, h)
		}
	}
	return out
}

func dockerCalls(s *subject) []hit {
	leaving := s.leaving(v1alpha1.Docker)
	if leaving == stays {
		return nil
	}
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		u := c.used()
		for n := range u.calls {
			k := &u.calls[n]
			client, unit := shell.Asks(k.Argv, v1alpha1.Docker)
			if !client && !unit {
				continue
			}
			h := hit{severity: advising, evidence: k.evidence, line: k.line}
			switch to := c.daemonOf(k); {
			case to == onNode && client:
				h.severity, h.message = failing, "runs docker against the node's daemon, which goes"
				h.hint = "use crictl, the kubelet's API, or a builder that needs no daemon"
			case unit && c.outside(k):
				h.severity, h.message = failing, "acts on Docker's own daemon on the node"
				h.hint = "do the same for the target, or nothing"
			case client && to == somewhere:
				h.message, h.hint = "runs docker against a daemon that may be a node's", "see whose daemon answers there"
			case client && to == nobody:
				h.message, h.hint = "runs docker, and no daemon can be seen that would answer", "see where its daemon is"
			default:
				continue
			}
			if h.severity == failing && u.runs("crictl") {
				h.severity, h.message = advising, "runs docker against the node's daemon, and crictl beside it"
				h.hint = "see that it takes the one that is there"
			}
			if leaving == perhaps {
				h.severity = advising
			}
			out = append(out, h)
		}
	}
	return out
}

// outside reports whether a command runs on the node itself.
func (c *container) outside(k *usedCall) bool {
	if k.Host {
		return true
	}
	if k.Root != "" {
		h, _ := c.where(k.Root)
		return h == "/"
	}
	// Processes of the node are seen by their names from its process namespace.
	return c.s.w.Spec.HostPID && strings.HasPrefix(base(k.Argv[0]), "p")
}

func containerdCalls(s *subject) []hit {
	leaving := s.leaving(v1alpha1.Containerd)
	if leaving == stays {
		return nil
	}
	severity := failing
	if leaving == perhaps {
		severity = advising
	}
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		u := c.used()
		for n := range u.calls {
			k := &u.calls[n]
			client, unit := shell.Asks(k.Argv, v1alpha1.Containerd)
			switch {
			case client && c.daemonOf(k) == onNode:
				out = append(out, hit{severity, "runs a client of containerd against the node's daemon", "use crictl, which asks any runtime", k.evidence, k.line})
			case unit && c.outside(k):
				out = append(out, hit{severity, "acts on containerd's own daemon on the node", "do the same for the target, or nothing", k.evidence, k.line})
			}
		}
	}
	return out
}

func handedOn(s *subject) []hit {
	if s.ownDaemon {
		return nil
	}
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		for _, n := range c.used().names {
			if !n.config {
				continue
			}
			p, ok := s.j.known.classify(n.path)
			if !ok || p.kind != socket && p.kind != shim {
				continue
			}
			leaving := s.leaving(p.runtime)
			if host, own := c.where(n.path); leaving == stays || own || !n.handsOn() && (host != "" || leaving != goes || s.offersTarget(p.runtime)) {
				continue
			}
			h := hit{advising, "its configuration names " + p.kind.of(p.runtime) + ", which the pod doesn't have", "see what uses it", n.evidence, n.line}
			if n.handsOn() {
				h.message, h.hint = "its configuration mounts "+p.kind.of(p.runtime)+" into the pods that it makes", "take the mount out of the template"
				if leaving == goes {
					h.severity = failing
				}
			}
			out = append(out, h)
		}
	}
	return out
}
