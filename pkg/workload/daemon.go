package workload

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

// daemon says where a client's requests go.
type daemon int

const (
	nobody    daemon = iota // no daemon that could be seen
	inPod                   // a daemon of the pod itself, or of another pod that is judged for itself
	onNode                  // the node's
	somewhere               // an address that may or may not be a node's
)

// unixPath returns the path of a socket's address.
func unixPath(address string) (string, bool) {
	if p, ok := strings.CutPrefix(address, "unix://"); ok {
		return p, true
	}
	return address, strings.HasPrefix(address, "/")
}

// reach returns where a value of DOCKER_HOST leads from the container.
func (c *container) reach(address string) daemon {
	address = strings.TrimSpace(address)
	if address == "" {
		return c.socketAt("/var/run/docker.sock")
	}
	if p, ok := unixPath(address); ok {
		return c.socketAt(p)
	}
	if !strings.Contains(address, "://") {
		address = "tcp://" + address
	}
	scheme, rest, _ := strings.Cut(address, "://")
	if scheme == "fd" || scheme == "npipe" {
		return nobody
	}
	if strings.Contains(rest, "$(status.hostIP)") || strings.Contains(rest, "$(spec.nodeName)") {
		return onNode
	}
	if strings.Contains(rest, "$(status.podIP)") {
		return c.local()
	}
	// What stands in a variable that isn't known here may be any address.
	if strings.Contains(rest, "$") {
		return somewhere
	}
	u, err := url.Parse(address)
	if err != nil {
		return somewhere
	}
	return c.host(u.Hostname())
}

// socketAt returns who listens at a path of the container.
func (c *container) socketAt(p string) daemon {
	host, own := c.where(p)
	switch {
	case host != "" && c.s.j.known.usual(host):
		return onNode
	case own, c.s.ownDaemon:
		// The pod's own daemon may also share its socket through a directory of the node.
		return inPod
	case host != "":
		return somewhere
	}
	return nobody
}

// local is what listens on the pod's own address.
func (c *container) local() daemon {
	if c.s.w.Spec.HostNetwork && !c.s.ownDaemon {
		return onNode
	}
	return inPod
}

func (c *container) host(name string) daemon {
	name = strings.TrimSuffix(name, ".")
	switch name {
	case "", "localhost":
		return c.local()
	case "host.docker.internal", "gateway.docker.internal", "172.17.0.1":
		// The last is the bridge that Docker makes unless it is told another network.
		return onNode
	}
	for _, a := range c.s.w.Spec.HostAliases {
		if slices.Contains(a.Hostnames, name) {
			name = a.IP
		}
	}
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip.IsLoopback() || ip.IsUnspecified() {
			return c.local()
		}
		return c.s.j.nodeAddress(name)
	}
	if c.s.j.isNode(name) {
		return onNode
	}
	parts := strings.Split(name, ".")
	ref := Key{Namespace: c.s.w.Object.Namespace, Name: parts[0]}
	if len(parts) > 1 {
		ref.Namespace = parts[1]
	}
	if (len(parts) <= 2 || parts[2] == "svc") && c.s.j.backed(ref) {
		return inPod
	}
	return somewhere
}

// backed reports whether a pod stands behind a Service.
func (j *judge) backed(service Key) bool {
	selector, ok := j.inv.Services[service]
	return ok && (j.inv.Backed[service] || len(j.selected(service.Namespace, serviceSelector(selector))) > 0)
}

// nodeAddress says whose an address is. Where of nodes no more than their names is known it may be one's.
func (j *judge) nodeAddress(ip string) daemon {
	if j.isNode(ip) || len(j.addresses) <= len(j.inv.Nodes) {
		return onNode
	}
	return somewhere
}

// isNode reports whether a name or an address is a node's.
func (j *judge) isNode(name string) bool {
	if j.addresses == nil {
		j.addresses = map[string]bool{}
		for _, a := range j.inv.Addresses {
			j.addresses[a] = true
		}
		for i := range j.inv.Nodes {
			j.addresses[j.inv.Nodes[i].Name] = true
			for _, a := range j.inv.Nodes[i].Addresses {
				j.addresses[a] = true
			}
		}
	}
	return j.addresses[name]
}

// daemonOf returns the daemon that a command of the container speaks to.
func (c *container) daemonOf(k *usedCall) daemon {
	if k.Host {
		return onNode
	}
	if k.Root != "" {
		if h, _ := c.where(k.Root); h == "/" {
			return onNode
		}
	}
	switch base(k.Argv[0]) {
	case "ctr", "nerdctl":
		address, ok := shell.Option(k.Argv[1:], "-a", "--address", "-H", "--host")
		if !ok {
			address = c.env["CONTAINERD_ADDRESS"].value
		}
		if address == "" {
			address = "/run/containerd/containerd.sock"
		}
		p, _ := unixPath(address)
		if h, _ := c.where(p); h != "" && c.s.j.known.usual(h) {
			return onNode
		}
		return nobody
	}
	if address, ok := shell.Option(k.Argv[1:], "-H", "--host"); ok {
		return c.reach(c.expand(address))
	}
	hosts := c.used().hosts
	for i := range hosts {
		if !hosts[i].unread {
			return c.reach(hosts[i].value)
		}
	}
	return c.reach("")
}
