package check

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

func runtimeRules() []rule {
	return []rule{
		{Rule{
			"R001", "the target is installed",
			"The switch installs nothing. The daemon's binary and its systemd unit must be on the node; for Docker, cri-dockerd too.",
		}, installed},
		{Rule{
			"R002", "the target's units may start",
			"A masked unit can't be started; somebody masked it for a reason that the switch can't know.",
		}, unmasked},
		{Rule{
			"R003", "the target doesn't run yet",
			"Two runtimes that serve CRI at once see the same network configuration: CRI-O removes, when it starts, the network attachments of pods that aren't its own.",
		}, alone},
		{Rule{
			"R004", "no other containers are in the runtimes that restart",
			"The runtime that is left is stopped for good. Containers that Kubernetes doesn't own (docker run, compose, swarm, nerdctl) would stop with it.",
		}, foreign},
		{Rule{
			"R005", "the old runtime runs with the configuration that is on disk",
			"A daemon that is older than its own configuration would pick up an untried edit when a rollback restarts it.",
		}, daemonFresh},
		{Rule{
			"R006", "the old runtime can be parked",
			"The old runtime stays installed for the way back and must not start meanwhile. A drop-in with a condition keeps its units from starting; a daemon outside a unit, or a later drop-in that clears conditions, isn't kept.",
		}, parkable},
		{Rule{
			"R007", "stopping a daemon leaves its containers alone",
			"containerd's and Docker's units kill their daemon only (KillMode=process). A unit that was edited to kill all processes ends every pod whenever the daemon restarts.",
		}, killMode},
		{Rule{
			"R008", "the old runtime answers",
			"The containers of the old runtime are stopped through its CRI, with their grace period.",
		}, answers},
		{Rule{
			"R009", "the target's parts fit together",
			"cri-dockerd asks for a minimum of Docker's API and dockerd refuses clients that are too old; CRI-O is released with Kubernetes and supports the kubelet of its own and two neighbouring minors; containerd's project names the patches that it tests with each kubelet.",
		}, parts},
		{Rule{
			"R010", "Docker's other users are known",
			"Docker may go on beside Kubernetes on the node's containerd: containerd then stays up when Kubernetes leaves it.",
		}, dockerStays},
		{Rule{
			"R011", "only sockets stand where the runtimes make sockets",
			"A runtime makes a directory at a path that a pod mounts and that is absent, and a pod that mounts the socket of a stopped runtime without a type (what the charts of many security and metrics agents do) makes one there. The runtime whose path it is can't start then (\"is a directory\"), neither in a switch nor in a rollback. Before the switch or a rollback starts a runtime, it removes an empty directory at that runtime's sockets and moves anything else aside. Give the hostPath volumes of such pods the type Socket.",
		}, socketPaths},
		{Rule{
			"R012", "the runtimes run the programs that are on disk",
			"A package that was upgraded without a restart of its daemon leaves the earlier program running. What the switch, or a rollback, starts is then a version that has not served this node yet. The version that CRI answers and the file behind the process are compared with the disk. Restart the daemon and see whether it still serves before the switch.",
		}, programFresh},
		{Rule{
			"R014", "the programs of the runtimes and the kubelet belong to root alone",
			"The switch runs both runtimes' programs as root, as their units do, and starts the kubelet anew. A program that is not root's, or that its group or others may write, or that lies in such a directory, may be somebody else's by now: nothing of it is run, not even to ask for its version. A client that is asked for nothing but that (docker) is a warning. Release archives that were unpacked by hand often keep the owner that they were made by (chown root:root).",
		}, rootsAlone},
	}
}

