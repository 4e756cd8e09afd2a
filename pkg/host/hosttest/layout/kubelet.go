package layout

import (
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
)

// endpoint is what this node's installer calls the runtime.
func (b *builder) endpoint() string {
	if b.Installer == Kind && b.Runtime == v1alpha1.Containerd {
		return "unix:///run/containerd/containerd.sock"
	}
	path := map[v1alpha1.RuntimeName]string{
		v1alpha1.Containerd: "/var/run/containerd/containerd.sock",
		v1alpha1.CRIO:       "/var/run/crio/crio.sock",
		v1alpha1.Docker:     "/var/run/cri-dockerd.sock",
	}[b.Runtime]
	if b.minor() <= 23 {
		return path
	}
	return "unix://" + path
}

// service is the unit of the runtime's daemon, without its suffix.
func (b *builder) service() string {
	return map[v1alpha1.RuntimeName]string{v1alpha1.Containerd: "containerd", v1alpha1.CRIO: "crio", v1alpha1.Docker: "docker"}[b.Runtime]
}

func (b *builder) dockershim() bool { return b.Runtime == v1alpha1.Docker && b.minor() <= 23 }

// kubelet lays out the kubelet of an installer.
func (b *builder) kubelet() {
	b.write("/etc/kubernetes/kubelet.conf", kubeconfig)
	b.m.Dir("/etc/kubernetes/manifests", 0o755)
	if b.ControlPlane {
		b.write("/etc/kubernetes/manifests/kube-apiserver.yaml", apiServer)
	}
	binary := "/usr/bin/kubelet"
	switch b.Installer {
	case Kubespray:
		binary = "/usr/local/bin/kubelet"
		b.kubespray()
	case KubeKey:
		binary = "/usr/local/bin/kubelet"
		b.kubeadm("/etc/systemd/system/kubelet.service", "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", kubekeyDropIn(b.minor()))
		b.write("/etc/systemd/system/kubelet.service", strings.ReplaceAll(kubeletUnit, "/usr/bin/kubelet", binary))
	case KubeadmOld:
		b.kubeadm("/lib/systemd/system/kubelet.service", "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf", kubeadmDropIn)
		b.write("/usr/lib/systemd/system/kubelet.service", kubeletUnit)
	default:
		b.kubeadm("/usr/lib/systemd/system/kubelet.service", "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf", kubeadmDropIn)
		b.write("/usr/lib/systemd/system/kubelet.service", kubeletUnit)
	}
	b.m.Install(hosttest.Kubelet(binary, b.Kubelet))
	kubeadm := hosttest.Program{Path: strings.TrimSuffix(binary, "kubelet") + "kubeadm", Version: b.Kubelet}
	kubeadm.Output = func([]string, []string) (string, error) { return "v" + b.Kubelet + "\n", nil }
	b.m.Install(kubeadm)
}

// kubeadm lays out what kubeadm and its packages write.
func (b *builder) kubeadm(fragment, dropInPath, dropIn string) {
	b.enable("kubelet.service", fragment, "multi-user.target")
	b.write(dropInPath, dropIn)
	b.write("/var/lib/kubelet/kubeadm-flags.env", b.flagsEnv())
	b.write("/var/lib/kubelet/config.yaml", b.kubeletConfig("/etc/kubernetes/pki/ca.crt"))
	if b.minor() >= 34 {
		b.write("/var/lib/kubelet/instance-config.yaml", "containerRuntimeEndpoint: \""+b.endpoint()+"\"\n")
	}
	switch b.Installer {
	case KubeadmOld:
		b.write("/etc/default/kubelet", "# Managed by ansible (role k8s-node): edits are overwritten.\nKUBELET_EXTRA_ARGS=\"--node-ip=10.20.0.11 --v=2\"\n")
	case Kind:
		b.write("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--runtime-cgroups=/system.slice/"+b.service()+".service\n")
	case KubeadmNew:
		b.write("/etc/default/kubelet", "KUBELET_EXTRA_ARGS=\n")
	}
	if b.Installer == KubeKey || b.minor() < 32 {
		b.crictl(b.endpoint())
	}
}

