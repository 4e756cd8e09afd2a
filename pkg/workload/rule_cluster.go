package workload

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

func clusterRules() []rule {
	return []rule{
		{Rule{
			"C001", advising, "kubeadm's records name the runtime that nodes have",
			"ConfigMaps kubeadm-config and kubelet-config in kube-system are what kubeadm gives to nodes that join and that it upgrades. A criSocket or containerRuntimeEndpoint there that names the old runtime brings it back. " +
				"kubeadm's own advice is to keep the socket out of them and give it to each node. The switch changes the node's own record, not these.",
		}, nil, kubeadmSocket},
		{Rule{
			"C002", advising, "the kubelets' recorded cgroup driver is systemd",
			"ConfigMap kubelet-config says cgroupDriver: cgroupfs, or nothing, which means the same. On hosts with systemd and cgroup v2 that is two managers of one tree; a runtime that is set to systemd then fails to start pods. " +
				"From 1.31 on a kubelet takes the runtime's word where it gives one. The switch sets the target to what the node's kubelet has; nodes that join get what stands here.",
		}, nil, cgroupDriver},
		{Rule{
			"C003", advising, "no kubelet is older or newer than the API server allows",
			"A kubelet may be three minor releases older than the API server (two before 1.28) and never newer. Bring versions together before the runtime changes: one change at a time.",
		}, nil, skew},
		{Rule{
			"C004", advising, "all nodes have the same runtime",
			"Nodes that differ from the rest were added later, forgotten, or left in the middle of a move. Workloads that fit the rest may not fit them.",
		}, nil, odd},
		{Rule{
			"C005", advising, "no webhook is served from a single node",
			"While the only node with a webhook's pods is drained nobody answers. With failurePolicy: Fail, what it judges is refused until they run elsewhere; if it judges pods, their own replacements among them, that may be never. " +
				"Run two replicas on two nodes, or exclude the webhook's own namespace.",
		}, nil, webhooks},
		{Rule{
			"C006", advising, "nodes' annotations name the runtime that they have",
			"kubeadm reads the annotation kubeadm.alpha.kubernetes.io/cri-socket when it upgrades or resets a node. One that names another runtime than the kubelet reports makes it fail, or talk to the wrong one.",
		}, nil, annotations},
		{Rule{
			"C007", advising, "everything could be read",
			"What couldn't be read may hide a dependence. The message names what is missing; give the right to list it, or take the risk.",
		}, nil, unread},
		nodeRule(),
	}
}

// ofSocket returns the runtime whose CRI endpoint an address is.
func (j *judge) ofSocket(address string) v1alpha1.RuntimeName {
	p, _ := unixPath(address)
	x, ok := j.known.classify(p)
	if !ok || x.kind != socket && x.kind != shim {
		return ""
	}
	return x.runtime
}

func kubeadmSocket(j *judge) []about {
	var out []about
	for _, ref := range j.kubeadmMaps() {
		a := j.configMap(ref)
		for _, key := range sortedKeys(j.inv.ConfigMaps[ref]) {
			for i, line := range strings.Split(j.inv.ConfigMaps[ref][key], "\n") {
				field, value, ok := strings.Cut(strings.TrimSpace(shell.Uncomment(line)), ":")
				if !ok || field != "criSocket" && field != "containerRuntimeEndpoint" {
					continue
				}
				value = strings.Trim(value, ` "'`)
				if name := j.ofSocket(value); name == "" || !j.isOld(name) {
					continue
				}
				a.hits = append(a.hits, hit{advising, "gives the old runtime's socket to nodes that join or are upgraded", "change it when all nodes have moved", fmt.Sprintf("%s:%d: %s: %s", key, i+1, field, value), 0})
			}
		}
		if len(a.hits) > 0 {
			out = append(out, a)
		}
	}
	return out
}

// isOld reports whether a record that names the runtime is out of date, or will be.
func (j *judge) isOld(name v1alpha1.RuntimeName) bool {
	if j.o.To != "" {
		return name != j.o.To
	}
	return len(j.served) > 0 && !j.served[name]
}

