package check_test

import (
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// process returns a runtime's running daemon.
func process(f *v1alpha1.Facts, name v1alpha1.RuntimeName, unit string) *v1alpha1.Process {
	list := runtimeOf(f, name).Processes
	for i := range list {
		if list[i].Unit == unit {
			return &list[i]
		}
	}
	return nil
}

// A package was upgraded and nothing restarted.
func TestProgramsThatRun(t *testing.T) {
	onDisk := func(name v1alpha1.RuntimeName, binary, version string) func(*v1alpha1.Facts) {
		return func(f *v1alpha1.Facts) {
			b := runtimeOf(f, name).Binaries[binary]
			b.Version = version
			runtimeOf(f, name).Binaries[binary] = b
		}
	}
	for _, c := range []struct {
		name   string
		from   v1alpha1.RuntimeName
		change func(f *v1alpha1.Facts)
		want   []string // IDs with parts of their messages
	}{
		{name: "as it was started", from: v1alpha1.Containerd},
		{name: "as CRI-O was started", from: v1alpha1.CRIO},
		{name: "as Docker was started", from: v1alpha1.Docker},
		{name: "another release of the source", from: v1alpha1.Containerd, change: onDisk(v1alpha1.Containerd, "containerd", "2.3.0"), want: []string{"R012 containerd.service", "version 2.2.9 runs and version 2.3.0 is on disk"}},
		{name: "another patch of the source", from: v1alpha1.CRIO, change: onDisk(v1alpha1.CRIO, "crio", "1.34.1"), want: []string{"R012 crio.service", "version 1.34.0 runs and version 1.34.1 is on disk"}},
		{name: "written another way", from: v1alpha1.Containerd, change: func(f *v1alpha1.Facts) { runtimeOf(f, v1alpha1.Containerd).CRI.RuntimeVersion = "v2.2.9+unknown" }},
		{name: "a version that isn't one", from: v1alpha1.Containerd, change: func(f *v1alpha1.Facts) { runtimeOf(f, v1alpha1.Containerd).CRI.RuntimeVersion = "dev" }},
		{name: "another build of the same release", from: v1alpha1.Containerd, change: func(f *v1alpha1.Facts) {
			process(f, v1alpha1.Containerd, "containerd.service").Replaced = true
		}, want: []string{"R012 containerd.service", "its file was replaced"}},
		{name: "a program that is gone", from: v1alpha1.Containerd, change: all(onDisk(v1alpha1.Containerd, "containerd", ""), func(f *v1alpha1.Facts) {
			process(f, v1alpha1.Containerd, "containerd.service").Replaced = true
		}), want: []string{"R012 containerd.service", "its file was removed"}},
		{name: "cri-dockerd's file", from: v1alpha1.Docker, change: func(f *v1alpha1.Facts) {
			process(f, v1alpha1.Docker, "cri-docker.service").Replaced = true
		}, want: []string{"R012 cri-docker.service", "its file was replaced"}},
		{name: "cri-dockerd answers with Docker's version", from: v1alpha1.Docker, change: onDisk(v1alpha1.Docker, "cri-dockerd", "0.4.1")},
		{name: "another Docker", from: v1alpha1.Docker, change: onDisk(v1alpha1.Docker, "dockerd", "28.5.9"), want: []string{"R012 docker.service", "version 28.5.2 runs and version 28.5.9 is on disk"}},
		{name: "one in a pod", from: v1alpha1.Containerd, change: func(f *v1alpha1.Facts) {
			r := runtimeOf(f, v1alpha1.Containerd)
			r.Processes = append(r.Processes, v1alpha1.Process{PID: 9, Exe: "/usr/bin/containerd", Unit: "cri-containerd-0123.scope", Replaced: true})
		}},
		{name: "the target, which runs for somebody else", from: v1alpha1.CRIO, change: func(f *v1alpha1.Facts) {
			r := runtimeOf(f, v1alpha1.Containerd)
			r.Processes = append(r.Processes, v1alpha1.Process{PID: 9, Exe: "/usr/bin/containerd", Unit: "containerd.service", Replaced: true})
		}, want: []string{"R012 containerd.service", "its file was replaced"}},
		{name: "the kubelet", from: v1alpha1.Containerd, change: func(f *v1alpha1.Facts) { f.Kubelet.Replaced = true }, want: []string{"K008 kubelet.service", "its file was replaced"}},
		{name: "a kubelet that is gone", from: v1alpha1.Containerd, change: func(f *v1alpha1.Facts) { f.Kubelet.Replaced, f.Kubelet.Version = true, "" }, want: []string{"K008 kubelet.service", "its file was removed"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := v1alpha1.CRIO
			if c.from == to {
				to = v1alpha1.Containerd
			}
			f := gather(t, layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: c.from, Also: []v1alpha1.RuntimeName{to}})
			disk(f, 200*gib, 20*gib)
			if c.change != nil {
				c.change(f)
			}
			v, err := kubelet.Analyze(f)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, x := range check.Switch(f, v, to) {
				if x.ID == "R012" || x.ID == "K008" {
					got = append(got, string(x.Severity)+" "+x.ID+" "+x.Message+" "+x.Hint)
				}
			}
			switch {
			case c.want == nil && got != nil:
				t.Errorf("got %q", got)
			case c.want != nil && (len(got) != 1 || !strings.HasPrefix(got[0], "error "+c.want[0]) || !strings.Contains(got[0], c.want[1]) || !strings.Contains(got[0], "systemctl restart ")):
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
