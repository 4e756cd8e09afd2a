package workload

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// AutoscalerStatus is what cluster-autoscaler writes about itself, wherever it runs.
var AutoscalerStatus = Key{Namespace: "kube-system", Name: "cluster-autoscaler-status"}

// Labels and annotations of nodes, and of the Machines behind them, by which controllers know what is theirs and what to leave alone.
const (
	// MachineAnnotation and MachineNamespaceAnnotation lead from a node to its Machine of the Cluster API.
	MachineAnnotation          = "cluster.x-k8s.io/machine"
	MachineNamespaceAnnotation = "cluster.x-k8s.io/cluster-namespace"

	machineCluster       = "cluster.x-k8s.io/cluster-name"
	machinePaused        = "cluster.x-k8s.io/paused"
	machineSkipsRepair   = "cluster.x-k8s.io/skip-remediation"
	openShiftMachine     = "machine.openshift.io/machine"
	karpenterPool        = "karpenter.sh/nodepool"
	karpenterProvisioner = "karpenter.sh/provisioner-name"
	karpenterKeep        = "karpenter.sh/do-not-disrupt"
	karpenterNoPacking   = "karpenter.sh/do-not-consolidate"
	autoscalerKeep       = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
	remediationExclusion = "remediation.medik8s.io/exclude-from-remediation"
)

// Marks keeps of a node's labels or annotations those that rules look at.
func Marks(set map[string]string) map[string]string {
	var out map[string]string
	for _, key := range []string{
		IgnoreAnnotation, MachineAnnotation, MachineNamespaceAnnotation, machineCluster, machinePaused, machineSkipsRepair, openShiftMachine,
		karpenterPool, karpenterProvisioner, karpenterKeep, karpenterNoPacking, autoscalerKeep, remediationExclusion,
	} {
		if value, ok := set[key]; ok {
			if out == nil {
				out = map[string]string{}
			}
			out[key] = value
		}
	}
	return out
}

func nodeRule() rule {
	return rule{Rule{
		"C008", advising, "no controller deletes or reboots a node during its switch",
		"A node that is cordoned, drained and without a kubelet for a moment looks unused or broken to those who take care of nodes: cluster-autoscaler and Karpenter delete it, a MachineHealthCheck or a NodeHealthCheck has it replaced or rebooted, draino drains it, kured reboots it. " +
			"Whoever deletes it in the middle takes the rollback away with it. The hint names the command that makes each leave the node alone; take that back after the switch. " +
			"Nodes that are paused already aren't reported, nor is what scales to zero replicas. Machines of the Cluster API often live in another cluster, where nothing can be read from here: annotate the node with kubectl-runtime/ignore: \"C008: ...\" when its Machine is paused. " +
			"switch sees what the node's labels, its annotations and its pods tell, and the status of cluster-autoscaler; check sees all Deployments.",
	}, nil, nodeControllers}
}

// care is what one controller does to nodes, and which they are.
type care struct {
	about
	message, evidence string
	// pause is the command that makes it leave a node alone; an empty name stands for several nodes.
	pause func(node string) string
	nodes []string
}

// add puts a node into the care of a controller.
func (c *care) add(n *Node) {
	c.nodes = append(c.nodes, n.Name)
	c.pods = append(c.pods, Placed{Node: n.Name})
}

// judged is what is said of it.
func (c *care) judged() about {
	node := ""
	if len(c.nodes) == 1 {
		node = c.nodes[0]
	}
	c.hits = one(advising, c.source.Line, c.evidence+"; nodes that it isn't told to leave alone: "+few(c.nodes), c.message, c.pause(node))
	return c.about
}

