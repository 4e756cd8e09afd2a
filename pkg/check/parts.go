package check

import (
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// parts compares versions of what must work together in the target.
func parts(n *node) []v1alpha1.Finding {
	r := n.f.Runtime(n.to.Name)
	switch n.to.Name {
	case v1alpha1.Docker:
		dockerd, cri := r.Binaries["dockerd"].Version, r.Binaries["cri-dockerd"].Version
		if dockerd == "" || cri == "" {
			return nil
		}
		switch least := runtimes.LeastDocker(cri); {
		case runtimes.Before(dockerd, least):
			return stop("install Docker "+least+" or newer, or cri-dockerd 0.3.25 or 0.4.2", "cri-dockerd %s needs Docker %s or newer, the node has %s", cri, least, dockerd)
		case !runtimes.Before(dockerd, "29.0") && runtimes.Before(dockerd, "29.3") && runtimes.Before(cri, "0.3.16"):
			return stop("install cri-dockerd 0.3.16 or newer", "Docker %s refuses the API version of cri-dockerd %s", dockerd, cri)
		case restingStore(n):
			return stop(`switch to containerd first and to docker from there, or set "features": {"containerd-snapshotter": false} in daemon.json`,
				"Docker keeps its images in the node's containerd, which rests: they can't be taken in beforehand")
		}
	case v1alpha1.CRIO:
		crio := r.Binaries["crio"].Version
		if crio == "" {
			return nil
		}
		if d := runtimes.Minor(crio) - n.v.Minor; d > 2 || d < -2 {
			return warn("install the CRI-O of the kubelet's minor", "CRI-O %s and kubelet %s are more than two minors apart; the pair isn't tested by anybody", crio, n.v.Version)
		}
	case v1alpha1.Containerd:
		ctd := r.Binaries["containerd"].Version
		if n.v.Minor >= 36 && ctd != "" && runtimes.Before(ctd, "2.0") {
			return warn("install containerd 2", "containerd %s can't tell the kubelet its cgroup driver; kubelets from 1.36 on announce to require it", ctd)
		}
		return untested(n.v.Minor, n.v.Version, ctd)
	}
	return nil
}

// untested tells of a containerd that is older than those its project tests with a kubelet (Kubernetes Support in its
// RELEASES.md): the first patch of each line that is named there, newest line first. Newer lines than any are fine.
func untested(minor int, kubeletVersion, containerd string) []v1alpha1.Finding {
	lines := map[int][]string{
		26: {"1.7.0", "1.6.15"}, 27: {"1.7.0", "1.6.15"}, 28: {"1.7.0", "1.6.15"}, 29: {"1.7.0", "1.6.15"}, 30: {"1.7.0", "1.6.15"}, 31: {"1.7.0", "1.6.15"},
		32: {"2.1.0", "2.0.1", "1.7.24", "1.6.36"},
		33: {"2.1.0", "2.0.4", "1.7.24", "1.6.36"},
		34: {"2.1.3", "2.0.6", "1.7.28", "1.6.39"},
		35: {"2.2.0", "2.1.5", "1.7.28"},
		36: {"2.3.0", "2.2.0"},
		37: {"2.4.0", "2.3.0"},
	}[minor]
	if containerd == "" || len(lines) == 0 || !runtimes.Before(containerd, lines[0]) {
		return nil
	}
	for _, first := range lines {
		if runtimes.SameMinor(containerd, first) && !runtimes.Before(containerd, first) {
			return nil
		}
	}
	return warn("install one of "+strings.Join(lines, ", ")+" or a later patch of it", "containerd %s isn't among those that its project tests with kubelet %s", containerd, kubeletVersion)
}

// restingStore reports whether the target is a Docker whose images are in the node's containerd while that doesn't run: a
// dockerd that is staged would start a containerd of its own, with a store that is never seen again.
func restingStore(n *node) bool {
	if !runtimes.DockerSharesContainerd(n.f) || !runtimes.DockerImagesInContainerd(n.f) {
		return false
	}
	containerd, _ := n.f.Unit("containerd.service")
	return containerd.ActiveState != "active"
}
