package check

import (
	"cmp"
	"net/url"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// swapOff: a kubelet looks for swap when it starts and never again.
func swapOff(n *node) []v1alpha1.Finding {
	value, file, line, _ := n.config.Get("fail-swap-on", "failSwapOn")
	if len(n.f.Machine.Swap) == 0 || value == "false" {
		return nil
	}
	hint := "run swapoff -a and take swap out of /etc/fstab and its units, or set failSwapOn: false in " + cmp.Or(n.v.ConfigFile, "the kubelet's configuration")
	x := stop(hint, "the kernel swaps to %s, and kubelet %s would not start beside it (failSwapOn)", strings.Join(n.f.Machine.Swap, ", "), n.v.Version)
	return shown(x, place(cmp.Or(file, n.v.ConfigFile), line))
}

// renewal is what is left of a certificate that a kubelet which renews its own has long renewed: it does so when a fifth to a
// tenth of its life is left.
const renewal = 24 * time.Hour

// certificateHolds judges by the node's own clock, as the kubelet does.
func certificateHolds(n *node) []v1alpha1.Finding {
	c := n.f.Kubelet.Client
	if c == nil || c.Expires.IsZero() {
		return nil
	}
	left := c.Expires.Sub(n.f.Taken)
	hint := "renew it before the switch (kubeadm kubeconfig user --org system:nodes --client-name system:node:" + n.f.Node + " on a control plane node)"
	end := c.Expires.Format(time.DateTime) + " UTC"
	bootstrap, _ := n.f.File(n.v.Bootstrap)
	switch {
	case left > renewal:
		return nil
	case left > 0:
		return shown(warn(hint, "the kubelet's client certificate expires on %s: without it the kubelet doesn't start again", end), c.Certificate)
	case bootstrap.Type == v1alpha1.Regular:
		return shown(warn(hint, "the kubelet's client certificate expired on %s: it starts again only if the token in %s is still valid", end, n.v.Bootstrap), c.Certificate)
	}
	return shown(stop(hint, "the kubelet's client certificate expired on %s and nothing renews it: the kubelet doesn't start again", end), c.Certificate)
}

// reachesAPI tells of a proxy that the node agent doesn't use, and of one that may end with the pods of the node.
func reachesAPI(n *node) []v1alpha1.Finding {
	c := n.f.Kubelet.Client
	if c == nil || c.Proxy == "" {
		return nil
	}
	const road = "set proxy-url in the kubeconfig, which the node agent reads, or let the API server's address go past the proxy (NO_PROXY)"
	if u, err := url.Parse(c.Proxy); err == nil && (u.Hostname() == "localhost" || strings.HasPrefix(u.Hostname(), "127.") || u.Hostname() == "::1") {
		return shown(warn("see that it is a service of the system and no container; "+road,
			"the kubelet reaches the API server (%s) through %s, a proxy on the node itself: if that is a container, the switch ends it, and the node agent doesn't use it to uncordon the node alone", c.Server, c.Proxy), c.Kubeconfig)
	}
	return shown(warn(road, "the kubelet reaches the API server (%s) through the proxy %s; the node agent doesn't, and may be unable to uncordon the node alone", c.Server, c.Proxy), c.Kubeconfig)
}
