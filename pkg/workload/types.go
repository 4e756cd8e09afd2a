// Package workload holds the rules that say which workloads and which settings of a cluster depend on a container
// runtime, judged from API objects alone. Each has a stable ID.
//
// The package is pure: it may import apis, runtimes and the types of the Kubernetes API, and reaches no cluster.
package workload

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// IgnoreAnnotation suppresses findings about an object or a pod template that carries it. Its value lists IDs and a reason, as
// in "W002,W007: the agent is retired in May".
const IgnoreAnnotation = "kubectl-runtime/ignore"

// Key names an object that lives in a namespace.
type Key = types.NamespacedName

// Object is the topmost owner of pods, or another object that a finding is about.
type Object struct {
	APIVersion, Kind, Namespace, Name string
}

// String returns namespace/kind/name, or kind/name for an object without a namespace.
func (o Object) String() string {
	if o.Namespace == "" {
		return o.Kind + "/" + o.Name
	}
	return o.Namespace + "/" + o.Kind + "/" + o.Name
}

// Source is the file that an object was read from. A Line of 0 is unknown; the zero Source is the API.
type Source struct {
	File string
	Line int
}

// Placed is a live pod of a workload.
type Placed struct {
	// Name is the pod's, Node the node that it is on, empty for one that waits for a node.
	Name, Node string
	// Mirror says that the pod shows a static pod of its node.
	Mirror bool
}

// Workload is one pod template with the topmost owner that makes pods of it, or a pod that nobody owns.
type Workload struct {
	Object Object
	// Annotations are those of Object itself.
	Annotations map[string]string
	// Spec is the template's, or the pod's.
	Spec corev1.PodSpec
	// PodAnnotations and Labels are the template's, or the pod's.
	PodAnnotations, Labels map[string]string
	// Finalizers are those of the pods, or of the template.
	Finalizers []string
	// Replicas is how many pods Object asks for; nil where it doesn't say.
	Replicas *int32
	// Pods are the live ones.
	Pods   []Placed
	Source Source
	// Line returns the line of a field within the pod template, such as Line("spec", "volumes", "docker"); elements of lists are
	// named by their name, or by their index. 0 is unknown. Where Line is nil, Source.Line stands for every field.
	Line func(path ...string) int
}

// Node is what rules about the cluster need of a node.
type Node struct {
	Name string
	// RuntimeVersion is the kubelet's report, such as containerd://2.2.1.
	RuntimeVersion string
	// KubeletVersion is such as v1.34.2.
	KubeletVersion string
	// CRISocket is kubeadm's annotation kubeadm.alpha.kubernetes.io/cri-socket; empty where there is none.
	CRISocket string
	// Addresses are its IP addresses and host names.
	Addresses    []string
	ControlPlane bool
	// Windows says that the node's operating system is Windows.
	Windows bool
	// Labels and Annotations are those that Marks keeps.
	Labels, Annotations map[string]string
	// MachineAnnotations are those of the Cluster API's Machine that stands for the node, of which Marks keeps them too; empty where it
	// can't be read.
	MachineAnnotations map[string]string
}

// Webhook is one webhook of an admission configuration that is served by a Service of the cluster.
type Webhook struct {
	// Object is the ValidatingWebhookConfiguration or MutatingWebhookConfiguration.
	Object Object
	// Annotations are those of Object.
	Annotations map[string]string
	// Name is the webhook's within Object.
	Name string
	// Service is what the API server calls.
	Service Key
	// Fails says that what can't be judged is refused (failurePolicy: Fail, which is the default).
	Fails bool
	// Pods says that the creation of pods is judged.
	Pods   bool
	Source Source
}

// Inventory is everything that rules look at.
type Inventory struct {
	Workloads []Workload
	// ConfigMaps holds their data; of binary data nothing is kept.
	ConfigMaps map[Key]map[string]string
	// Volumes are the PersistentVolumes by name; only those of the types hostPath, local, nfs and csi matter, and of csi the driver.
	Volumes map[string]corev1.PersistentVolumeSource
	// Claims are the names of the PersistentVolumes that claims are bound to.
	Claims map[Key]string
	// RuntimeClasses are handlers by the class's name.
	RuntimeClasses map[string]string
	Budgets        []policyv1.PodDisruptionBudget
	Webhooks       []Webhook
	// Services are the selectors of Services, of those at least that webhooks name.
	Services map[Key]map[string]string
	// Backed are those of Services behind which a pod stands that may not be among Workloads.
	Backed map[Key]bool
	// Nodes is empty for files.
	Nodes []Node
	// Addresses are names and addresses of nodes that aren't in Nodes, as rules about the cluster don't judge them.
	Addresses []string
	// ServerVersion is the API server's, such as v1.35.1; empty for files.
	ServerVersion string
	// Sources are where objects other than workloads and webhooks were read from, such as budgets; empty for the API.
	Sources map[Object]Source
	// Unread says what could not be read, a sentence each.
	Unread []string
}

// Options narrow what is looked for.
type Options struct {
	// To is the runtime that nodes shall move to; empty stands for any other than the one they have.
	To v1alpha1.RuntimeName
	// From is the runtime that each node has now of those that take part in the move; empty where nothing is known, as for
	// files. What is on none of them is at most a warning, and a drain of other nodes isn't judged.
	From map[string]v1alpha1.RuntimeName
	// EvacuationGrace is how long pods that stay on their node may take to end at most; 0 is the most that they get without a flag.
	EvacuationGrace time.Duration
}

// EvacuationGrace is the most that pods that stay on their node get by default, if one of them asks for so much.
const EvacuationGrace = 2 * time.Minute

// Rule is one thing that is looked at.
type Rule struct {
	// ID is stable: W… about workloads, C… about the cluster.
	ID string
	// Severity is the gravest that the rule's findings have; Doc says when they are less.
	Severity v1alpha1.Severity
	// Title says in a few words what holds where the rule has nothing to say.
	Title string
	// Doc says why it matters and what to do, for the reference.
	Doc string
}
