package workload

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestNodeControllers: a controller is told of once, with the nodes that it may act on, and with the command that pauses it for them.
func TestNodeControllers(t *testing.T) {
	running := func(kind, name, image string, nodes ...string) Workload {
		w := Workload{Object: Object{"apps/v1", kind, "infra", name}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}}}
		for _, n := range nodes {
			w.Pods = append(w.Pods, Placed{name + "-" + n, n, false})
		}
		return w
	}
	const (
		scales   = "registry.k8s.io/autoscaling/cluster-autoscaler:v1.33.0"
		replaced = "a MachineHealthCheck or another controller of Machines may replace a node that is NotReady for too long"
	)
	machine := map[string]string{MachineAnnotation: "md-0-a", MachineNamespaceAnnotation: "clusters", machineCluster: "prod"}
	status := map[Key]map[string]string{AutoscalerStatus: {"status": "x"}}
	for _, c := range []struct {
		name string
		inv  Inventory
		want []v1alpha1.Finding
	}{
		{"one node", Inventory{Workloads: []Workload{running("Deployment", "ca", scales)}, Nodes: []Node{{Name: "a"}}}, []v1alpha1.Finding{{
			Object: "infra/Deployment/ca", Nodes: []string{"a"}, Message: scalesDown,
			Evidence: []string{"infra/Deployment/ca runs it; nodes that it isn't told to leave alone: a"},
			Hint:     "kubectl annotate node a cluster-autoscaler.kubernetes.io/scale-down-disabled=true; remove the annotation after the switch",
		}}},
		{"some nodes, and its status", Inventory{
			Workloads: []Workload{running("Deployment", "ca", scales)}, ConfigMaps: status,
			Nodes: []Node{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "kept", Annotations: map[string]string{autoscalerKeep: "true"}}, {Name: "cp", ControlPlane: true}, {Name: "win", Windows: true}},
		}, []v1alpha1.Finding{{
			Object: "infra/Deployment/ca", Nodes: []string{"a", "b"}, Message: scalesDown,
			Evidence: []string{"infra/Deployment/ca runs it; nodes that it isn't told to leave alone: a, b"},
			Hint:     "kubectl annotate node NODE cluster-autoscaler.kubernetes.io/scale-down-disabled=true; remove the annotation after the switch",
		}}},
		{"an annotation that says no", Inventory{ConfigMaps: status, Nodes: []Node{{Name: "a", Annotations: map[string]string{autoscalerKeep: "false"}}}}, []v1alpha1.Finding{{
			Object: "kube-system/ConfigMap/cluster-autoscaler-status", Nodes: []string{"a"}, Message: scalesDown,
			Evidence: []string{"it keeps ConfigMap kube-system/cluster-autoscaler-status; nodes that it isn't told to leave alone: a"},
			Hint:     "kubectl annotate node a cluster-autoscaler.kubernetes.io/scale-down-disabled=true; remove the annotation after the switch",
		}}},
		{"a Provisioner's node", Inventory{Nodes: []Node{
			{Name: "a", Labels: map[string]string{karpenterProvisioner: "default"}},
			{Name: "b", Labels: map[string]string{karpenterProvisioner: "default"}, Annotations: map[string]string{karpenterNoPacking: "true"}},
		}}, []v1alpha1.Finding{{
			Object: "Provisioner/default", Nodes: []string{"a"}, Message: "Karpenter may delete a node that is cordoned and drained",
			Evidence: []string{"Provisioner default made them; nodes that it isn't told to leave alone: a"},
			Hint:     "kubectl annotate node a karpenter.sh/do-not-consolidate=true; remove the annotation after the switch",
		}}},
		{"a NodePool's nodes", Inventory{Nodes: []Node{
			{Name: "a", Labels: map[string]string{karpenterPool: "general"}},
			{Name: "b", Labels: map[string]string{karpenterPool: "general"}},
			{Name: "c", Labels: map[string]string{karpenterPool: "other"}},
			// What an older release looked at is no promise of this one.
			{Name: "a-too", Labels: map[string]string{karpenterPool: "general"}, Annotations: map[string]string{karpenterNoPacking: "true"}},
		}}, []v1alpha1.Finding{{
			Object: "NodePool/general", Nodes: []string{"a", "a-too", "b"}, Message: "Karpenter may delete a node that is cordoned and drained",
			Evidence: []string{"NodePool general made them; nodes that it isn't told to leave alone: a, b, a-too"},
			Hint:     "kubectl annotate node NODE karpenter.sh/do-not-disrupt=true; remove the annotation after the switch",
		}}},
		{"a Machine", Inventory{Nodes: []Node{{Name: "a", Annotations: machine}}}, []v1alpha1.Finding{{
			Object: "clusters/Cluster/prod", Nodes: []string{"a"}, Message: replaced,
			Evidence: []string{"the Cluster API has Machines of them; nodes that it isn't told to leave alone: a"},
			Hint:     "kubectl annotate machine -n clusters md-0-a cluster.x-k8s.io/paused=true in the management cluster; remove the annotation after the switch",
		}}},
		{"a paused Machine", Inventory{Nodes: []Node{{Name: "a", Annotations: machine, MachineAnnotations: map[string]string{machinePaused: ""}}}}, nil},
		{"a Machine that isn't remediated", Inventory{Nodes: []Node{{Name: "a", Annotations: machine, MachineAnnotations: map[string]string{machineSkipsRepair: ""}}}}, nil},
		{"agents on their nodes", Inventory{
			Workloads: []Workload{running("DaemonSet", "kured", "ghcr.io/kubereboot/kured:1.17.1", "a", "c"), running("Deployment", "snr", "quay.io/medik8s/self-node-remediation-operator:v1", "a")},
			Nodes:     []Node{{Name: "a"}, {Name: "b"}, {Name: "c"}},
		}, []v1alpha1.Finding{{
			Object: "infra/DaemonSet/kured", Nodes: []string{"a"}, Message: "kured may reboot the node when an update asks for it",
			Evidence: []string{"infra/DaemonSet/kured runs it; nodes that it isn't told to leave alone: a"},
			Hint:     `kubectl annotate -n infra daemonset/kured weave.works/kured-node-lock='{"nodeID":"manual"}'; remove the annotation after the switch`,
		}}},
		{"no node is known", Inventory{Workloads: []Workload{running("Deployment", "ca", scales)}, ConfigMaps: status}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Options{To: v1alpha1.CRIO, From: map[string]v1alpha1.RuntimeName{"c": v1alpha1.CRIO}}
			for _, n := range []string{"a", "b", "a-too", "kept", "cp", "win"} {
				o.From[n] = v1alpha1.Containerd
			}
			for i := range c.want {
				c.want[i].ID, c.want[i].Severity = "C008", v1alpha1.SeverityWarning
			}
			have := []v1alpha1.Finding(nil)
			for _, f := range Check(&c.inv, o) {
				if f.ID == "C008" {
					f.Pods = 0
					have = append(have, f)
				}
			}
			if diff := cmp.Diff(c.want, have); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
		})
	}
}
