// Package layout builds nodes in memory as installers and operators leave them: files, units, processes and CRI
// answers for every kubelet generation, installer and runtime that the product knows. Tests of plan, facts and the
// agent share it.
package layout

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
)

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
	// Files are laid over what the layout has: contents by path. A path with an empty content isn't laid out at all.
	Files map[string]string
	// ControlPlane gives it the static pods of a control plane.
	ControlPlane bool
}

// Build returns the machine, booted, with its pods running.
func (n Node) Build() *hosttest.Node {
	m := hosttest.New()
	b := &builder{Node: n, m: m, files: map[string]string{}, release: releaseOf(n.Kubelet)}
	if b.minor() >= 35 || n.Installer == Kind {
		m.Info.OSVersion, m.Info.SystemdVersion = "13", 257
	}
	b.kubelet()
	for _, r := range append([]v1alpha1.RuntimeName{n.Runtime}, n.Also...) {
		b.runtime(r, r == n.Runtime)
	}
	b.system()
	maps.Copy(b.files, n.Files)
	for _, name := range slices.Sorted(maps.Keys(b.files)) {
		if content := b.files[name]; content != "" {
			m.Write(name, content)
		}
	}
	for _, r := range []v1alpha1.RuntimeName{v1alpha1.Containerd, v1alpha1.CRIO, v1alpha1.Docker} {
		if r == n.Runtime {
			m.Images(r, b.images()...)
		}
	}
	m.Boot()
	b.kernel()
	m.Pods(
		hosttest.Pod{Namespace: "kube-system", Name: "kube-proxy-x7k2p", UID: "6f1d3c52-0001", Containers: []string{"kube-proxy"}, Grace: 30},
		hosttest.Pod{Namespace: "shop", Name: "web-5d9c7-2xq8z", UID: "6f1d3c52-0002", Containers: []string{"web", "sidecar"}, Grace: 5},
	)
	return m
}

// builder collects the files of a node.
type builder struct {
	Node
	release
	m     *hosttest.Node
	files map[string]string
}

func (b *builder) minor() int { return minorOf(b.Kubelet) }

// minorOf returns the second number of a version.
func minorOf(version string) int {
	parts := strings.Split(version, ".")
	if len(parts) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(parts[1])
	return n
}

func (b *builder) write(name, content string) { b.files[name] = content }

// release are the versions of the parts that go with a kubelet.
type release struct {
	containerd, crio, docker, criDockerd string
	// pause is the sandbox image that this release's installers write down.
	pause string
}

func releaseOf(kubelet string) release {
	switch minor := minorOf(kubelet); {
	case minor <= 20:
		return release{"1.4.13", "1.20.9", "20.10.24", "0.3.4", "k8s.gcr.io/pause:3.2"}
	case minor <= 23:
		return release{"1.5.18", "1.23.5", "20.10.24", "0.3.4", "registry.k8s.io/pause:3.6"}
	case minor == 24:
		return release{"1.6.20~ds1", "1.24.6", "20.10.24", "0.2.6", "registry.k8s.io/pause:3.7"}
	case minor <= 26:
		return release{"1.6.38", "1.26.4", "24.0.9", "0.3.4", "registry.k8s.io/pause:3.9"}
	case minor <= 27:
		return release{"1.7.28", "1.27.8", "24.0.9", "0.3.10", "registry.k8s.io/pause:3.9"}
	case minor <= 31:
		return release{"1.7.28", "1.31.13", "27.5.1", "0.3.16", "registry.k8s.io/pause:3.10"}
	case minor <= 34:
		return release{"2.2.9", "1.34.0", "28.5.2", "0.4.0", "registry.k8s.io/pause:3.10.1"}
	case minor <= 36:
		return release{"2.2.9", "1.35.0", "28.5.2", "0.4.2", "registry.k8s.io/pause:3.10.1"}
	}
	return release{"2.4.2", "1.36.3", "28.5.2", "0.4.3", "registry.k8s.io/pause:3.10.2"}
}

// images are what the running runtime's store holds.
func (b *builder) images() []v1alpha1.Image {
	mib := int64(1 << 20)
	list := []v1alpha1.Image{
		{ID: "sha256:0001", Tags: []string{b.pauseImage()}, Bytes: mib / 2},
		{ID: "sha256:0002", Tags: []string{"registry.k8s.io/kube-proxy:v" + b.Kubelet}, Bytes: 35 * mib},
		{ID: "sha256:0003", Tags: []string{"harbor.corp.example/shop/web:2025.11.3"}, Bytes: 240 * mib},
	}
	return list
}

// pauseImage is the sandbox image that the running runtime uses.
func (b *builder) pauseImage() string {
	if b.Installer == KubeKey {
		return "harbor.corp.example/kubesphereio/pause:" + b.pause[strings.LastIndex(b.pause, ":")+1:]
	}
	return b.pause
}

// system lays out what belongs to no runtime: modules, parameters, network.
func (b *builder) system() {
	b.m.Dir("/usr/lib/modules-load.d", 0o755)
	b.m.Dir("/usr/lib/sysctl.d", 0o755)
	for _, plugin := range []string{"bandwidth", "bridge", "calico", "calico-ipam", "host-local", "loopback", "portmap", "tuning"} {
		b.m.Lay(hosttest.File{Path: "/opt/cni/bin/" + plugin, Content: "\x7fELF " + plugin, Mode: 0o755})
	}
	b.write("/etc/cni/net.d/10-calico.conflist", `{"name": "k8s-pod-network", "cniVersion": "0.3.1", "plugins": [{"type": "calico"}, {"type": "portmap"}, {"type": "bandwidth"}]}`+"\n")
	b.write("/etc/sysctl.conf", "# Kernel parameters; see /etc/sysctl.d.\n#net.ipv4.ip_forward=1\n")
	if b.Runtime == v1alpha1.Docker {
		// Docker sets these itself at each start; nobody wrote them down.
		return
	}
	name := map[Installer]string{KubeKey: "/etc/sysctl.d/99-kubernetes-cri.conf"}[b.Installer]
	if name == "" {
		name = "/etc/sysctl.d/k8s.conf"
	}
	b.write(name, "# node baseline, see the wiki\nnet.bridge.bridge-nf-call-iptables = 1\nnet.bridge.bridge-nf-call-ip6tables = 1\nnet.ipv4.ip_forward = 1\n")
	b.write("/etc/modules-load.d/k8s.conf", "overlay\nbr_netfilter\n")
}

// kernel is what Docker does to it at each start, and what a cluster on Docker needs, without any file saying so.
func (b *builder) kernel() {
	k := b.m.Machine().Kernel
	for _, module := range []string{"overlay", "br_netfilter"} {
		if err := k.LoadModule(context.Background(), module); err != nil {
			panic(err)
		}
	}
	for _, name := range []string{"net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables", "net.ipv4.ip_forward"} {
		if err := k.SetSysctl(name, "1"); err != nil {
			panic(err)
		}
	}
}

func (b *builder) runtime(name v1alpha1.RuntimeName, serves bool) {
	switch name {
	case v1alpha1.Containerd:
		b.containerdNode(serves)
	case v1alpha1.CRIO:
		b.crioNode(serves)
	case v1alpha1.Docker:
		b.dockerNode(serves)
	default:
		panic(fmt.Sprintf("layout: no runtime %q", name))
	}
}

// enable makes the link that systemctl enable makes.
func (b *builder) enable(unit, fragment, target string) {
	b.m.Link("/etc/systemd/system/"+target+".wants/"+unit, fragment)
}
