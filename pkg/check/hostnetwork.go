package check

import (
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// network compares which of CNI's configurations the runtimes choose. The plan leads the target to the directories of
// the runtime that is left.
func network(n *node) []v1alpha1.Finding {
	if n.from == "" || n.v.Dockershim {
		return nil
	}
	dir, bins := runtimes.CNIPlaces(n.f, n.from)
	_, more := runtimes.CNIPlaces(n.f, n.to.Name)
	now, next := runtimes.Chosen(n.f, n.from, dir, bins), runtimes.Chosen(n.f, n.to.Name, dir, slices.Concat(bins, more))
	if now.First() == "" {
		return nil // what pods have now isn't known, or nothing: the runtime's own readiness is another rule's
	}
	switch {
	case next.Fails != nil:
		return shown(stop("repair or remove it", "containerd gives pods no network: it stops at a configuration of CNI that isn't valid (%s), which the runtime that is left steps over",
			problemOf(*next.Fails)), next.Fails.Path)
	case next.Named != "" && next.First() == "":
		return shown(stop("correct or remove cni_default_network in CRI-O's configuration", "CRI-O is told to use the network %s, which no usable configuration has", next.Named), dir)
	case next.First() != now.First():
		return shown(warn("leave the cluster's configuration alone in the directory", "pods would get another network: %s, and now it is %s", told(n.f, next.First()), told(n.f, now.First())), next.First(), now.First())
	case len(now.Networks) > 1 && len(next.Networks) == 1:
		return shown(warn("attach further networks by a plugin such as Multus", "containerd gives pods %d networks (max_conf_num), %s the first one alone", len(now.Networks), n.to.Name), pathsOf(now.Networks)...)
	case len(next.Networks) > 1 && len(now.Networks) == 1:
		return shown(warn("set max_conf_num to 1 in containerd's configuration, or remove the others", "containerd would give pods %d networks (max_conf_num), and now they have the first one alone", len(next.Networks)), pathsOf(next.Networks)...)
	}
	return byAccident(n, dir, now.First())
}

// byAccident tells of a runtime's own bridge that wins over a cluster's network.
func byAccident(n *node, dir, first string) []v1alpha1.Finding {
	var other string
	for _, x := range n.f.Networks {
		switch {
		case path.Dir(x.Path) != dir || x.Problem != "" || len(x.Plugins) == 0:
		case x.Path == first && !ownBridge(x):
			return nil
		case !ownBridge(x) && x.Plugins[0] != "loopback" && other == "":
			other = x.Path
		}
	}
	if other == "" {
		return nil
	}
	return shown(warn("remove it if the cluster's network is meant", "the bridge of a runtime's package wins over %s by its name: pods on other nodes can't be reached through it", told(n.f, other)), first, other)
}

// ownBridge reports whether a network is one that packages of runtimes and their tools bring.
func ownBridge(x v1alpha1.Network) bool {
	return slices.Contains([]string{"crio", "crio-bridge", "podman", "containerd-net", "nerdctl", "bridge", "docker"}, x.Name) && x.Plugins[0] == "bridge"
}

func told(f *v1alpha1.Facts, file string) string {
	for _, x := range f.Networks {
		if x.Path == file && x.Name != "" {
			return x.Name + " (" + strings.Join(x.Plugins, ", ") + ")"
		}
	}
	if file == "" {
		return "none"
	}
	return path.Base(file)
}

func problemOf(x v1alpha1.Network) string {
	if x.Problem != "" {
		return x.Problem
	}
	return "it names no plugin"
}

func pathsOf(list []v1alpha1.Network) []string {
	var out []string
	for _, x := range list {
		out = append(out, x.Path)
	}
	return out
}
