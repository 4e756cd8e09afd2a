package facts_test

import (
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
)

// TestReplacedPrograms upgrades programs under their processes.
func TestReplacedPrograms(t *testing.T) {
	for _, c := range []struct {
		name                string
		upgrade             func(n *hosttest.Node)
		containerd, kubelet bool
	}{
		{name: "nothing"},
		{name: "containerd", upgrade: func(n *hosttest.Node) { n.Install(hosttest.Containerd("2.3.0")) }, containerd: true},
		{name: "the kubelet", upgrade: func(n *hosttest.Node) { n.Install(hosttest.Kubelet("/usr/bin/kubelet", "1.35.0")) }, kubelet: true},
		{name: "what rests", upgrade: func(n *hosttest.Node) { n.Install(hosttest.CRIO("1.35.0")) }},
		{name: "removed", upgrade: func(n *hosttest.Node) { n.Remove("/usr/bin/containerd") }, containerd: true},
		{name: "a link that leads to another version", upgrade: func(n *hosttest.Node) {
			other := hosttest.Kubelet("/opt/kubelet-1.35/kubelet", "1.35.0")
			n.Install(other)
			n.Remove("/usr/bin/kubelet")
			n.Link("/usr/bin/kubelet", "/opt/kubelet-1.35/kubelet")
		}, kubelet: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO}}.Build()
			if c.upgrade != nil {
				c.upgrade(n)
			}
			f := gather(t, n)
			if got := f.Runtime(v1alpha1.Containerd).Processes; len(got) != 1 || got[0].Replaced != c.containerd {
				t.Errorf("containerd: %+v", got)
			}
			if f.Kubelet.Replaced != c.kubelet {
				t.Errorf("kubelet: %+v", f.Kubelet)
			}
		})
	}
}
