package check_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

func TestUninterruptible(t *testing.T) {
	f := gather(t, layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO}})
	disk(f, 200*gib, 20*gib)
	f.Uninterruptible = []v1alpha1.UninterruptibleProcess{
		{PID: 7, Program: "cp", PodUID: "u1", Pod: "shop/web"},
		{PID: 8, Program: "rsync", PodUID: "u1", Pod: "shop/web"},
		{PID: 9, Program: "java", PodUID: "u2"},
		{PID: 10, Program: "containerd-shim"},
	}
	v, err := kubelet.Analyze(f)
	if err != nil {
		t.Fatal(err)
	}
	var got [][]string
	for _, x := range check.Switch(f, v, v1alpha1.CRIO) {
		got = append(got, append([]string{string(x.Severity) + " " + x.ID, x.Message}, x.Evidence...))
	}
	const waits = "waits in the kernel (state D), where no signal reaches it"
	want := [][]string{
		{"error N008", "a container's monitor can't be ended: process 10 (containerd-shim) " + waits, "process 10 (containerd-shim)"},
		{"error N008", "pod shop/web can't be ended: process 7 (cp) and 1 more " + waits, "process 7 (cp)", "process 8 (rsync)"},
		{"error N008", "pod u2 can't be ended: process 9 (java) " + waits, "process 9 (java)"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
