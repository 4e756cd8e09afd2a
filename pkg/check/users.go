package check

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// userRules are about those who use the runtime that is left without Kubernetes. What is certain is that the runtime stops, not
// that anybody minds: they warn, but for the kubelet's own unit.
func userRules() []rule {
	return []rule{
		{Rule{
			"U001", "no process is connected to the runtime that is left",
			"A process with a connection open to the runtime's socket, in whatever network namespace, loses it when the runtime stops, and finds nobody there afterwards. The kubelet, the runtimes themselves, crictl and kubeadm aren't meant: they follow the switch. " +
				"It is a look at one moment: a client that connects for moments only is missed.",
		}, connected},
		{Rule{
			"U002", "no process is told by DOCKER_HOST to ask this node's Docker",
			"A process with DOCKER_HOST in its environment asks that daemon sooner or later, though it may have no connection open now. One that leads to a daemon of a pod's own, or of another machine, isn't meant.",
		}, dockerHosts},
		{Rule{
			"U003", "no systemd unit calls the runtime that is left, or stops with it",
			"Services that call docker, docker-compose, or ctr and nerdctl where containerd is left, by themselves or by a script that they run, fail from the switch on; those of users (~/.config/systemd/user) too. A unit with Requires=, BindsTo= or PartOf= on the runtime's unit is stopped together with it. " +
				"Units that are neither active nor enabled, nor started by a timer, aren't meant. Where the kubelet's own unit can't start without the old runtime it is an error.",
		}, units},
		{Rule{
			"U004", "no cron job calls the runtime that is left",
			"Cron jobs that call the runtime fail from the switch on, often without anybody seeing it: clean-up jobs such as docker system prune, backups, restarts.",
		}, cronJobs},
		{Rule{
			"U005", "no script in the usual places calls the runtime that is left",
			"Scripts of administrators (/usr/local/bin, /usr/local/sbin, /root/bin, /opt/*/bin, /etc/profile.d, NetworkManager's dispatcher, /etc/init.d, rc.local) and configurations of logrotate that call the runtime or rotate Docker's container logs. The kubelet rotates the logs of containers that CRI runs.",
		}, scripts},
		{Rule{
			"U006", "the node is no member of a Docker swarm",
			"A node whose Docker stops leaves its swarm: services move to other members, and a manager less may cost the swarm its quorum.",
		}, swarm},
		{Rule{
			"U007", "no data lies in volumes of Docker",
			"Volumes of Docker stay on the disk, where no pod and no other runtime sees them. Volumes without a name, which Docker makes for images that declare some, aren't meant unless a container that Kubernetes doesn't own uses them.",
		}, volumes},
	}
}

// fate is what a switch does to a runtime.
type fate int

const (
	stays   fate = iota
	emptied      // it goes on, for others than Kubernetes
	stops
)

// fateOf says what becomes of a runtime on the node. Docker's own containerd goes with Docker; the node's rests with it where
// nobody else needs that.
func fateOf(n *node, name v1alpha1.RuntimeName) fate {
	shared := runtimes.DockerSharesContainerd(n.f)
	switch {
	case name == n.to.Name || name == "":
		return stays
	case name == v1alpha1.Containerd && n.from == v1alpha1.Docker && n.to.Name == v1alpha1.CRIO && shared:
		return stops
	case name != n.from:
		return stays
	case name == v1alpha1.Containerd && shared && (n.to.Name == v1alpha1.Docker || runtimes.DockerRuns(n.f)):
		return emptied
	}
	return stops
}

// becomes says it.
func (x fate) String() string {
	if x == emptied {
		return "which has no pods after the switch"
	}
	return "which stops"
}

// owners are the runtimes whose users matter, with the users' sockets.
func owners(n *node) map[string]v1alpha1.RuntimeName {
	out := map[string]v1alpha1.RuntimeName{}
	for _, d := range runtimes.All() {
		sockets, _ := d.Listening(n.f)
		for _, s := range sockets {
			out[s] = d.Name
		}
	}
	return out
}

func connected(n *node) []v1alpha1.Finding {
	if n.f.Users == nil {
		return nil
	}
	owner := owners(n)
	var out []v1alpha1.Finding
	for _, d := range runtimes.All() {
		end := fateOf(n, d.Name)
		if end == stays {
			continue
		}
		var who []string
		for _, c := range n.f.Users.Clients {
			of, known := owner[c.Socket]
			if !known && c.From != "" {
				of = v1alpha1.Docker // the only one that is asked over TCP
			}
			if of == d.Name && !follows(n, c) {
				who = append(who, fmt.Sprintf("%s at %s", client(n, c), c.Socket))
			}
		}
		if len(who) > 0 {
			out = append(out, shown(warn("point them at the target, or at the kubelet; what connects for moments only isn't seen here",
				"%s connected to %s, %s; clients that connect for moments only are missed", number(len(who), "process is", "processes are"), d.Name, end), who...)...)
		}
	}
	return out
}