// planned are rules that planning applies while it reads and writes settings.
func planned() []Rule {
	return []Rule{
		{"E001", "the kubelet's files can be changed", "A kubelet whose installer writes its files anew isn't told another endpoint by them."},
		{"E002", "the kubelet's version is known", "Where the endpoint stands depends on the kubelet's version."},
		{"E003", "the kubelet's configuration is understood", "A file that can't be understood is never changed."},
		{"E004", "the kubelet runs with the flags that its files name", "A kubelet that runs with other flags than its files say would change more than its runtime when it is restarted."},
		{"E005", "the kubelet uses the endpoint that the switch starts from", "Its command line, drop-ins and configuration file must lead to the old runtime, and its version must be able to use the new one."},
		{"E006", "the files that name the endpoint can be edited", "Each edit is proved by a second parse; one that can't be proved isn't made."},
		{"E007", "the image endpoint follows the runtime", "An image endpoint of its own is a proxy that must be changed together with the runtime."},
		{"E008", "--runtime-cgroups names the old runtime's unit", "The kubelet accounts the runtime by its cgroup. Another value is left as it is."},
		{"E009", "the edited files say what they must", "After the edits all places together are read again as the kubelet would read them."},
		{"N009", "no configuration management writes the files of the switch back", "Puppet, Chef, Salt, CFEngine, a timer of ansible-pull and what cloud-init runs at each boot write files of the node whoever changed them. One that writes the kubelet's configuration as it was, after the switch, leads the kubelet to a runtime that is parked. They are recognised by their units and by programs of root. Change the files that the finding lists there, too, and let the agent rest meanwhile."},
		{"N010", "the files of the plan can be replaced", "Files are replaced by a rename, so that a power cut leaves the one or the other. A file that is mounted by itself can't be replaced so, and below a read-only mount nothing can. Unmount the file, or mount the directory read-write, for good (/etc/fstab or the mount's unit); what the system's image mounts is changed in the image."},
		{"R013", "a rollback starts the version that served before", "A rollback restores the configuration that the earlier runtime had. Where its package was upgraded to another release since, that configuration is of a release that isn't there any more, and nobody has seen the two together: kubectl runtime switch to that runtime makes a plan for the version that is installed. Another patch of the same release is a warning."},
		{runtimes.NotCarried, "everything that was configured has an equal in the target", "What has none is named, with what to do about it. It stops working after the switch."},
		{runtimes.Conflict, "the target isn't configured otherwise already", "Where an operator configured the target itself, that wins over what the old runtime says."},
		{runtimes.CRIDisabled, "containerd serves CRI", "Docker's packages disable containerd's CRI plugin. The plan enables it."},
		{runtimes.CgroupDriver, "the target uses the kubelet's cgroup driver", "With different drivers every pod fails, or the node breaks under load. The plan sets the kubelet's."},
		{runtimes.SandboxImage, "the target's sandbox image is the node's", "Every pod starts with it, and the node must have it. The plan keeps the image that the node has, unless an operator chose another for the target."},
		{runtimes.CNIDirs, "the target finds the cluster's network", "Distributions keep network plugins in other directories. The plan names the cluster's."},
		{runtimes.Registries, "the target knows the registries", "Mirrors, registries without TLS and certificates are written for the target where it knows nothing of them."},
		{runtimes.Proxies, "the target knows the proxies", "Proxy variables of the old runtime's unit are written for the target's."},
		{runtimes.OCIRuntimes, "the target knows the handlers of RuntimeClasses", "Handlers that are OCI runtimes are written for the target; shims of their own can't be."},
		{runtimes.SignaturePolicy, "CRI-O finds a policy for image signatures", "Without a policy file CRI-O refuses every image. The plan writes the one that its packages ship: accept anything, as the other runtimes do."},
		{runtimes.Narrower, "containers may do in the target what they do now", "CRI-O gives containers fewer capabilities than containerd and Docker do, and older releases limit their processes. Pods that rely on more fail after the switch; it is named, not changed."},
		{runtimes.Unreadable, "the target's configuration can be read and edited", "A file that can't be understood is never changed."},
	}
}

func installed(n *node) []v1alpha1.Finding {
	r := n.f.Runtime(n.to.Name)
	for _, daemon := range n.to.Daemons {
		if r.Binaries[daemon].Path == "" {
			return stop("install "+daemon+" first; it may rest, stopped and disabled", "%s isn't installed: there is no %s", n.to.Name, daemon)
		}
	}
	for _, unit := range n.to.Units {
		u, ok := n.f.Unit(unit)
		if strings.HasSuffix(unit, ".service") && (!ok || u.LoadState == "not-found") {
			return stop("install the unit of its package or project", "%s has no systemd unit %s", n.to.Name, unit)
		}
	}
	return nil
}

