package host

import (
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func TestInPod(t *testing.T) {
	id := strings.Repeat("0a", 32)
	other := strings.Repeat("1b", 32)
	for _, c := range []struct {
		name, path, init string
		want             bool
	}{
		{"cgroupfs driver", "/kubepods/burstable/podabc/" + id, "/init.scope", true},
		{"systemd driver", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podabc.slice/cri-containerd-" + id + ".scope", "/init.scope", true},
		{"guaranteed pod", "/kubepods.slice/kubepods-podabc.slice/crio-" + id + ".scope", "/", true},
		{"below a root of its own, systemd", "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod1.slice/x.scope", "/init.scope", true},
		{"below a root of its own, cgroupfs", "/kubelet/kubepods/pod1/" + id, "/init.scope", true},
		{"a node in a container, groups not private", "/docker/" + id + "/kubelet/kubepods/pod1/" + other, "/docker/" + id + "/init.scope", true},
		{"groups nested twice", "/docker/" + id + "/docker/" + id + "/kubelet/kubepods/pod1", "/docker/" + id, true},
		{"another node in a container", "/docker/" + id + "/kubelet/kubepods/pod1/" + other, "/init.scope", false},
		{"another node in a scope", "/system.slice/docker-" + id + ".scope/kubelet.slice/kubelet-kubepods.slice/x", "/init.scope", false},
		{"a pod's own cluster", "/kubepods/pod1/" + id + "/kubepods/pod2/" + other, "/init.scope", true},
		{"a node in LXC beside this one", "/lxc.payload.node2/kubepods/burstable/podabc/" + id, "/init.scope", false},
		{"the same, of an old release", "/lxc/node2/kubepods/burstable/podabc/" + id, "/init.scope", false},
		{"a node in nspawn", "/machine.slice/machine-node2.scope/payload/kubepods.slice/kubepods-podabc.slice/crio-" + id + ".scope", "/init.scope", false},
		{"this node in LXC, groups not private", "/lxc.payload.node1/kubepods/burstable/podabc/" + id, "/lxc.payload.node1/init.scope", true},
		{"this node in nspawn", "/machine.slice/machine-node1.scope/payload/kubepods/podabc", "/machine.slice/machine-node1.scope/payload/init.scope", true},
		{"a service", "/system.slice/kubelet.service", "/init.scope", false},
		{"a docker container", "/docker/" + id, "/init.scope", false},
		{"a name that looks alike", "/system.slice/mykubepods.service", "/init.scope", false},
		{"root", "/", "/", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := inPod(c.path, c.init); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestMonitors(t *testing.T) {
	for _, c := range []struct {
		name, exe, argv string
		want            bool
	}{
		{"shim of a pod", "/usr/bin/containerd-shim-runc-v2", "-namespace k8s.io -id 1 -address /run/containerd/containerd.sock", true},
		{"shim of 1.4", "/usr/bin/containerd-shim", "-namespace k8s.io -workdir /x", true},
		{"shim, flag with two dashes", "/usr/bin/containerd-shim-runc-v2", "--namespace=k8s.io", true},
		{"shim of docker", "/usr/bin/containerd-shim-runc-v2", "-namespace moby -id k8s.io", false},
		{"conmon of CRI-O", "/usr/bin/conmon", "-b /run/containers/storage/overlay-containers/1/userdata -c 1 --exit-dir /var/run/crio/exits --socket-dir-path /var/run/crio", true},
		{"conmon of CRI-O, other directories", "/usr/libexec/crio/conmon", "-b /run/containers/storage/overlay-containers/1/userdata -c 1 --exit-dir /x", true},
		{"conmon of podman", "/usr/bin/conmon", "--api-version 1 -c 1 -b /var/lib/containers/storage/overlay-containers/1/userdata --exit-dir /run/libpod/exits --exit-command /usr/bin/podman", false},
		{"another program", "/usr/bin/sleep", "-namespace k8s.io", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := v1alpha1.Process{Exe: c.exe, Argv: append([]string{c.exe}, strings.Fields(c.argv)...)}
			if got := monitors(p); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestUnitOf(t *testing.T) {
	for want, groups := range map[string]map[string]string{
		"kubelet.service":     {"name=systemd": "/kubelet.slice/kubelet.service", "memory": "/x.service"},
		"containerd.service":  {"": "/system.slice/containerd.service"},
		"crio-conmon-1.scope": {"": "/system.slice/crio-conmon-1.scope"},
		"":                    {"": "/", "name=systemd": "/user.slice"},
	} {
		if got := unitOf(groups); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestPodMount(t *testing.T) {
	id := strings.Repeat("0a", 32)
	for _, c := range []struct {
		runtime v1alpha1.RuntimeName
		point   string
		want    bool
	}{
		{v1alpha1.Containerd, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" + id + "/rootfs", true},
		{v1alpha1.Containerd, "/data/state/io.containerd.runtime.v2.task/k8s.io/" + id + "/rootfs", true},
		{v1alpha1.Containerd, "/run/containerd/io.containerd.runtime.v2.task/moby/" + id + "/rootfs", false},
		{v1alpha1.Containerd, "/run/containerd/io.containerd.grpc.v1.cri/sandboxes/" + id + "/shm", true},
		{v1alpha1.Containerd, "/var/lib/containerd", false},
		{v1alpha1.Containerd, "/var/lib/kubelet/pods/1/volumes/x", false},
		{v1alpha1.CRIO, "/run/containers/storage/overlay-containers/" + id + "/userdata/shm", true},
		{v1alpha1.CRIO, "/var/lib/containers/storage/overlay", false},
		{v1alpha1.CRIO, "/srv/" + id + "/merged", false},
		{v1alpha1.Docker, "/srv/overlay2/" + id + "/merged", false},
		{v1alpha1.Docker, "/var/lib/docker", false},
	} {
		if got := podMount(c.runtime, c.point); got != c.want {
			t.Errorf("%s %s: got %v", c.runtime, c.point, got)
		}
	}
}
