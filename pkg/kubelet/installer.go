package kubelet

import (
	"path"
	"slices"
	"strings"
)

// Installer names what put the kubelet on the node.
type Installer string

// The installers. The second group runs the kubelet in a way that its files don't decide, so that a switch is refused.
const (
	Kubeadm   Installer = "kubeadm"
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

// Traces of installers on disk. Their mere presence tells something.
const (
	traceKind    = "/kind/version"
	traceSealos  = "/var/run/image-cri-shim.sock"
	traceKubeKey = "/usr/local/bin/kube-scripts"
)

// trace is a sign of an installer.
type trace struct {
	installer Installer
	why       string
	found     bool
}

// installer recognises who put the kubelet on the node. Those whose kubelet doesn't follow its files come first: they
// leave files about that look like another's.
func (s source) installer(flags []flag, c command, images string) (Installer, string) {
	k := s.f.Kubelet
	value := func(name string) string { f, _ := lastFlag(flags, name); return f.value }
	exe := k.Exe
	if exe == "" && len(k.Argv) > 0 {
		exe = k.Argv[0]
	}
	base := path.Base(exe)
	suffix := func(s string) bool { return strings.Contains(k.Version, s) }
	unit := func(names ...string) bool { return slices.Contains(names, k.Unit) }
	kubeconfig := value("kubeconfig")
	for _, t := range []trace{
		{RKE2, "the kubelet's version or its process belongs to RKE2", suffix("+rke2") || unit("rke2-server.service", "rke2-agent.service") || strings.HasPrefix(exe, "/var/lib/rancher/rke2/") || strings.HasPrefix(kubeconfig, "/var/lib/rancher/rke2/")},
		{K3s, "the kubelet's version or its process belongs to k3s", suffix("+k3s") || base == "k3s" || base == "k3s-server" || base == "k3s-agent" || unit("k3s.service", "k3s-agent.service") || strings.HasPrefix(exe, "/var/lib/rancher/k3s/")},
		{K0s, "the kubelet's version or its process belongs to k0s", suffix("+k0s") || base == "k0s" || unit("k0sworker.service", "k0scontroller.service") || strings.HasPrefix(exe, "/var/lib/k0s/")},
		{MicroK8s, "the kubelet runs in the MicroK8s snap", base == "kubelite" || strings.HasPrefix(exe, "/snap/microk8s/") || strings.HasPrefix(k.Unit, "snap.microk8s.")},
		{RKE1, "the kubelet is a container of Docker", strings.HasSuffix(kubeconfig, "/kubecfg-kube-node.yaml") || strings.HasPrefix(k.Unit, "docker-") && strings.HasSuffix(k.Unit, ".scope")},
		{Minikube, "the kubelet's binary is minikube's", strings.HasPrefix(exe, "/var/lib/minikube/")},
		{Sealos, "images come through sealos' proxy", strings.Contains(images, "image-cri-shim") || s.exists(traceSealos)},
	} {
		if t.found {
			return t.installer, t.why
		}
	}
	if c.exec == "" {
		return Unknown, "no unit of systemd starts the kubelet"
	}
	extraInUnit := slices.ContainsFunc(c.defs, func(d definition) bool { return d.unit && d.variable == "KUBELET_EXTRA_ARGS" })
	kubeadmLike := slices.Contains(c.uses, "KUBELET_KUBEADM_ARGS") && slices.Contains(c.envFiles, kubeadmFlags)
	for _, t := range []trace{
		{Kind, traceKind, kubeadmLike && s.exists(traceKind)},
		{Kubespray, c.exec + " reads " + kubesprayEnv, slices.Contains(c.envFiles, kubesprayEnv) && slices.Contains(c.uses, "KUBELET_ARGS")},
		{Kubeasz, "kubeasz' kubeconfig or binary", strings.HasPrefix(exe, "/opt/kube/bin/") || kubeconfig == "/etc/kubernetes/kubelet.kubeconfig"},
		{KubeKey, "the drop-in sets KUBELET_EXTRA_ARGS itself, or KubeKey's scripts are there", kubeadmLike && (extraInUnit && strings.HasPrefix(exe, "/usr/local/bin/") || s.exists(traceKubeKey))},
		{Kubeadm, c.exec + " reads " + kubeadmFlags, kubeadmLike},
	} {
		if t.found {
			return t.installer, t.why
		}
	}
	return Unknown, c.exec + " is laid out like no installer that is known"
}
