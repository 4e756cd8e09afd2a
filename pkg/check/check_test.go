package check_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/facts"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

const gib = int64(1 << 30)

// gather returns facts of a node that may be changed.
func gather(t *testing.T, n layout.Node) *v1alpha1.Facts {
	t.Helper()
	f, err := facts.Gather(context.Background(), n.Build().Machine(), "node1")
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var own v1alpha1.Facts
	if err := json.Unmarshal(b, &own); err != nil {
		t.Fatal(err)
	}
	return &own
}

func runtimeOf(f *v1alpha1.Facts, name v1alpha1.RuntimeName) *v1alpha1.RuntimeInfo {
	for i := range f.Runtimes {
		if f.Runtimes[i].Name == name {
			return &f.Runtimes[i]
		}
	}
	return nil
}

func unitOf(f *v1alpha1.Facts, name string) *v1alpha1.Unit {
	for i := range f.Units {
		if f.Units[i].Name == name {
			return &f.Units[i]
		}
	}
	return nil
}

func fileOf(f *v1alpha1.Facts, name string) *v1alpha1.File {
	for i := range f.Files {
		if f.Files[i].Path == name {
			return &f.Files[i]
		}
	}
	return nil
}

// disk gives every path one file system with that much in use.
func disk(f *v1alpha1.Facts, total, used int64) {
	for i := range f.Filesystems {
		f.Filesystems[i].Device, f.Filesystems[i].Bytes, f.Filesystems[i].FreeBytes = "8:1", total, total-used
	}
}

// blockedAt puts an empty directory where a runtime makes a socket.
func blockedAt(name v1alpha1.RuntimeName, path string) func(*v1alpha1.Facts) {
	return func(f *v1alpha1.Facts) {
		r := runtimeOf(f, name)
		r.Blocked = append(r.Blocked, v1alpha1.BlockedSocket{Path: path, Type: v1alpha1.Directory})
	}
}

