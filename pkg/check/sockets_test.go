package check_test

import (
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// What stands at a socket's path is told, and what becomes of it.
func TestSocketPathsTell(t *testing.T) {
	for _, c := range []struct {
		blocked    v1alpha1.BlockedSocket
		says, hint string
	}{
		{v1alpha1.BlockedSocket{Type: v1alpha1.Directory}, "an empty directory stands at /run/crio/crio.sock, where CRI-O makes a socket: CRI-O would not start", "the switch removes it"},
		{v1alpha1.BlockedSocket{Type: v1alpha1.Directory, Entries: 1}, "a directory with 1 entry stands", "the switch moves it aside"},
		{v1alpha1.BlockedSocket{Type: v1alpha1.Directory, Entries: 3}, "a directory with 3 entries stands", "the switch moves it aside"},
		{v1alpha1.BlockedSocket{Type: v1alpha1.Regular}, "a file stands", "the switch moves it aside"},
		{v1alpha1.BlockedSocket{Type: v1alpha1.Symlink}, "a symbolic link that leads to no socket stands", "the switch moves it aside"},
		{v1alpha1.BlockedSocket{Type: "other"}, "something that is no socket stands", "the switch moves it aside"},
	} {
		f := gather(t, layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO}})
		disk(f, 200*gib, 20*gib)
		c.blocked.Path = "/run/crio/crio.sock"
		runtimeOf(f, v1alpha1.CRIO).Blocked = []v1alpha1.BlockedSocket{c.blocked}
		v, err := kubelet.Analyze(f)
		if err != nil {
			t.Fatal(err)
		}
		got := check.Switch(f, v, v1alpha1.CRIO)
		if len(got) != 1 || !strings.Contains(got[0].Message, c.says) || !strings.HasPrefix(got[0].Hint, c.hint) {
			t.Errorf("%+v: %+v", c.blocked, got)
		}
	}
}
