package check

import (
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// knownFlags looks at the flags that the kubelet is started with next. One that the running kubelet has is known to it,
// whatever its release.
func knownFlags(n *node) []v1alpha1.Finding {
	if n.v.Minor == 0 || !n.v.Installer.Switchable() {
		return nil
	}
	var out []v1alpha1.Finding
	seen := map[string]bool{}
	for _, f := range kubelet.PlannedFlags(n.f) {
		gone := kubelet.RemovedIn(f.Name)
		if gone == 0 || seen[f.Name] {
			continue
		}
		cleaned := n.v.Installer.UsesKubeadm() && f.File == kubelet.KubeadmFlags && kubelet.KubeadmRemoves(f.Name, gone)
		switch {
		case gone <= n.v.Minor && !kubelet.RunsWith(n.f, f.Name):
			out = append(out, shown(stop("remove it", "kubelet %s doesn't know --%s: it won't start again", n.v.Version, f.Name), place(f.File, f.Line))...)
		case gone == n.v.Minor+1 && !cleaned:
			out = append(out, shown(warn("remove it with the upgrade", "kubelet 1.%d doesn't know --%s: it won't start after an upgrade", gone, f.Name), place(f.File, f.Line))...)
		default:
			continue
		}
		seen[f.Name] = true
	}
	return out
}

// records compares what kubeadm keeps on the node with what the kubelet uses. The plan writes the new endpoint there.
func records(n *node) []v1alpha1.Finding {
	if n.from == "" || n.v.Dockershim || n.to.Name == v1alpha1.Docker && n.v.Minor < 24 {
		return nil
	}
	var out []v1alpha1.Finding
	for _, p := range n.v.Places {
		if p.Reader == kubelet.ReaderKubeadm && !kubelet.SameSocket(p.Value, n.v.Endpoint) && !kubelet.SameSocket(p.Value, n.v.ImageEndpoint) {
			out = append(out, repaired(place(p.File, p.Line), "kubeadm's record on the node names %s, the kubelet uses %s: the next upgrade would have led it there", p.Value, n.v.Endpoint)...)
		}
	}
	return out
}
