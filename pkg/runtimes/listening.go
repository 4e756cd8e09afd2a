package runtimes

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Listening returns where clients ask the runtime on this node, for CRI or anything else: the paths of its Unix sockets, the
// usual ones first, and its TCP ports as they are configured.
func (d Description) Listening(f *v1alpha1.Facts) (sockets []string, ports []int) {
	sockets = slices.Clone(d.Sockets)
	if d.listen != nil {
		if socket := d.listen(f); socket != "" {
			sockets = append(sockets, strings.TrimPrefix(socket, "unix://"))
		}
	}
	if d.Name == v1alpha1.Docker {
		// The last is that of the containerd that dockerd starts for itself.
		sockets = append(sockets, "/var/run/docker.sock", "/var/run/docker/containerd/containerd.sock")
		for _, address := range slices.Concat(dockerCommand(f).values("host", "H"), daemonJSON(f).strs("hosts")) {
			if path, ok := strings.CutPrefix(address, "unix://"); ok {
				sockets = append(sockets, path)
			}
			if port := tcpPort(address); port != 0 {
				ports = append(ports, port)
			}
		}
	}
	slices.Sort(ports)
	return compactPaths(sockets), slices.Compact(ports)
}

// tcpPort returns the port of a tcp:// address as dockerd takes it, whose default is that without TLS; 0 of any other.
func tcpPort(address string) int {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "tcp" {
		return 0
	}
	if u.Port() == "" {
		return 2375
	}
	port, _ := strconv.Atoi(u.Port())
	return port
}

// compactPaths drops the later of two paths that are one, /var/run being /run.
func compactPaths(paths []string) []string {
	var out []string
	for _, p := range paths {
		if p != "" && !slices.ContainsFunc(out, func(o string) bool { return sameSocket(o, p) }) {
			out = append(out, p)
		}
	}
	return out
}
