package facts_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
)

func TestUninterruptible(t *testing.T) {
	n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd}.Build()
	if f := gather(t, n); f.Uninterruptible != nil {
		t.Errorf("on a sound node: %+v", f.Uninterruptible)
	}
	n.Pods(hosttest.Pod{Namespace: "shop", Name: "files-0", UID: "6f1d3c52-0003", Containers: []string{"rsync"}, Uninterruptible: true})
	got := gather(t, n).Uninterruptible
	if len(got) != 1 || got[0].PID == 0 {
		t.Fatalf("%+v", got)
	}
	got[0].PID = 0
	if diff := cmp.Diff([]v1alpha1.UninterruptibleProcess{{Program: "rsync", PodUID: "6f1d3c52-0003", Pod: "shop/files-0"}}, got); diff != "" {
		t.Error(diff)
	}
}
