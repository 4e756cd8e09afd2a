package main

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func nodeName(i int) string { return fmt.Sprintf("node-%05d", i) }

// runtimeOf is the runtime of a node: most have Docker, a third has moved to containerd, and one of twenty has CRI-O.
func runtimeOf(i int) v1alpha1.RuntimeName {
	switch {
	case i%20 == 19:
		return v1alpha1.CRIO
	case i%20 > 12:
		return v1alpha1.Containerd
	}
	return v1alpha1.Docker
}

// node is one that its kubelet reports. One of the first has the address that the corpus gives a node.
func node(i int) *corev1.Node {
	name, address := nodeName(i), fmt.Sprintf("10.%d.%d.%d", i/62500, i/250%250, i%250+1)
	version, socket := "docker://28.5.2", "unix:///var/run/cri-dockerd.sock"
	switch runtimeOf(i) {
	case v1alpha1.Containerd:
		version, socket = "containerd://2.2.1", "unix:///run/containerd/containerd.sock"
	case v1alpha1.CRIO:
		version, socket = "cri-o://1.34.2", "unix:///var/run/crio/crio.sock"
	}
	resources := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("16"), corev1.ResourceMemory: resource.MustParse("65842320Ki"), corev1.ResourcePods: resource.MustParse("110"),
		corev1.ResourceEphemeralStorage: resource.MustParse("203056560Ki"), "hugepages-1Gi": resource.MustParse("0"), "hugepages-2Mi": resource.MustParse("0"),
	}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name,
		Labels: map[string]string{
			"beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux", "kubernetes.io/hostname": name,
			"node.kubernetes.io/instance-type": "m7.4xlarge", "topology.kubernetes.io/region": "eu-1", "topology.kubernetes.io/zone": fmt.Sprintf("eu-1%c", 'a'+i%3), "pool": "blue",
		},
		Annotations: map[string]string{
			"kubeadm.alpha.kubernetes.io/cri-socket": socket, "node.alpha.kubernetes.io/ttl": "300", "volumes.kubernetes.io/controller-managed-attach-detach": "true",
			"projectcalico.org/IPv4Address": address + "/16", "csi.volume.kubernetes.io/nodeid": fmt.Sprintf(`{"ebs.csi.example.org":"i-%017x"}`, i),
		},
	}}
	n.Spec = corev1.NodeSpec{PodCIDR: fmt.Sprintf("10.%d.%d.0/24", 100+i/256, i%256), PodCIDRs: []string{fmt.Sprintf("10.%d.%d.0/24", 100+i/256, i%256)}, ProviderID: fmt.Sprintf("cloud:///eu-1/i-%017x", i)}
	n.Status = corev1.NodeStatus{
		Capacity: resources, Allocatable: resources, Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}, {Type: corev1.NodeHostName, Address: name}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: 10250}},
		NodeInfo: corev1.NodeSystemInfo{
			MachineID: fmt.Sprintf("%032x", i), SystemUUID: fmt.Sprintf("%032x", i), BootID: fmt.Sprintf("%032x", i), KernelVersion: "6.12.48-cloud-amd64", OSImage: "Debian GNU/Linux 13 (trixie)",
			ContainerRuntimeVersion: version, KubeletVersion: "v1.34.4", OperatingSystem: "linux", Architecture: "amd64",
		},
	}
	now := metav1.NewTime(time.Now())
	for _, c := range []struct{ kind, status, reason, message string }{
		{"MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"},
		{"DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"},
		{"PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"},
		{"Ready", "True", "KubeletReady", "kubelet is posting ready status"},
	} {
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{
			Type: corev1.NodeConditionType(c.kind), Status: corev1.ConditionStatus(c.status), Reason: c.reason, Message: c.message, LastHeartbeatTime: now, LastTransitionTime: now,
		})
	}
	const images = 20
	for k := range images {
		repository := fmt.Sprintf("registry.example.org/team-%d/app-%d", (i+k)%teams, i*images+k)
		n.Status.Images = append(n.Status.Images, corev1.ContainerImage{
			Names: []string{repository + "@sha256:" + strings.Repeat(fmt.Sprintf("%08x", i+k), 8), fmt.Sprintf("%s:v1.%d.0", repository, k)}, SizeBytes: int64(100_000_000 - k),
		})
	}
	return n
}
