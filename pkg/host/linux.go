//go:build linux

package host

import (
	"path/filepath"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Linux returns the machine that this process runs on. Files are written at the paths in allow only, and directories made for
// them.
func Linux(allow []v1alpha1.WritablePath) (Machine, error) {
	files := newFiles(allow)
	commands := newCommands()
	procs, err := newProcs("/proc")
	if err != nil {
		return Machine{}, err
	}
	units := &linuxUnits{programs: commands.names}
	cri := linuxCRI{}
	clock, err := newClock()
	if err != nil {
		return Machine{}, err
	}
	return Machine{
		Files:    files,
		Units:    units,
		CRI:      cri,
		Pods:     linuxPods{procs: procs, clock: clock, mounts: systemMounts{}, cni: systemCNI(procs)},
		Procs:    procs,
		Kernel:   linuxKernel{units: units, clock: clock, commands: commands},
		Commands: commands,
		HTTP:     linuxHTTP{clients: linuxClients{procs: procs}},
		Stores:   linuxStores{procs: procs, dockerSocket: dockerSocket, containerdSocket: containerdSocket, crioSocket: crioSocket},
		Clients:  linuxClients{procs: procs},
		Clock:    clock,
	}, nil
}

// The sockets on which the runtimes' own interfaces answer.
const (
	dockerSocket     = "/run/docker.sock"
	containerdSocket = "/run/containerd/containerd.sock"
	crioSocket       = "/run/crio/crio.sock"
)

// below reports whether path is dir or lies in it.
func below(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}