func unmasked(n *node) []v1alpha1.Finding {
	var out []v1alpha1.Finding
	for _, unit := range n.to.UnitsOn(n.f) {
		u, _ := n.f.Unit(unit)
		switch u.LoadState {
		case "masked":
			out = append(out, stop("systemctl unmask "+unit, "%s is masked", unit)...)
		case "error", "bad-setting":
			out = append(out, shown(stop("systemctl status "+unit, "%s can't be loaded", unit), u.Fragment)...)
		}
	}
	return out
}

// alone: CRI-O beside another runtime harms; containerd and Docker may serve somebody else.
func alone(n *node) []v1alpha1.Finding {
	u, ok := n.f.Unit(n.to.Main)
	if !ok || u.ActiveState != "active" {
		return nil
	}
	if n.to.Name == v1alpha1.CRIO {
		return shown(stop("systemctl stop "+n.to.Main, "%s runs beside the runtime that serves the kubelet: it may have taken networks away from running pods", n.to.Name), n.to.Main)
	}
	if n.from == v1alpha1.Docker && n.to.Name == v1alpha1.Containerd && runtimes.DockerSharesContainerd(n.f) {
		return nil
	}
	return shown(warn("it is restarted during the switch", "%s runs already beside the runtime that serves the kubelet", n.to.Name), n.to.Main)
}

func foreign(n *node) []v1alpha1.Finding {
	var out []v1alpha1.Finding
	concerned := []v1alpha1.RuntimeName{n.from, n.to.Name}
	if n.from == v1alpha1.Docker && n.to.Name == v1alpha1.CRIO && runtimes.DockerSharesContainerd(n.f) {
		// Docker's containerd rests with it.
		concerned = append(concerned, v1alpha1.Containerd)
	}
	for _, name := range concerned {
		var names []string
		scopes := map[string]bool{}
		for _, c := range n.f.Runtime(name).Foreign {
			if c.Running && !keeps(n, name, c) {
				names = append(names, shortName(c))
				scopes[c.Scope] = true
			}
		}
		if len(names) == 0 {
			continue
		}
		x := stop("move them elsewhere, or to pods, and stop them", "containers that Kubernetes doesn't own run in %s, which the switch stops", name)
		out = append(out, shown(x, names...)...)
	}
	return out
}

// keeps reports whether a container outlives the switch, or is looked at as Docker's: those in namespace moby are
// Docker's, whose containerd stays when Docker does.
func keeps(n *node, name v1alpha1.RuntimeName, c v1alpha1.Container) bool {
	if name == v1alpha1.Containerd && c.Scope == "moby" && (n.from == v1alpha1.Docker || n.to.Name == v1alpha1.Docker) {
		return true
	}
	return name == v1alpha1.Containerd && c.Scope == "moby" && n.from == v1alpha1.Containerd && n.to.Name == v1alpha1.CRIO &&
		runtimes.DockerRuns(n.f) && runtimes.DockerSharesContainerd(n.f)
}

func shortName(c v1alpha1.Container) string {
	name := c.Name
	if name == "" {
		// Generated identifiers are long and told apart by their beginning; ctr's are given by people.
		name = c.ID[:min(len(c.ID), 12)]
		if len(c.ID) < 64 {
			name = c.ID
		}
	}
	return fmt.Sprintf("%s: %s (%s)%s", c.Scope, name, c.Image, madeBy(c))
}

// madeBy says which of Docker's tools made a container: it is by that, and not one by one, that it is moved or stopped.
func madeBy(c v1alpha1.Container) string {
	switch l := c.Labels; {
	case l[v1alpha1.LabelSwarmService] != "" && l[v1alpha1.LabelStack] != "":
		return ", swarm service " + l[v1alpha1.LabelSwarmService] + " of stack " + l[v1alpha1.LabelStack]
	case l[v1alpha1.LabelSwarmService] != "":
		return ", swarm service " + l[v1alpha1.LabelSwarmService]
	case l[v1alpha1.LabelComposeProject] != "":
		return ", compose project " + l[v1alpha1.LabelComposeProject]
	case c.Scope == "docker":
		return ", by docker run"
	}
	return ""
}

