package facts_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
)

// TestBlockedSockets lays things where runtimes make sockets.
func TestBlockedSockets(t *testing.T) {
	all := []v1alpha1.RuntimeName{v1alpha1.Containerd, v1alpha1.CRIO, v1alpha1.Docker}
	dir := func(p string, entries int) v1alpha1.BlockedSocket {
		return v1alpha1.BlockedSocket{Path: p, Type: v1alpha1.Directory, Entries: entries}
	}
	for _, c := range []struct {
		name    string
		runtime v1alpha1.RuntimeName
		kubelet string
		files   map[string]string
		lay     func(n *hosttest.Node)
		want    map[v1alpha1.RuntimeName][]v1alpha1.BlockedSocket
	}{
		{name: "nothing", runtime: v1alpha1.Containerd},
		{name: "nothing on CRI-O", runtime: v1alpha1.CRIO},
		{name: "nothing on Docker", runtime: v1alpha1.Docker},
		{name: "directories", runtime: v1alpha1.Containerd, lay: func(n *hosttest.Node) {
			n.Dir("/run/crio/crio.sock", 0o755)
			n.Write("/run/docker.sock/a", "")
			n.Write("/run/docker.sock/b", "")
		}, want: map[v1alpha1.RuntimeName][]v1alpha1.BlockedSocket{v1alpha1.CRIO: {dir("/run/crio/crio.sock", 0)}, v1alpha1.Docker: {dir("/run/docker.sock", 2)}}},
		{name: "under CRI-O", runtime: v1alpha1.CRIO, lay: func(n *hosttest.Node) {
			n.Dir("/run/containerd/containerd.sock", 0o755)
			n.Dir("/run/containerd/containerd.sock.ttrpc", 0o755)
			n.Dir("/run/cri-dockerd.sock", 0o755)
		}, want: map[v1alpha1.RuntimeName][]v1alpha1.BlockedSocket{
			v1alpha1.Containerd: {dir("/run/containerd/containerd.sock", 0), dir("/run/containerd/containerd.sock.ttrpc", 0)},
			v1alpha1.Docker:     {dir("/run/cri-dockerd.sock", 0)},
		}},
		{name: "where it is configured", runtime: v1alpha1.Containerd, files: map[string]string{"/etc/crio/crio.conf.d/20-site.conf": "[crio.api]\nlisten = \"/run/site/crio.sock\"\n"}, lay: func(n *hosttest.Node) {
			n.Dir("/run/site/crio.sock", 0o755)
			n.Dir("/run/crio/crio.sock", 0o755)
		}, want: map[v1alpha1.RuntimeName][]v1alpha1.BlockedSocket{v1alpha1.CRIO: {dir("/run/site/crio.sock", 0)}}},
		{name: "other things", runtime: v1alpha1.Containerd, lay: func(n *hosttest.Node) {
			n.Write("/run/crio/crio.sock", "")
			n.Link("/run/docker.sock", "/run/podman/podman.sock")
		}, want: map[v1alpha1.RuntimeName][]v1alpha1.BlockedSocket{
			v1alpha1.CRIO:   {{Path: "/run/crio/crio.sock", Type: v1alpha1.Regular}},
			v1alpha1.Docker: {{Path: "/run/docker.sock", Type: v1alpha1.Symlink}},
		}},
		{name: "links", runtime: v1alpha1.Containerd, lay: func(n *hosttest.Node) {
			n.Link("/run/docker.sock", "containerd/containerd.sock") // to a socket
			n.Link("/run/crio/crio.sock", "../loop")
			n.Link("/run/loop", "crio/crio.sock")
		}, want: map[v1alpha1.RuntimeName][]v1alpha1.BlockedSocket{v1alpha1.CRIO: {{Path: "/run/crio/crio.sock", Type: v1alpha1.Symlink}}}},
		{name: "dockershim's, which nobody makes any more", runtime: v1alpha1.Containerd, lay: func(n *hosttest.Node) { n.Dir("/run/dockershim.sock", 0o755) }},
		{
			name: "dockershim's", runtime: v1alpha1.Containerd, kubelet: "1.23.17", lay: func(n *hosttest.Node) { n.Dir("/run/dockershim.sock", 0o755) },
			want: map[v1alpha1.RuntimeName][]v1alpha1.BlockedSocket{v1alpha1.Docker: {dir("/run/dockershim.sock", 0)}},
		},
		{name: "of a containerd of Docker's own, which uses the node's", runtime: v1alpha1.Containerd, lay: func(n *hosttest.Node) { n.Dir("/run/docker/containerd/containerd.sock", 0o755) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.kubelet == "" {
				c.kubelet = "1.34.4"
			}
			n := layout.Node{Kubelet: c.kubelet, Installer: layout.KubeadmNew, Runtime: c.runtime, Files: c.files}
			n.Also = slices.DeleteFunc(slices.Clone(all), func(x v1alpha1.RuntimeName) bool { return x == c.runtime })
			m := n.Build()
			if c.lay != nil {
				c.lay(m)
			}
			f := gather(t, m)
			got := map[v1alpha1.RuntimeName][]v1alpha1.BlockedSocket{}
			for _, r := range f.Runtimes {
				if r.Blocked != nil {
					got[r.Name] = r.Blocked
				}
				for _, b := range r.Blocked {
					if slices.Contains(r.Sockets, b.Path) || slices.Contains(r.Sockets, "/var"+b.Path) {
						t.Errorf("%s: %s is told as a socket", r.Name, b.Path)
					}
				}
			}
			if c.want == nil {
				c.want = map[v1alpha1.RuntimeName][]v1alpha1.BlockedSocket{}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if len(f.Problems) > 0 {
				t.Errorf("problems: %q", f.Problems)
			}
		})
	}
}
