package ui

import (
	"errors"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

func exampleDeep() Deep {
	applied := v1alpha1.Run{
		ID: "r-81c00002", From: v1alpha1.Containerd, FromVersion: "2.2.1", To: v1alpha1.CRIO, ToVersion: "1.35.0",
		Phase: v1alpha1.PhaseApplied, By: "ana@laptop", Created: noon.Add(-40 * time.Minute), DeadlineIn: 250 * time.Second,
	}
	return Deep{
		Status: v1alpha1.NodeStatus{
			Metadata: v1alpha1.ObjectName{Name: "worker-1"}, Runtime: v1alpha1.Containerd, RuntimeVersion: "2.2.1",
			State: v1alpha1.StateSwitching, Reason: "waiting for\nthe kubelet",
		},
		View: kubelet.View{
			Installer: kubelet.Kubeadm, Why: "/var/lib/kubelet/kubeadm-flags.env", Endpoint: "unix:///run/containerd/containerd.sock",
			CgroupDriver: "systemd", ControlPlane: true,
			Places: []kubelet.Place{
				{File: "/var/lib/kubelet/kubeadm-flags.env", Line: 1, Variable: "KUBELET_KUBEADM_ARGS", Key: "--container-runtime-endpoint", Value: "unix:///run/containerd/containerd.sock", Wins: true, Reader: kubelet.ReaderKubelet},
				{File: "/var/lib/kubelet/config.yaml", Line: 12, Key: "containerRuntimeEndpoint", Value: "", Reader: kubelet.ReaderKubelet},
				{Key: "--runtime-cgroups", Value: "/x", Reader: kubelet.ReaderKubelet},
				{File: "/etc/crictl.yaml", Line: 1, Key: "runtime-endpoint", Value: "unix:///run/containerd/containerd.sock", Reader: kubelet.ReaderCrictl},
			},
		},
		Facts: &v1alpha1.Facts{
			Node: "worker-1",
			Machine: v1alpha1.MachineInfo{
				Architecture: "amd64", Kernel: "6.12.48", OSName: "Debian GNU/Linux 13 (trixie)", SystemdVersion: 257,
				CgroupVersion: 2, SELinux: "enforcing", ReadOnlyUsr: true,
			},
			Kubelet: v1alpha1.KubeletInfo{Unit: "kubelet.service", Version: "1.34.4", Healthy: true, Started: noon.Add(-80 * time.Hour)},
			Runtimes: []v1alpha1.RuntimeInfo{
				{
					Name: v1alpha1.Containerd, Binaries: map[string]v1alpha1.Binary{"containerd": {Path: "/usr/bin/containerd", Version: "2.2.1"}, "runc": {Path: "/usr/sbin/runc", Version: "1.3.3"}},
					Sockets: []string{"/run/containerd/containerd.sock"}, StorePath: "/var/lib/containerd", StoreBytes: 5 << 30,
					CRI: &v1alpha1.CRIInfo{APIVersion: "v1", RuntimeReady: true, NetworkReady: true, CgroupDriver: "systemd", Sandboxes: 12, Images: make([]v1alpha1.Image, 9)},
				},
				{Name: v1alpha1.CRIO, Binaries: map[string]v1alpha1.Binary{"crio": {Path: "/usr/bin/crio", Version: "1.35.0"}}},
				{Name: v1alpha1.Docker, Foreign: []v1alpha1.Container{{ID: "0123456789abcdef", Image: "postgres:17", Scope: "docker", Running: true}}},
			},
			Units: []v1alpha1.Unit{
				{Name: "containerd.service", LoadState: "loaded", ActiveState: "active", SubState: "running", FileState: "enabled", ActiveSince: noon.Add(-80 * time.Hour)},
				{Name: "crio.service", LoadState: "loaded", ActiveState: "inactive", SubState: "dead", FileState: "disabled", NeedDaemonReload: true},
				{Name: "docker.service", LoadState: "masked", ActiveState: "inactive", SubState: "dead"},
				{Name: "nothing.service", LoadState: "not-found"},
			},
			Filesystems: []v1alpha1.Filesystem{{Path: "/var/lib/containerd", FreeBytes: 61 << 30, Bytes: 100 << 30, FreeInodes: 6000000}},
			OpenRun:     &applied,
			Runs: []v1alpha1.Run{{
				ID: "r-7f3a0001", From: v1alpha1.Docker, FromVersion: "28.5.2", To: v1alpha1.Containerd, ToVersion: "2.2.1",
				Phase: v1alpha1.PhaseConfirmed, By: "ana@laptop", Created: noon.Add(-30 * time.Hour),
			}},
			Problems: []string{"/etc/docker/daemon.json: permission denied"},
		},
	}
}

func TestDeep(t *testing.T) {
	unknown := exampleDeep()
	unknown.View, unknown.ViewErr = kubelet.View{}, errors.New("the kubelet isn't started by systemd")
	unknown.Facts = &v1alpha1.Facts{Machine: unknown.Facts.Machine, Kubelet: v1alpha1.KubeletInfo{Version: "1.34.4"}}
	unknown.Facts.Machine.SystemdVersion = 0
	s := newScreen(false, false, false)
	s.Deep([]Deep{
		exampleDeep(),
		{Status: v1alpha1.NodeStatus{Metadata: v1alpha1.ObjectName{Name: "worker-2"}, State: v1alpha1.StateSettled}, Err: errors.New("no pod could be started")},
		unknown,
	})
	s.golden(t, "deep")
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1023: "1023", 1024: "1.0Ki", 61 << 30: "61Gi", 1536 << 20: "1.5Gi", 3 << 40: "3.0Ti"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
}