func daemonFresh(n *node) []v1alpha1.Finding {
	d, err := runtimes.Get(n.from)
	if err != nil {
		return nil
	}
	var out []v1alpha1.Finding
	for _, unit := range d.UnitsOn(n.f) {
		if strings.HasSuffix(unit, ".service") {
			out = append(out, stale(n, unit, unit, d.ConfigFiles(n.f, unit))...)
		}
	}
	return out
}

func parkable(n *node) []v1alpha1.Finding {
	d, err := runtimes.Get(n.from)
	if err != nil {
		return nil
	}
	units := d.UnitsOn(n.f)
	var out []v1alpha1.Finding
	if len(units) == 0 && !n.v.Dockershim {
		return stop("run it as a systemd unit", "%s has no systemd unit, so nothing keeps it from starting again", n.from)
	}
	for _, p := range n.f.Runtime(n.from).Processes {
		if slices.Contains(d.Daemons, path.Base(p.Exe)) && !slices.Contains(units, p.Unit) && ofHost(n, p) {
			out = append(out, shown(stop("run it as "+d.Main, "a daemon of %s runs outside its unit, so nothing keeps it from starting again", n.from), fmt.Sprintf("process %d (%s)", p.PID, p.Exe))...)
		}
	}
	for _, unit := range units {
		if file, line, ok := runtimes.Resets(n.f, unit); ok {
			out = append(out, shown(stop("rename the drop-in so that it sorts before "+runtimes.ParkingDropIn, "a drop-in of %s clears conditions, so the unit can't be parked", unit), fmt.Sprintf("%s:%d", file, line))...)
		}
	}
	return out
}

// ofHost tells daemons that somebody started on the node by hand or by another service from those that run inside pods,
// and from the containerd that dockerd starts for itself.
func ofHost(n *node, p v1alpha1.Process) bool {
	if p.Unit == "docker.service" && n.from == v1alpha1.Containerd {
		return false
	}
	return strings.HasSuffix(p.Unit, ".service") || strings.HasPrefix(p.Unit, "session-")
}

func killMode(n *node) []v1alpha1.Finding {
	var out []v1alpha1.Finding
	for _, unit := range []string{"containerd.service", "docker.service", "cri-docker.service"} {
		u, ok := n.f.Unit(unit)
		if !ok || u.LoadState != "loaded" || u.KillMode == "" || u.KillMode == "process" {
			continue
		}
		if d, err := runtimes.Get(n.from); err == nil && (slices.Contains(d.UnitsOn(n.f), unit) || slices.Contains(n.to.UnitsOn(n.f), unit)) {
			out = append(out, shown(warn("set KillMode=process, as its project does", "%s has KillMode=%s: every restart of the daemon ends all its pods", unit, u.KillMode), u.Fragment)...)
		}
	}
	return out
}

func answers(n *node) []v1alpha1.Finding {
	if n.from == "" || n.v.Dockershim {
		return nil
	}
	if r := n.f.Runtime(n.from); r.CRI != nil && r.CRI.RuntimeReady {
		return nil
	}
	return shown(stop("repair it first; kubectl runtime status "+n.f.Node+" --deep", "%s doesn't answer on the kubelet's endpoint", n.from), n.v.Endpoint)
}

func dockerStays(n *node) []v1alpha1.Finding {
	if n.from == v1alpha1.Containerd && n.to.Name == v1alpha1.Docker && runtimes.DockerSharesContainerd(n.f) {
		return warn("give kubeadm --cri-socket="+n.to.Endpoint(n.v.Version)+" when it resets or joins the node",
			"Docker runs on the node's containerd, which goes on serving CRI itself: kubeadm will find two runtimes when it looks for one")
	}
	if n.from != v1alpha1.Containerd || n.to.Name == v1alpha1.Docker || !runtimes.DockerRuns(n.f) || !runtimes.DockerSharesContainerd(n.f) {
		return nil
	}
	return warn("stop and disable docker.service and docker.socket if nobody needs Docker: then containerd rests too",
		"Docker runs on the node's containerd, so containerd stays up; kubeadm will find two runtimes when it looks for one")
}
