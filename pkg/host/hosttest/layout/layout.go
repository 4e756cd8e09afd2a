// Package layout builds nodes in memory as installers and operators leave them: files, units, processes and CRI
// answers for every kubelet generation, installer and runtime that the product knows. Tests of plan, facts and the
// agent share it.
package layout

import "github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"

// Installer is how a node came to be.
type Installer string

// The installers.
const (
	KubeadmOld Installer = "kubeadm-old" // packages of apt.kubernetes.io
	KubeadmNew Installer = "kubeadm-new" // packages of pkgs.k8s.io
	Kubespray  Installer = "kubespray"
	KubeKey    Installer = "kubekey"
	Kind       Installer = "kind"
)

// Node describes a node.
type Node struct {
	// Kubelet is its version, such as "1.34.4".
	Kubelet   string
	Installer Installer
	// Runtime serves the kubelet.
	Runtime v1alpha1.RuntimeName
	// Also are the runtimes that are installed and rest.
	Also []v1alpha1.RuntimeName
	// Files are laid over what the layout has: contents by path.
	Files map[string]string
}

// Case is a node and where it is to go.
type Case struct {
	Name string
	Node Node
	To   v1alpha1.RuntimeName
	// Refused says that the combination is impossible: the plan must be refused.
	Refused bool
}

// All returns every meaningful combination.
func All() []Case { return nil }