// nodeControllers tells of each controller once, with the nodes that it may act on.
func nodeControllers(j *judge) []about {
	var nodes []*Node
	for i := range j.inv.Nodes {
		n := &j.inv.Nodes[i]
		if j.moving(n.Name) && !n.Windows && suppressed("C008", []map[string]string{n.Annotations}) == "" {
			nodes = append(nodes, n)
		}
	}
	var cares []*care
	for i := range j.inv.Workloads {
		w := &j.inv.Workloads[i]
		for _, p := range programs() {
			if p.runs(w) {
				cares = append(cares, p.careOf(w, nodes))
			}
		}
	}
	if _, ok := j.inv.ConfigMaps[AutoscalerStatus]; ok && !slices.ContainsFunc(cares, func(c *care) bool { return c.message == scalesDown }) {
		p := autoscaler()
		a := j.configMap(AutoscalerStatus)
		cares = append(cares, p.care(a, "it keeps ConfigMap "+AutoscalerStatus.String(), nodes))
	}
	cares = append(cares, makers(nodes)...)
	var out []about
	for _, c := range cares {
		if len(c.nodes) > 0 {
			out = append(out, c.judged())
		}
	}
	return out
}

// nodeProgram is a controller of nodes that is known by its image.
type nodeProgram struct {
	// images are how the last part of its image's name begins.
	images []string
	// agent says that it is a DaemonSet whose pods act on their own nodes.
	agent   bool
	message string
	// paused reports whether it leaves a node alone.
	paused func(n *Node) bool
	// pause is the command for a node, given the object that runs it.
	pause func(node string, o Object) string
}

const scalesDown = "cluster-autoscaler may delete a node that is cordoned and drained"

func autoscaler() nodeProgram {
	return nodeProgram{[]string{"cluster-autoscaler"}, false, scalesDown, func(n *Node) bool {
		// Control plane nodes are in no group that it scales.
		return n.ControlPlane || n.Annotations[autoscalerKeep] == "true"
	}, func(node string, _ Object) string { return annotating(node, autoscalerKeep) }}
}

func programs() []nodeProgram {
	excluded := func(n *Node) bool { return n.Labels[remediationExclusion] == "true" }
	exclude := func(node string, _ Object) string {
		return fmt.Sprintf("kubectl label node %s %s=true; remove the label after the switch", orAny(node), remediationExclusion)
	}
	never := func(*Node) bool { return false }
	return []nodeProgram{
		autoscaler(),
		{[]string{"node-healthcheck"}, false, "a NodeHealthCheck may have a node rebooted or replaced that is NotReady for too long", excluded, exclude},
		{[]string{"self-node-remediation", "poison-pill"}, true, "it may reboot its node while the kubelet is stopped", excluded, exclude},
		{[]string{"draino"}, false, "draino may drain a node because of its conditions, so that it is deleted", never, func(_ string, o Object) string {
			return fmt.Sprintf("kubectl scale -n %s %s/%s --replicas=0; scale it up again after the switch", o.Namespace, strings.ToLower(o.Kind), o.Name)
		}},
		{[]string{"kured"}, true, "kured may reboot the node when an update asks for it", never, func(_ string, o Object) string {
			return fmt.Sprintf(`kubectl annotate -n %s %s/%s weave.works/kured-node-lock='{"nodeID":"manual"}'; remove the annotation after the switch`, o.Namespace, strings.ToLower(o.Kind), o.Name)
		}},
	}
}

// annotating is the command that pauses a controller by an annotation of the node.
func annotating(node, key string) string {
	return fmt.Sprintf("kubectl annotate node %s %s=true; remove the annotation after the switch", orAny(node), key)
}

// orAny names a node, or stands for each of several.
func orAny(node string) string { return cmp.Or(node, "NODE") }

// runs reports whether a workload is the program, and has pods or will have.
func (p *nodeProgram) runs(w *Workload) bool {
	if p.agent != (w.Object.Kind == "DaemonSet") || w.Replicas != nil && *w.Replicas == 0 {
		return false
	}
	return slices.ContainsFunc(w.Spec.Containers, func(c corev1.Container) bool {
		name, _ := repository(c.Image)
		return slices.ContainsFunc(p.images, func(s string) bool { return strings.HasPrefix(name, s) })
	})
}

