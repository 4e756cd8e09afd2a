// Package kubelet knows where a kubelet of any version and installer is told which container runtime to use, and how
// to tell it otherwise.
//
// It is pure: Facts go in; what to read next (Wants), what it means (Analyze) and what the files become (Retarget) come
// out.
package kubelet

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
	// Endpoint is the effective CRI endpoint, always with its scheme; empty when it can't be told. ImageEndpoint is the
	// effective image endpoint, empty when it follows Endpoint.
	Endpoint      string
	ImageEndpoint string
	// Places are all places that name an endpoint, in the order of the files, each with its reader; of the kubelet's the
	// one that wins is marked, for each key. A kubelet that is told nowhere has no kubelet place: its default counts.
	Places []Place
	// CgroupDriver is "systemd" or "cgroupfs" as configured, before the runtime overrules it.
	CgroupDriver   string
	RuntimeCgroups string
	// ConfigFile and ConfigDir are --config and --config-dir; empty when absent.
	ConfigFile string
	ConfigDir  string
	Kubeconfig string
	// Bootstrap is the kubeconfig with which it asks for a first certificate, and Rotated the file in which it renews one;
	// empty where it does neither.
	Bootstrap     string
	Rotated       string
	StaticPodPath string
	RootDir       string
	// Healthz is the URL of its health check; empty when it is off.
	Healthz string
	// Listens are the addresses and ports beside that, without which it doesn't start; none where it is told nothing of them.
	Listens []string
	// ControlPlane: the static pod of an API server is on the node.
	ControlPlane bool
	// Kubeadm is the version of the kubeadm binary on the node, without "v"; empty when there is none or it couldn't be
	// asked. KubeadmMinor is its minor; the kubelet's, where the binary is missing.
	Kubeadm      string
	KubeadmMinor int
	// Problems are what couldn't be understood of a switchable installer's files. Drift are the flags by which the
	// running kubelet differs from what its unit would start now. Retarget refuses both.
	Problems []string
	Drift    []string
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

// The files that tools other than the kubelet keep the endpoint in, and where packages let an operator add flags.
const (
	kubeadmFlags   = "/var/lib/kubelet/kubeadm-flags.env"
	kubeadmConfig  = "/var/lib/kubelet/config.yaml"
	instanceConfig = "/var/lib/kubelet/instance-config.yaml"
	crictlConfig   = "/etc/crictl.yaml"
	kubesprayEnv   = "/etc/kubernetes/kubelet.env"
	defaultEnv     = "/etc/default/kubelet"
	sysconfigEnv   = "/etc/sysconfig/kubelet"
)

// The flags and fields that name endpoints.
const (
	flagRuntime  = "container-runtime"
	flagEndpoint = "container-runtime-endpoint"
	flagImage    = "image-service-endpoint"
	flagCgroups  = "runtime-cgroups"
	flagNetwork  = "network-plugin"

	fieldEndpoint = "containerRuntimeEndpoint"
	fieldImage    = "imageServiceEndpoint"
)

// The endpoints that a kubelet uses untold, and the one text by which kubelets up to 1.28 recognise CRI-O.
const (
	dockershimEndpoint = "unix:///var/run/dockershim.sock"
	defaultEndpoint    = "unix:///run/containerd/containerd.sock"
	crioEndpoint       = "unix:///var/run/crio/crio.sock"
)