// kubeadmMaps returns the ConfigMaps that kubeadm keeps; up to 1.23 the name of one ended with the version.
func (j *judge) kubeadmMaps() []Key {
	var out []Key
	for ref := range j.inv.ConfigMaps {
		if ref.Namespace == "kube-system" && (ref.Name == "kubeadm-config" || ref.Name == "kubelet-config" || strings.HasPrefix(ref.Name, "kubelet-config-1.")) {
			out = append(out, ref)
		}
	}
	slices.SortFunc(out, func(a, b Key) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func (j *judge) configMap(ref Key) about {
	o := Object{"v1", "ConfigMap", ref.Namespace, ref.Name}
	return about{object: o, source: j.inv.Sources[o]}
}

func cgroupDriver(j *judge) []about {
	var out []about
	for _, ref := range j.kubeadmMaps() {
		body, ok := j.inv.ConfigMaps[ref]["kubelet"]
		if ref.Name == "kubeadm-config" || !ok {
			continue
		}
		driver := ""
		for _, line := range strings.Split(body, "\n") {
			if v, ok := strings.CutPrefix(shell.Uncomment(line), "cgroupDriver:"); ok {
				driver = strings.Trim(v, ` "'`)
			}
		}
		if driver == "systemd" {
			continue
		}
		a := j.configMap(ref)
		a.hits = one(advising, 0, "cgroupDriver: "+cmp.Or(driver, "absent, which means cgroupfs"), "gives the cgroup driver cgroupfs to nodes that join or are upgraded", "move the nodes to systemd, and the runtimes with them")
		out = append(out, a)
	}
	return out
}

func skew(j *judge) []about {
	server, err := version.ParseGeneric(j.inv.ServerVersion)
	if err != nil {
		return nil
	}
	behind := uint(2)
	if server.Minor() >= 28 {
		behind = 3
	}
	var out []about
	for i := range j.inv.Nodes {
		n := &j.inv.Nodes[i]
		v, err := version.ParseGeneric(n.KubeletVersion)
		if err != nil || v.Major() != server.Major() {
			continue
		}
		evidence := fmt.Sprintf("kubelet %s, API server %s", n.KubeletVersion, j.inv.ServerVersion)
		switch {
		case v.Minor() > server.Minor():
			out = append(out, n.about(one(advising, 0, evidence, "its kubelet is newer than the API server", "upgrade the control plane")))
		case v.Minor()+behind < server.Minor():
			out = append(out, n.about(one(advising, 0, evidence, "its kubelet is older than the API server allows", "upgrade the kubelet")))
		}
	}
	return out
}

func (n *Node) about(hits []hit) about {
	return about{object: Object{"v1", "Node", "", n.Name}, pods: []Placed{{Node: n.Name}}, hits: hits}
}

// reported returns the runtime that a kubelet reports, such as cri-o of cri-o://1.35.0.
func reported(n *Node) v1alpha1.RuntimeName {
	name, _, _ := strings.Cut(n.RuntimeVersion, "://")
	return v1alpha1.RuntimeName(name)
}

func odd(j *judge) []about {
	count := map[v1alpha1.RuntimeName]int{}
	for i := range j.inv.Nodes {
		if n := &j.inv.Nodes[i]; !n.Windows && n.RuntimeVersion != "" {
			count[reported(n)]++
		}
	}
	if len(count) < 2 {
		return nil
	}
	names := slices.Sorted(maps.Keys(count))
	most := slices.MaxFunc(names, func(a, b v1alpha1.RuntimeName) int { return cmp.Compare(count[a], count[b]) })
	var out []about
	for i := range j.inv.Nodes {
		n := &j.inv.Nodes[i]
		if n.Windows || n.RuntimeVersion == "" || reported(n) == most || reported(n) == j.o.To {
			continue
		}
		out = append(out, n.about(one(advising, 0, fmt.Sprintf("%s; %d nodes have %s", n.RuntimeVersion, count[most], most), "its runtime differs from that of most nodes", "see why, and move it too")))
	}
	return out
}

func annotations(j *judge) []about {
	var out []about
	for i := range j.inv.Nodes {
		n := &j.inv.Nodes[i]
		said, have := j.ofSocket(n.CRISocket), reported(n)
		if said == "" || have == "" || said == have || n.Windows {
			continue
		}
		out = append(out, n.about(one(advising, 0, "cri-socket "+n.CRISocket+", runtime "+n.RuntimeVersion, "its annotation names another runtime than it has", "set the annotation to the socket that the kubelet uses")))
	}
	return out
}

func webhooks(j *judge) []about {
	var out []about
	for i := range j.inv.Webhooks {
		h := &j.inv.Webhooks[i]
		nodes := map[string]bool{}
		a := about{object: h.Object, annotations: []map[string]string{h.Annotations}, source: h.Source}
		var names []string
		for _, w := range j.selected(h.Service.Namespace, serviceSelector(j.inv.Services[h.Service])) {
			for _, p := range w.Pods {
				// Host pods of a DaemonSet and static pods aren't drained.
				if w.Object.Kind != "DaemonSet" && !p.Mirror && p.Node != "" {
					nodes[p.Node] = true
				} else {
					nodes[""] = true
				}
				a.pods = append(a.pods, p)
			}
			names = append(names, w.Object.Kind+" "+w.Object.Name)
		}
		if len(nodes) != 1 || nodes[""] || !h.Fails || !j.moves(a.pods) {
			continue
		}
		message := "all pods that answer it are on one node; while that is drained, what it judges is refused"
		if h.Pods {
			message = "all pods that answer it are on one node, and it judges the pods that would replace them"
		}
		a.hits = one(advising, 0, fmt.Sprintf("webhook %s, service %s, %s", h.Name, h.Service, few(names)), message, "run two replicas on two nodes")
		out = append(out, a)
	}
	return out
}

func unread(j *judge) []about {
	if len(j.inv.Unread) == 0 {
		return nil
	}
	var a about
	for _, s := range j.inv.Unread {
		a.hits = append(a.hits, hit{severity: advising, message: "not everything could be read, and may hide a dependence", hint: "give the right to list it", evidence: s})
	}
	return []about{a}
}