func TestSwitch(t *testing.T) {
	sound := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO}}
	withDocker := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO, v1alpha1.Docker}}
	for _, tt := range []struct {
		name   string
		node   layout.Node
		to     v1alpha1.RuntimeName
		change func(f *v1alpha1.Facts)
		view   func(v *kubelet.View)
		want   string // severity and ID, sorted
	}{
		{name: "a sound node"},
		{name: "nothing to do", to: v1alpha1.Containerd, change: func(f *v1alpha1.Facts) { f.Machine.ReadOnlyUsr = true }},
		{name: "an immutable system", change: func(f *v1alpha1.Facts) { f.Machine.ReadOnlyUsr = true }, want: "error N001"},
		{name: "an immutable system by name", change: func(f *v1alpha1.Facts) { f.Machine.OSID = "flatcar" }, want: "error N001"},
		{name: "no systemd", change: func(f *v1alpha1.Facts) { f.Machine.SystemdVersion = 0 }, want: "error N001"},
		{name: "a control plane", view: func(v *kubelet.View) { v.ControlPlane = true }, want: "error N002"},
		{name: "an open run", change: func(f *v1alpha1.Facts) { f.OpenRun = &v1alpha1.Run{ID: "r-1", Phase: v1alpha1.PhaseApplied} }, want: "error N003"},
		{name: "a closed run", change: func(f *v1alpha1.Facts) { f.OpenRun = &v1alpha1.Run{ID: "r-1", Phase: v1alpha1.PhaseConfirmed} }},
		{name: "room enough", change: func(f *v1alpha1.Facts) {
			disk(f, 100*gib, 60*gib)
			runtimeOf(f, v1alpha1.Containerd).StoreBytes = 20 * gib
		}},
		{name: "images that would start garbage collection", change: func(f *v1alpha1.Facts) {
			disk(f, 100*gib, 80*gib)
			runtimeOf(f, v1alpha1.Containerd).StoreBytes = 20 * gib
			runtimeOf(f, v1alpha1.Containerd).CRI.Images[0].Bytes = 10 * gib
		}, want: "error N004"},
		{name: "images that might", change: func(f *v1alpha1.Facts) {
			disk(f, 100*gib, 80*gib)
			runtimeOf(f, v1alpha1.Containerd).StoreBytes = 20 * gib
		}, want: "warning N004"},
		{name: "a threshold that was moved", change: func(f *v1alpha1.Facts) {
			disk(f, 100*gib, 80*gib)
			runtimeOf(f, v1alpha1.Containerd).StoreBytes = 15 * gib
			x := fileOf(f, "/var/lib/kubelet/config.yaml")
			x.Content += "imageGCHighThresholdPercent: 99\nevictionHard:\n  imagefs.available: 2%\n  nodefs.available: 100Mi\n"
		}},
		{name: "SELinux", change: func(f *v1alpha1.Facts) { f.Machine.SELinux = "enforcing" }, want: "warning N005"},
		{name: "SELinux and a binary somewhere", change: func(f *v1alpha1.Facts) {
			f.Machine.SELinux = "enforcing"
			runtimeOf(f, v1alpha1.CRIO).Binaries["crio"] = v1alpha1.Binary{Path: "/opt/bin/crio", Version: "1.34.0"}
		}, want: "error N005"},
		{name: "cgroup v1 and 1.34", change: func(f *v1alpha1.Facts) { f.Machine.CgroupVersion = 1 }},
		{name: "cgroup v1 and 1.35", view: func(v *kubelet.View) { v.Minor, v.Version = 35, "1.35.4" }, change: func(f *v1alpha1.Facts) { f.Machine.CgroupVersion = 1 }, want: "error N006"},
		{name: "cgroup v1 and 1.35, allowed", view: func(v *kubelet.View) { v.Minor, v.Version = 35, "1.35.4" }, change: func(f *v1alpha1.Facts) {
			f.Machine.CgroupVersion = 1
			fileOf(f, "/var/lib/kubelet/config.yaml").Content += "failCgroupV1: false\n"
		}},
		{name: "a problem", change: func(f *v1alpha1.Facts) { f.Problems = []string{"unit x: refused"} }, want: "warning N007"},

		{name: "k3s", view: func(v *kubelet.View) { v.Installer = kubelet.K3s }, want: "error K001"},
		{name: "an unknown installer", view: func(v *kubelet.View) { v.Installer = kubelet.Unknown }, want: "error K001"},
		{name: "a kubelet older than its configuration", change: func(f *v1alpha1.Facts) {
			unitOf(f, "kubelet.service").ActiveSince = time.Now()
			fileOf(f, "/var/lib/kubelet/config.yaml").Modified = time.Now().Add(time.Hour)
		}, want: "error K003"},
		{name: "a unit file that systemd hasn't read", change: func(f *v1alpha1.Facts) { unitOf(f, "kubelet.service").NeedDaemonReload = true }, want: "error K003"},
		{name: "an endpoint that nobody knows", view: func(v *kubelet.View) { v.Endpoint = "unix:///run/isulad.sock" }, want: "error K004"},
		{name: "a target that is too old", change: func(f *v1alpha1.Facts) {
			runtimeOf(f, v1alpha1.CRIO).Binaries["crio"] = v1alpha1.Binary{Path: "/usr/bin/crio", Version: "1.36.3"}
		}, view: func(v *kubelet.View) { v.Minor, v.Version = 22, "1.22.17" }, want: "error K005, warning R009"},
		{name: "an ill kubelet", change: func(f *v1alpha1.Facts) { f.Kubelet.Healthy = false }, want: "error K006"},
		{name: "an image proxy", view: func(v *kubelet.View) { v.ImageEndpoint = "unix:///var/run/image-cri-shim.sock" }, want: "error K007"},

		{name: "no binary", change: func(f *v1alpha1.Facts) { runtimeOf(f, v1alpha1.CRIO).Binaries = nil }, want: "error R001"},
		{name: "no unit", change: func(f *v1alpha1.Facts) { unitOf(f, "crio.service").LoadState = "not-found" }, want: "error R001"},
		{name: "Docker without cri-dockerd", node: withDocker, to: v1alpha1.Docker, change: func(f *v1alpha1.Facts) { delete(runtimeOf(f, v1alpha1.Docker).Binaries, "cri-dockerd") }, want: "error R001, warning R010"},
		{name: "a masked unit", change: func(f *v1alpha1.Facts) { unitOf(f, "crio.service").LoadState = "masked" }, want: "error R002"},
		{name: "CRI-O beside", change: func(f *v1alpha1.Facts) { unitOf(f, "crio.service").ActiveState = "active" }, want: "error R003"},
		{name: "Docker beside", node: withDocker, to: v1alpha1.Docker, change: func(f *v1alpha1.Facts) { unitOf(f, "docker.service").ActiveState = "active" }, want: "warning R003, warning R010"},
		{name: "foreign containers", change: func(f *v1alpha1.Facts) {
			runtimeOf(f, v1alpha1.Containerd).Foreign = []v1alpha1.Container{{Scope: "default", Name: "db", Running: true}, {Scope: "default", Name: "old"}}
		}, want: "error R004"},
		{name: "containers of a Docker that stays", node: withDocker, change: func(f *v1alpha1.Facts) {
			unitOf(f, "docker.service").ActiveState = "active"
			runtimeOf(f, v1alpha1.Containerd).Foreign = []v1alpha1.Container{{Scope: "moby", Name: "ci", Running: true}}
		}, want: "warning R010"},
		{name: "a daemon older than its configuration", change: func(f *v1alpha1.Facts) {
			unitOf(f, "containerd.service").ActiveSince = time.Now()
			fileOf(f, "/etc/containerd/config.toml").Modified = time.Now().Add(time.Hour)
		}, want: "error R005"},
		{name: "a registry added since is read without a restart", change: func(f *v1alpha1.Facts) {
			unitOf(f, "containerd.service").ActiveSince = time.Now()
			fileOf(f, "/etc/containerd/certs.d/docker.io/hosts.toml").Modified = time.Now().Add(time.Hour)
		}},
		{name: "a daemon outside its unit", change: func(f *v1alpha1.Facts) { runtimeOf(f, v1alpha1.Containerd).Processes[0].Unit = "session-1.scope" }, want: "error R006"},
		{name: "a daemon in a pod", change: func(f *v1alpha1.Facts) {
			r := runtimeOf(f, v1alpha1.Containerd)
			r.Processes = append(r.Processes, v1alpha1.Process{PID: 9, Exe: "/usr/bin/containerd", Unit: "cri-containerd-0123.scope"}, v1alpha1.Process{PID: 10, Exe: "/usr/bin/containerd"})
		}},
		{name: "a drop-in that clears conditions", change: func(f *v1alpha1.Facts) {
			const name = "/etc/systemd/system/containerd.service.d/zzz.conf"
			unitOf(f, "containerd.service").DropIns = append(unitOf(f, "containerd.service").DropIns, name)
			f.Files = append(f.Files, v1alpha1.File{Path: name, Type: v1alpha1.Regular, Content: "[Unit]\nConditionPathExists=\n"})
		}, want: "error R006"},
		{name: "an edited KillMode", change: func(f *v1alpha1.Facts) { unitOf(f, "containerd.service").KillMode = "control-group" }, want: "warning R007"},
		{name: "a runtime that doesn't answer", change: func(f *v1alpha1.Facts) { runtimeOf(f, v1alpha1.Containerd).CRI = nil }, want: "error R008"},
		{name: "parts that don't fit", node: withDocker, to: v1alpha1.Docker, change: func(f *v1alpha1.Facts) {
			runtimeOf(f, v1alpha1.Docker).Binaries["dockerd"] = v1alpha1.Binary{Path: "/usr/bin/dockerd", Version: "20.10.24"}
		}, want: "error R009, warning R010"},
		{name: "a Docker whose images are in a containerd that rests", node: withDocker, to: v1alpha1.Docker, change: func(f *v1alpha1.Facts) {
			runtimeOf(f, v1alpha1.Docker).Binaries["dockerd"] = v1alpha1.Binary{Path: "/usr/bin/dockerd", Version: "29.3.0"}
			unitOf(f, "containerd.service").ActiveState = "inactive"
		}, want: "error R009, warning R010"},
		{name: "a Docker whose images are in a containerd that runs", node: withDocker, to: v1alpha1.Docker, change: func(f *v1alpha1.Facts) {
			runtimeOf(f, v1alpha1.Docker).Binaries["dockerd"] = v1alpha1.Binary{Path: "/usr/bin/dockerd", Version: "29.3.0"}
		}, want: "warning R010"},
		{name: "a directory at a socket of the target", change: blockedAt(v1alpha1.CRIO, "/run/crio/crio.sock"), want: "fixable R011"},
		{name: "a directory at a socket of the source", change: blockedAt(v1alpha1.Containerd, "/run/containerd/containerd.sock.ttrpc"), want: "fixable R011"},
		{name: "a directory at a socket of what takes no part", node: withDocker, change: blockedAt(v1alpha1.Docker, "/run/docker.sock"), want: "warning R011"},
		{name: "a directory at a socket of what isn't installed", change: blockedAt(v1alpha1.Docker, "/run/docker.sock")},
		{
			name: "a directory at the containerd of a Docker that is left", node: layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Docker, Also: []v1alpha1.RuntimeName{v1alpha1.Containerd, v1alpha1.CRIO}},
			change: blockedAt(v1alpha1.Containerd, "/run/containerd/containerd.sock"), want: "fixable H003, fixable H003, fixable R011",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, to := tt.node, tt.to
			if n.Kubelet == "" {
				n = sound
			}
			if to == "" {
				to = v1alpha1.CRIO
			}
			f := gather(t, n)
			disk(f, 200*gib, 20*gib)
			v, err := kubelet.Analyze(f)
			if err != nil {
				t.Fatal(err)
			}
			if tt.change != nil {
				tt.change(f)
			}
			if tt.view != nil {
				tt.view(&v)
			}
			var got []string
			for _, x := range check.Switch(f, v, to) {
				got = append(got, string(x.Severity)+" "+x.ID)
				if x.Message == "" || x.Node != "node1" {
					t.Errorf("%+v", x)
				}
				if x.Severity == v1alpha1.SeverityError && x.Hint == "" && x.ID != "K004" && x.ID != "N004" {
					t.Errorf("%s has no hint: %s", x.ID, x.Message)
				}
			}
			if s := strings.Join(got, ", "); s != tt.want {
				t.Errorf("got %q, want %q: %+v", s, tt.want, check.Switch(f, v, to))
			}
		})
	}
}

func TestList(t *testing.T) {
	var ids []string
	for _, r := range check.List() {
		if r.Title == "" || r.Doc == "" {
			t.Errorf("%s isn't documented", r.ID)
		}
		ids = append(ids, r.ID)
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Errorf("IDs aren't unique and sorted: %v", ids)
	}
}