// crictl lays out crictl's file: as an operator wrote it by hand or as installers do.
func (b *builder) crictl(endpoint string) {
	if !strings.Contains(endpoint, "://") {
		endpoint = "unix://" + endpoint
	}
	if b.dockershim() {
		endpoint = "unix:///var/run/dockershim.sock"
	}
	text := "runtime-endpoint: " + endpoint + "\nimage-endpoint: " + endpoint + "\ntimeout: 30\ndebug: false\n"
	if b.Installer == KubeadmOld {
		text = "# crictl talks to the node's runtime; ask the platform team before changing it\nruntime-endpoint: " + endpoint + "\n\n# pulls of big images take long here\ntimeout: 120\n"
	}
	b.write("/etc/crictl.yaml", text)
}

// flagsEnv is kubeadm-flags.env as that kubeadm writes it.
func (b *builder) flagsEnv() string {
	pause := "--pod-infra-container-image=" + b.pauseImage()
	var args []string
	switch minor := b.minor(); {
	case b.dockershim():
		args = []string{"--network-plugin=cni", pause}
	case minor == 20:
		args = []string{"--container-runtime=remote", "--container-runtime-endpoint=" + b.endpoint()}
	case minor <= 25:
		args = []string{"--container-runtime=remote", "--container-runtime-endpoint=" + b.endpoint(), pause}
	case minor <= 33:
		args = []string{"--container-runtime-endpoint=" + b.endpoint(), pause}
	case minor == 34:
		args = []string{pause}
	}
	if b.Installer == Kind {
		args = append(args, "--node-ip=172.18.0.3", "--provider-id=kind://docker/kind/kind-worker")
	}
	return "KUBELET_KUBEADM_ARGS=\"" + strings.Join(args, " ") + "\"\n"
}

// kubeletConfig is a KubeletConfiguration as kubeadm and kubespray write it, with an operator's additions.
func (b *builder) kubeletConfig(ca string) string {
	endpoint := ""
	switch minor := b.minor(); {
	case minor >= 34, b.Installer == Kubespray && minor >= 31:
		endpoint = "containerRuntimeEndpoint: " + b.endpoint() + "\n"
	case minor >= 27 && b.Installer != Kubespray:
		endpoint = "containerRuntimeEndpoint: \"\"\n"
	}
	return strings.NewReplacer("@CA@", ca, "@ENDPOINT@\n", endpoint).Replace(kubeletConfiguration)
}

// kubespray lays out what its playbooks write: an environment file and a configuration, in which newer ones name the
// endpoint.
func (b *builder) kubespray() {
	minor := b.minor()
	service := b.service()
	wants := "Wants=" + service + ".service"
	if b.Runtime == v1alpha1.Docker {
		wants = "Wants=docker.socket"
	}
	b.write("/etc/systemd/system/kubelet.service", strings.NewReplacer("@SERVICE@", service, "@WANTS@", wants).Replace(kubesprayUnit))
	b.enable("kubelet.service", "/etc/systemd/system/kubelet.service", "multi-user.target")
	args := []string{"--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf", "--config=/etc/kubernetes/kubelet-config.yaml", "--kubeconfig=/etc/kubernetes/kubelet.conf"}
	if minor <= 23 {
		args = append(args, "--pod-infra-container-image="+b.pauseImage())
	}
	if !b.dockershim() {
		if minor <= 24 {
			args = append(args, "--container-runtime=remote")
		}
		if minor <= 30 {
			args = append(args, "--container-runtime-endpoint=unix://"+strings.TrimPrefix(b.endpoint(), "unix://"))
		}
	}
	args = append(args, "--runtime-cgroups=/system.slice/"+service+".service")
	env := "KUBE_LOG_LEVEL=\"--v=2\"\nKUBELET_ADDRESS=\"--node-ip=10.20.0.11\"\nKUBELET_HOSTNAME=\"--hostname-override=node1\"\n\n" +
		"KUBELET_ARGS=\"" + strings.Join(args, " \\\n") + " \\\n \"\n"
	if minor <= 23 {
		env = "KUBE_LOGTOSTDERR=\"--logtostderr=true\"\n" + env
		if b.dockershim() {
			env += "KUBELET_NETWORK_PLUGIN=\"--network-plugin=cni --cni-conf-dir=/etc/cni/net.d --cni-bin-dir=/opt/cni/bin\"\n"
		}
	}
	env += "KUBELET_CLOUDPROVIDER=\"\"\n\nPATH=/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
	b.write("/etc/kubernetes/kubelet.env", env)
	b.write("/etc/kubernetes/kubelet-config.yaml", b.kubeletConfig("/etc/kubernetes/ssl/ca.crt"))
	b.crictl(b.endpoint())
}
