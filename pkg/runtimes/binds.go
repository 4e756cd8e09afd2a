package runtimes

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// Binds returns the paths at which the runtime makes sockets when it starts on this node, /var/run told as /run. Where
// anything but a socket stands at one of them, it doesn't start. Those of a containerd that Docker uses are containerd's.
func (d Description) Binds(f *v1alpha1.Facts, v kubelet.View) []string {
	var out []string
	switch d.Name {
	case v1alpha1.Containerd:
		out = containerdBinds(f)
	case v1alpha1.CRIO:
		out = []string{cmp.Or(crioListen(f), crioSocket)}
	case v1alpha1.Docker:
		out = dockerBinds(f)
		if v.Minor > 0 && v.Minor < 24 {
			out = append(out, dockershimEndpoint) // the kubelet makes it
		}
	}
	if Serving(v) == d.Name {
		out = append(out, v.Endpoint)
	}
	var paths []string
	for _, address := range out {
		p := path.Clean(strings.TrimPrefix(address, "unix://"))
		if rest, ok := strings.CutPrefix(p, "/var/run/"); ok {
			p = "/run/" + rest
		}
		if path.IsAbs(p) && !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	return paths
}

// containerdBinds are its sockets for gRPC and, beside it, for ttRPC: the shims report there.
func containerdBinds(f *v1alpha1.Facts) []string {
	grpc := cmp.Or(containerdListen(f), containerdSocket)
	ttrpc := ""
	for _, file := range readContainerd(f).files {
		for _, key := range [][]string{{"ttrpc", "address"}, {"plugins", "io.containerd.server.v1.ttrpc", "address"}} {
			ttrpc = cmp.Or(file.tree.str(key...), ttrpc)
		}
	}
	return []string{grpc, cmp.Or(ttrpc, grpc+".ttrpc")}
}

// dockerBinds are those of the socket units, and those that the daemons make themselves.
func dockerBinds(f *v1alpha1.Facts) []string {
	var out []string
	for _, unit := range []string{dockerSocket, criDockerSocket} {
		for _, e := range parseUnit(f, unit).Values("Socket", "ListenStream") {
			out = append(out, strings.ReplaceAll(e.Value, "%t", "/run"))
		}
	}
	for _, address := range slices.Concat(dockerCommand(f).values("host", "H"), daemonJSON(f).strs("hosts")) {
		if strings.HasPrefix(address, "unix://") {
			out = append(out, address)
		}
	}
	if endpoint, ok := criDockerCommand(f).flag("container-runtime-endpoint"); ok && strings.HasPrefix(endpoint, "unix://") {
		out = append(out, endpoint)
	}
	if !DockerSharesContainerd(f) {
		out = append(out, "/run/docker/containerd/containerd.sock")
	}
	return out
}
