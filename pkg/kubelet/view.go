// Package kubelet knows where a kubelet of any version and installer is told which container runtime to use, and how
// to tell it otherwise.
//
// It is pure: Facts go in; what to read next (Wants), what it means (Analyze) and what the files become (Retarget) come
// out.
package kubelet

import "github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"

// Installer names what put the kubelet on the node.
type Installer string

// The installers. The second group runs the kubelet in a way that its files don't decide, so that a switch is refused.
const (
	Kubeadm   Installer = "kubeadm" // kind is a kubeadm layout too: see Kind
	Kind      Installer = "kind"
	Kubespray Installer = "kubespray"
	KubeKey   Installer = "kubekey"
	Kubeasz   Installer = "kubeasz"

	K3s      Installer = "k3s"
	RKE2     Installer = "rke2"
	K0s      Installer = "k0s"
	RKE1     Installer = "rke1"
	MicroK8s Installer = "microk8s"
	Minikube Installer = "minikube"
	Sealos   Installer = "sealos"
	Unknown  Installer = "unknown"
)

// Switchable reports whether a kubelet of this installer follows its files.
func (i Installer) Switchable() bool {
	switch i {
	case Kubeadm, Kind, Kubespray, KubeKey, Kubeasz:
		return true
	}
	return false
}

// UsesKubeadm reports whether kubeadm keeps a record of the endpoint on nodes of this installer.
func (i Installer) UsesKubeadm() bool {
	switch i {
	case Kubeadm, Kind, Kubespray, KubeKey, Minikube, Sealos:
		return true
	}
	return false
}

// View is what a kubelet's files and process mean.
type View struct {
	// Version is the running kubelet's, without "v"; Minor its minor, 0 when it can't be read.
	Version string
	Minor   int
	// Installer is what put it there; Why says by which trace it was recognised.
	Installer Installer
	Why       string
	Unit      string
	// Dockershim: the kubelet itself serves Docker's CRI (up to 1.23).
	Dockershim bool
	// Endpoint is the effective CRI endpoint, always with its scheme; ImageEndpoint the effective image endpoint, empty
	// when it follows Endpoint.
	Endpoint      string
	ImageEndpoint string
	// Places are all places that name an endpoint, in the order of the files, each with its reader; of the kubelet's the
	// one that wins is marked. A kubelet that is told nowhere has no kubelet place: its default counts.
	Places []Place
	// CgroupDriver is "systemd" or "cgroupfs" as configured, before the runtime overrules it.
	CgroupDriver   string
	RuntimeCgroups string
	// ConfigFile and ConfigDir are --config and --config-dir; empty when absent.
	ConfigFile    string
	ConfigDir     string
	Kubeconfig    string
	StaticPodPath string
	RootDir       string
	// Healthz is the URL of its health check; empty when it is off.
	Healthz string
	// ControlPlane: the static pod of an API server is on the node.
	ControlPlane bool
	// Kubeadm is the version of the kubeadm binary on the node, without "v"; empty when there is none or it couldn't be
	// asked. KubeadmMinor is its minor; the kubelet's, where the binary is missing.
	Kubeadm      string
	KubeadmMinor int
}

// Place is one place that names an endpoint.
type Place struct {
	File string // empty: the command line of the running kubelet, not found in any file
	Line int
	// Key is the flag (with its dashes) or field; Variable the environment variable that carries the flag.
	Key      string
	Variable string
	Value    string
	Wins     bool
	Reader   Reader
}

// Reader is who reads a place.
type Reader string

// The readers.
const (
	ReaderKubelet Reader = "kubelet"
	ReaderKubeadm Reader = "kubeadm"
	ReaderCrictl  Reader = "crictl"
)

// Wants asks for what Analyze and Retarget need and facts don't hold yet. Repeated until it asks for nothing new.
func Wants(f *v1alpha1.Facts) v1alpha1.Wants { return v1alpha1.Wants{} }

// KubeadmBinaries are the paths at which a kubeadm binary may stand, in the order of preference.
func KubeadmBinaries() []string {
	return []string{"/usr/bin/kubeadm", "/usr/local/bin/kubeadm", "/opt/bin/kubeadm"}
}