// careOf puts the nodes into the care of a workload that is the program.
func (p *nodeProgram) careOf(w *Workload, nodes []*Node) *care {
	if p.agent {
		nodes = slices.DeleteFunc(slices.Clone(nodes), func(n *Node) bool {
			return !slices.ContainsFunc(w.Pods, func(on Placed) bool { return on.Node == n.Name })
		})
	}
	a := about{object: w.Object, annotations: []map[string]string{w.Annotations, w.PodAnnotations}, source: w.Source}
	return p.care(a, w.Object.String()+" runs it", nodes)
}

func (p *nodeProgram) care(a about, evidence string, nodes []*Node) *care {
	c := &care{about: a, message: p.message, evidence: evidence, pause: func(node string) string { return p.pause(node, a.object) }}
	for _, n := range nodes {
		if !p.paused(n) {
			c.add(n)
		}
	}
	return c
}

// makers are the controllers that made nodes and may replace them, as the nodes tell.
func makers(nodes []*Node) []*care {
	by := map[Object]*care{}
	var out []*care
	for _, n := range nodes {
		for _, c := range []*care{karpenter(n), machine(n)} {
			switch {
			case c == nil:
			case by[c.object] == nil:
				by[c.object] = c
				out = append(out, c)
				c.add(n)
			default:
				by[c.object].add(n)
			}
		}
	}
	return out
}

// karpenter is what Karpenter may do to a node that it made; nil for other nodes, and for those that it leaves alone.
func karpenter(n *Node) *care {
	o, mark := Object{"karpenter.sh/v1", "NodePool", "", n.Labels[karpenterPool]}, karpenterKeep
	if o.Name == "" {
		o, mark = Object{"karpenter.sh/v1alpha5", "Provisioner", "", n.Labels[karpenterProvisioner]}, karpenterNoPacking
	}
	if o.Name == "" || n.Annotations[karpenterKeep] == "true" || n.Annotations[mark] == "true" {
		return nil
	}
	return &care{
		about: about{object: o}, message: "Karpenter may delete a node that is cordoned and drained", evidence: o.Kind + " " + o.Name + " made them",
		pause: func(node string) string { return annotating(node, mark) },
	}
}

// machine is what may happen to a node that a Machine stands for, of the Cluster API or of OpenShift; nil for other nodes, and where the
// Machine is paused.
func machine(n *Node) *care {
	const replaced = "a MachineHealthCheck or another controller of Machines may replace a node that is NotReady for too long"
	if name, namespace := n.Annotations[MachineAnnotation], n.Annotations[MachineNamespaceAnnotation]; name != "" {
		_, paused := n.MachineAnnotations[machinePaused]
		_, skipped := n.MachineAnnotations[machineSkipsRepair]
		if paused || skipped {
			return nil
		}
		o := Object{"cluster.x-k8s.io/v1beta1", "Cluster", namespace, n.Annotations[machineCluster]}
		return &care{about: about{object: o}, message: replaced, evidence: "the Cluster API has Machines of them", pause: func(node string) string {
			machine := "MACHINE"
			if node != "" {
				machine = name
			}
			return fmt.Sprintf("kubectl annotate machine -n %s %s %s=true in the management cluster; remove the annotation after the switch", namespace, machine, machinePaused)
		}}
	}
	if namespace, name, ok := strings.Cut(n.Annotations[openShiftMachine], "/"); ok && name != "" {
		o := Object{"v1", "Namespace", "", namespace}
		return &care{about: about{object: o}, message: replaced, evidence: "OpenShift has Machines of them", pause: func(string) string {
			return fmt.Sprintf("kubectl annotate machinehealthcheck -n %s --all %s=; remove the annotation after the switch", namespace, machinePaused)
		}}
	}
	return nil
}
