package workload

import (
	"path"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// kind is what a path of a node is to a runtime.
type kind int

const (
	elsewhere kind = iota
	socket
	shim   // of dockershim and cri-dockerd: their sockets and directories
	logs   // container logs as Docker's json-file driver writes them
	data   // the runtime's own files
	config // what the runtime is told
	binary
	parent // holds one of the above
)

// place is a path of a node that belongs to a runtime.
type place struct {
	path    string
	kind    kind
	runtime v1alpha1.RuntimeName
	// tree says that everything below belongs to it too.
	tree bool
}

// places lists what belongs to which runtime, in the form that clean gives; the first that fits decides. Sockets are
// those of the runtimes' own packages, of their CRI endpoints, and of the installers that move them.
func places() []place {
	const docker, containerd, crio = v1alpha1.Docker, v1alpha1.Containerd, v1alpha1.CRIO
	return []place{
		{"/run/docker.sock", socket, docker, false},
		{"/run/docker/containerd", socket, docker, true},
		{"/pipe/docker_engine", socket, docker, false},
		{"/run/dockershim.sock", shim, docker, false},
		{"/run/cri-dockerd.sock", shim, docker, false},
		{"/run/cri-dockerd", shim, docker, true},
		{"/var/lib/dockershim", shim, docker, true},
		{"/var/lib/cri-dockerd", shim, docker, true},
		{"/run/containerd", socket, containerd, false},
		{"/run/containerd/containerd.sock", socket, containerd, false},
		{"/run/containerd/containerd.sock.ttrpc", socket, containerd, false},
		{"/run/containerd/debug.sock", socket, containerd, false},
		{"/run/k3s/containerd", socket, containerd, false},
		{"/run/k3s/containerd/containerd.sock", socket, containerd, false},
		{"/run/k0s/containerd.sock", socket, containerd, false},
		{"/var/snap/microk8s/common/run/containerd.sock", socket, containerd, false},
		{"/pipe/containerd-containerd", socket, containerd, false},
		{"/run/crio", socket, crio, false},
		{"/run/crio.sock", socket, crio, false},
		{"/run/crio/crio.sock", socket, crio, false},
		{"/var/lib/docker/containers", logs, docker, true},
		{"/var/lib/docker", data, docker, true},
		{"/run/docker", data, docker, true},
		{"/var/lib/containerd", data, containerd, true},
		{"/run/containerd", data, containerd, true},
		{"/run/k3s/containerd", data, containerd, true},
		{"/var/lib/containers", data, crio, true},
		{"/run/crio", data, crio, true},
		{"/etc/docker", config, docker, true},
		{"/etc/default/docker", config, docker, false},
		{"/etc/sysconfig/docker", config, docker, false},
		{"/etc/systemd/system/docker.service.d", config, docker, true},
		{"/etc/systemd/system/docker.service", config, docker, false},
		{"/lib/systemd/system/docker.service", config, docker, false},
		{"/usr/lib/systemd/system/docker.service", config, docker, false},
		{"/etc/containerd", config, containerd, true},
		{"/etc/systemd/system/containerd.service.d", config, containerd, true},
		{"/etc/crio", config, crio, true},
		{"/etc/sysconfig/crio", config, crio, false},
		{"/etc/containers", config, crio, true},
		{"/usr/libexec/docker", binary, docker, true},
		{"/usr/lib/docker", binary, docker, true},
		{"/opt/containerd", binary, containerd, true},
		{"/usr/libexec/crio", binary, crio, true},
		{"/", parent, "", false},
		{"/run", parent, "", false},
		{"/var", parent, "", false},
		{"/var/lib", parent, docker, false},
	}
}

// clean brings a path of a node into the form that places has: no doubled or trailing slash, no dots, and /run for
// /var/run, which is a link to it. Named pipes of Windows lose their leading \\.
func clean(p string) string {
	p = path.Clean("/" + strings.ReplaceAll(p, `\`, "/"))
	if p == "/var/run" || strings.HasPrefix(p, "/var/run/") {
		return strings.TrimPrefix(p, "/var")
	}
	return p
}

// below reports whether p is dir or stands below it; both are clean.
func below(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir) && p[len(dir)] == '/'
}

// classify returns what the path of a node belongs to; ok is false for one that belongs to no runtime.
func (k *known) classify(p string) (place, bool) {
	p = clean(p)
	for _, x := range k.places {
		if p == x.path || x.tree && below(p, x.path) {
			x.path = p
			return x, true
		}
	}
	dir, base := path.Split(p)
	if owner, ok := k.binaries[base]; ok && strings.HasSuffix(dir, "bin/") {
		return place{path: p, kind: binary, runtime: owner}, true
	}
	// A daemon may listen in places of its own: a rootless one does, and one that -H moved.
	switch base {
	case "docker.sock":
		return place{path: p, kind: socket, runtime: v1alpha1.Docker}, true
	case "cri-dockerd.sock", "dockershim.sock":
		return place{path: p, kind: shim, runtime: v1alpha1.Docker}, true
	}
	return place{}, false
}

// usual reports whether a socket stands where its package puts it.
func (k *known) usual(p string) bool {
	for _, x := range k.places {
		if x.path == p {
			return true
		}
	}
	return false
}

// known holds what would otherwise be made anew for each workload.
type known struct {
	places   []place
	binaries map[string]v1alpha1.RuntimeName
}

func newKnown() *known {
	k := &known{places: places(), binaries: map[string]v1alpha1.RuntimeName{}}
	for _, name := range []string{
		"docker", "dockerd", "docker-compose", "docker-init", "docker-proxy", "docker-runc", "docker-containerd",
		"docker-containerd-shim", "docker-containerd-ctr", "cri-dockerd",
	} {
		k.binaries[name] = v1alpha1.Docker
	}
	for _, name := range []string{"containerd", "containerd-shim", "containerd-shim-runc-v2", "ctr", "nerdctl"} {
		k.binaries[name] = v1alpha1.Containerd
	}
	for _, name := range []string{"crio", "crio-status", "pinns"} {
		k.binaries[name] = v1alpha1.CRIO
	}
	return k
}