// follows reports whether a client needs no care: it is a part of Kubernetes or of a runtime on the node itself, or asks whatever
// runtime there is.
func follows(n *node, c v1alpha1.Client) bool {
	if c.PodUID != "" || c.Container != "" || c.Process.PID == 0 {
		return false
	}
	base := path.Base(c.Process.Exe)
	if c.Process.PID == n.f.Kubelet.PID || base == "kubelet" || base == "crictl" || base == "kubeadm" || base == "systemd" {
		return true
	}
	if strings.HasPrefix(c.Process.Exe, "/var/lib/kubectl-runtime/") || strings.HasPrefix(c.Process.Unit, "kubectl-runtime-") {
		return true
	}
	return slices.ContainsFunc(runtimes.All(), func(d runtimes.Description) bool {
		return d.Owns(c.Process) || base == "docker-proxy" || base == "conmonrs"
	})
}

// client names a process by what a person knows it by: its pod, its container, its unit.
func client(n *node, c v1alpha1.Client) string {
	if c.Process.PID == 0 {
		return "a client at " + c.From
	}
	name := path.Base(c.Process.Exe)
	if argv := c.Process.Argv; len(argv) > 1 {
		name += " " + strings.Join(argv[1:], " ")
	}
	if c.Connections > 1 {
		name += fmt.Sprintf(", %d connections", c.Connections)
	}
	return fmt.Sprintf("%s (process %d, %s)", home(n, c), c.Process.PID, name)
}

// home is the pod, container or unit of a client.
func home(n *node, c v1alpha1.Client) string {
	switch {
	case c.Pod != "":
		return "pod " + c.Pod
	case c.PodUID != "":
		return "pod " + c.PodUID
	}
	for _, r := range n.f.Runtimes {
		for _, x := range r.Foreign {
			if c.Container != "" && x.ID == c.Container {
				return "container " + shortName(x)
			}
		}
	}
	switch {
	case c.Container != "":
		return "container " + c.Container[:min(12, len(c.Container))]
	case c.Process.Unit != "":
		return c.Process.Unit
	}
	return "no unit"
}

func dockerHosts(n *node) []v1alpha1.Finding {
	if n.f.Users == nil || fateOf(n, v1alpha1.Docker) == stays {
		return nil
	}
	d, err := runtimes.Get(v1alpha1.Docker)
	if err != nil {
		return nil
	}
	sockets, ports := d.Listening(n.f)
	var who []string
	for _, x := range n.f.Users.DockerHosts {
		leads := slices.Contains(sockets, x.Socket)
		if port, local := localPort(x.Value); local && !x.OwnNetwork {
			leads = leads || slices.Contains(ports, port)
		}
		if leads && !follows(n, x.Client) {
			who = append(who, client(n, x.Client)+": DOCKER_HOST="+x.Value)
		}
	}
	if len(who) == 0 {
		return nil
	}
	return shown(warn("give them another daemon, or take the variable away", "%s told by DOCKER_HOST to ask this node's Docker, which stops", number(len(who), "process is", "processes are")), who...)
}

func swarm(n *node) []v1alpha1.Finding {
	if n.f.Users == nil || n.f.Users.Swarm == nil || fateOf(n, v1alpha1.Docker) == stays {
		return nil
	}
	s := n.f.Users.Swarm
	switch s.State {
	case "", "inactive":
		return nil
	case "locked", "error":
		return warn("docker swarm leave, if nobody needs it", "Docker is in a swarm (%s) and stops", s.State)
	}
	switch {
	case s.Manager && s.Managers == 1:
		return warn("move its services, then docker swarm leave --force", "the node is the only manager of a Docker swarm, which ends with Docker")
	case s.Manager:
		return warn("docker node update --availability drain, docker node demote, then docker swarm leave",
			"the node is one of %d managers of a Docker swarm, which loses it when Docker stops", s.Managers)
	}
	return warn("docker node update --availability drain on a manager, then docker swarm leave", "the node is a worker of a Docker swarm, which loses it when Docker stops")
}

func volumes(n *node) []v1alpha1.Finding {
	if n.f.Users == nil || fateOf(n, v1alpha1.Docker) == stays {
		return nil
	}
	var used []string
	known := map[string]bool{}
	for _, c := range n.f.Runtime(v1alpha1.Docker).Foreign {
		for _, v := range c.Volumes {
			used = append(used, fmt.Sprintf("%s, of %s", short(v), shortName(c)))
			known[v] = true
		}
	}
	var out []v1alpha1.Finding
	if len(used) > 0 {
		out = append(out, shown(warn("copy what is in them before their containers move", "%s data of containers that Kubernetes doesn't own: nothing sees it once Docker stops", number(len(known), "volume of Docker holds", "volumes of Docker hold")), used...)...)
	}
	var rest []string
	for _, v := range n.f.Users.Volumes {
		if !known[v] {
			rest = append(rest, path.Join(n.f.Users.VolumesPath, v))
		}
	}
	if len(rest) > 0 {
		out = append(out, shown(warn("copy what is needed; the data stays on the disk", "%s no container that was seen: nothing sees the data once Docker stops", number(len(rest), "named volume of Docker has", "named volumes of Docker have")), rest...)...)
	}
	return out
}

func short(name string) string {
	if len(name) == 64 {
		return name[:12]
	}
	return name
}

func number(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
