package check_test

import (
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// TestRollbackRestores: rules about the kubelet's files are asked of those that come back.
func TestRollbackRestores(t *testing.T) {
	const flags = "/var/lib/kubelet/kubeadm-flags.env"
	for _, c := range []struct {
		name     string
		now, was func(f *v1alpha1.Facts)
		want     string
	}{
		{name: "as it is"},
		{name: "a flag that the kubelet doesn't know any more", was: edited(flags, `ARGS="`, `ARGS="--network-plugin=cni `), want: "error H009"},
		{name: "one that it doesn't know now, and that goes", now: edited(flags, `ARGS="`, `ARGS="--network-plugin=cni `)},
		{name: "one that the next kubelet doesn't know", was: edited(flags, `ARGS="`, `ARGS="--pod-infra-container-image=x `)},
		{name: "cgroup v1, which was allowed", now: func(f *v1alpha1.Facts) { f.Machine.CgroupVersion, f.Kubelet.Version = 1, "1.35.0" }, was: all(
			func(f *v1alpha1.Facts) { f.Machine.CgroupVersion, f.Kubelet.Version = 1, "1.35.0" }, appended(kubeletConfig, "failCgroupV1: false\n"))},
		{
			name: "cgroup v1, which is allowed only now", now: all(func(f *v1alpha1.Facts) { f.Machine.CgroupVersion, f.Kubelet.Version = 1, "1.35.0" }, appended(kubeletConfig, "failCgroupV1: false\n")),
			was: func(f *v1alpha1.Facts) { f.Machine.CgroupVersion, f.Kubelet.Version = 1, "1.35.0" }, want: "error N006",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.CRIO, Also: []v1alpha1.RuntimeName{v1alpha1.Containerd}}
			f, was := gather(t, n), gather(t, n)
			if c.now != nil {
				c.now(f)
			}
			if c.was != nil {
				c.was(was)
			}
			v, err := kubelet.Analyze(f)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, x := range check.Rollback(f, was, v, v1alpha1.Plan{From: v1alpha1.RuntimeRef{Name: v1alpha1.Containerd, Version: "2.2.9"}}) {
				got = append(got, string(x.Severity)+" "+x.ID)
				if !strings.Contains(x.Hint, "kubectl runtime switch node1 --to=containerd") || x.Node != "node1" {
					t.Errorf("%+v", x)
				}
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
