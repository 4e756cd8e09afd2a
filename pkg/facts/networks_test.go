package facts_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
)

func TestGatherNetworks(t *testing.T) {
	const dir = "/etc/cni/net.d/"
	n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Files: map[string]string{
		dir + "00-broken.conflist":    "{\"name\": \"x\",",
		dir + "05-list-in-conf.conf":  `{"name": "y", "plugins": [{"type": "bridge"}]}`,
		dir + "87-bridge.conf":        `{"name": "podman", "type": "bridge", "token": "Hush-Hush-42"}`,
		dir + "calico-kubeconfig":     "users: []\n",
		dir + "90-none.conflist":      `{"name": "z"}`,
		dir + "99-of-nobody.conf.bak": "x",
	}}.Build()
	n.Dir(dir+"10-calico.conf", 0o755)
	n.Link(dir+"95-gone.conf", "/nowhere")
	f := gather(t, n)
	var broken, untyped string
	for i := range f.Networks {
		switch x := &f.Networks[i]; {
		case strings.HasSuffix(x.Path, "00-broken.conflist"):
			broken, x.Problem = x.Problem, ""
		case strings.HasSuffix(x.Path, "05-list-in-conf.conf"):
			untyped, x.Problem = x.Problem, ""
		}
	}
	want := []v1alpha1.Network{
		{Path: dir + "00-broken.conflist"},
		{Path: dir + "05-list-in-conf.conf", Name: "y"},
		{Path: dir + "10-calico.conflist", Name: "k8s-pod-network", Plugins: []string{"calico", "portmap", "bandwidth"}},
		{Path: dir + "87-bridge.conf", Name: "podman", Plugins: []string{"bridge"}},
		{Path: dir + "90-none.conflist", Name: "z"},
	}
	if diff := cmp.Diff(want, f.Networks); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(broken, "JSON") || !strings.Contains(untyped, "type") {
		t.Errorf("%q, %q", broken, untyped)
	}
	if len(f.Problems) > 0 {
		t.Errorf("%q", f.Problems)
	}
}

// A store that was moved lies on a file system of its own.
func TestGatherMovedStore(t *testing.T) {
	n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.Docker}, Files: map[string]string{
		"/etc/docker/daemon.json": `{"data-root": "/data/docker"}`,
	}}.Build()
	n.SetFilesystem("/data", v1alpha1.Filesystem{Device: "8:17", Type: "xfs", Bytes: 1 << 40, NoFileTypes: true})
	for _, fs := range gather(t, n).Filesystems {
		if fs.Path == "/data/docker" && fs.Device == "8:17" && fs.NoFileTypes {
			return
		}
	}
	t.Error("the store's file system wasn't looked at")
}

func TestGatherDeprecations(t *testing.T) {
	n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd}.Build()
	want := []v1alpha1.Deprecation{{ID: "io.containerd.deprecation/cgroup-v1", Message: "it will go"}}
	n.Announce(v1alpha1.Containerd, want...)
	if diff := cmp.Diff(want, gather(t, n).Runtime(v1alpha1.Containerd).Deprecations); diff != "" {
		t.Error(diff)
	}
}
