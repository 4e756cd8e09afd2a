//go:build linux

package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

type linuxPods struct {
	procs  linuxProcs
	clock  linuxClock
	mounts systemMounts
	cni    cniCleaner
}

func (p linuxPods) Processes(context.Context) ([]v1alpha1.Process, error) {
	here, err := p.procs.here()
	if err != nil {
		return nil, fmt.Errorf("looking for pods' processes: %w", err)
	}
	booted := p.procs.booted()
	var out []v1alpha1.Process
	err = p.each(func(pid int, ofPod func() bool) {
		exe, _ := p.procs.exe(pid)
		inPod := ofPod()
		// A monitor may stand in any group, but it is the machine's: those of users, of rootless podman or containerd, watch nothing
		// of Kubernetes, and a cluster inside a container has its own.
		monitor := monitorProgram(exe) && p.procs.ofHost(pid, here)
		if !inPod && !monitor {
			return
		}
		// Only of monitors the command line matters. What else a pod runs may wait in the kernel, and who reads the memory of
		// such a process may wait with it.
		tell := p.procs.outline
		if monitor {
			tell = p.procs.describe
		}
		proc, err := tell(pid, exe, booted)
		if err != nil {
			return // it ended meanwhile
		}
		if !inPod && !p.monitors(proc) {
			return
		}
		if !p.procs.ended(pid) {
			out = append(out, proc)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("looking for pods' processes: %w", err)
	}
	return out, nil
}

// each calls look with every process but the first and this one, and with what tells whether it belongs to a pod: that costs more
// than to look at its program.
func (p linuxPods) each(look func(pid int, ofPod func() bool)) error {
	init, err := p.procs.cgroups(1)
	if err != nil {
		return err
	}
	pids, err := p.procs.pids()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if pid == 1 || pid == os.Getpid() {
			continue
		}
		look(pid, func() bool {
			groups, err := p.procs.cgroups(pid)
			return err == nil && inPodAnywhere(groups, init)
		})
	}
	return nil
}

// maxSpec is more than the specification of any container, in bytes.
const maxSpec = 16 << 20

// monitors reports whether a process watches a container of a pod.
func (p linuxPods) monitors(proc v1alpha1.Process) bool {
	if len(proc.Argv) == 0 {
		return p.waitingMonitor(proc)
	}
	return monitors(proc) || p.dockerMonitor(proc)
}

// waitingMonitor tells a monitor whose command line can't be read by where it stands: a shim in the directory of its
// container, below the one of containerd's namespace, and a conmon in the scope that CRI-O makes for it.
func (p linuxPods) waitingMonitor(proc v1alpha1.Process) bool {
	if strings.HasPrefix(proc.Unit, "crio-conmon-") {
		return true
	}
	dir, err := os.Readlink(p.procs.path(proc.PID, "cwd"))
	return err == nil && strings.HasPrefix(filepath.Base(proc.Exe), "containerd-shim") && filepath.Base(filepath.Dir(dir)) == "k8s.io"
}

// dockerMonitor reports whether a shim of Docker's watches a container of a pod: the specification in its working directory
// names the cgroup that the kubelet has chosen.
func (p linuxPods) dockerMonitor(proc v1alpha1.Process) bool {
	if !strings.HasPrefix(filepath.Base(proc.Exe), "containerd-shim") || argument(proc.Argv, "-namespace") != "moby" {
		return false
	}
	data, err := readBelow(p.procs.path(proc.PID, "cwd"), "config.json", maxSpec)
	if err != nil {
		return false
	}
	var spec struct {
		Linux struct {
			CgroupsPath string `json:"cgroupsPath"`
		} `json:"linux"`
	}
	if json.Unmarshal(data, &spec) != nil {
		return false
	}
	// slice:prefix:name with the systemd driver, a path with the other.
	slice, _, _ := strings.Cut(spec.Linux.CgroupsPath, ":")
	return strings.Contains("/"+slice, "/kubepods") || strings.Contains(slice, "-kubepods")
}

// Kill asks again and again who is left: what a process starts while it dies must not escape.
func (p linuxPods) Kill(ctx context.Context, grace time.Duration) error {
	list, err := p.Processes(ctx)
	if err != nil {
		return err
	}
	if grace > 0 {
		if list, err = p.terminate(ctx, list, grace); err != nil {
			return err
		}
	}
	const patience = 30 * time.Second
	var held error
	for start := p.clock.SinceBoot(); len(list) > 0; {
		for _, proc := range list {
			if err := signal(proc.PID, unix.SIGKILL); err != nil {
				return err
			}
			if err := p.thaw(proc.PID); err != nil {
				held = err
			}
		}
		if err := p.clock.Sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
		if list, err = p.Processes(ctx); err != nil {
			return err
		}
		if len(list) > 0 && p.clock.SinceBoot()-start > patience {
			return errors.Join(fmt.Errorf("killing what is left of pods: %s still runs", describeProcesses(list)), held)
		}
	}
	return nil
}

func (p linuxPods) EndStrays(ctx context.Context) (int, error) {
	list, err := p.Processes(ctx)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, proc := range list {
		var dir unix.Stat_t
		if !watches(proc) || unix.Stat(p.procs.path(proc.PID, "cwd"), &dir) != nil || dir.Nlink > 0 {
			continue
		}
		if err := signal(proc.PID, unix.SIGKILL); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// terminate asks each process of a container once. Monitors aren't asked: containerd's shims ignore it, and conmon would
// forward it; both end with what they watch.
func (p linuxPods) terminate(ctx context.Context, list []v1alpha1.Process, grace time.Duration) ([]v1alpha1.Process, error) {
	for _, proc := range list {
		if watches(proc) {
			continue
		}
		if err := signal(proc.PID, unix.SIGTERM); err != nil {
			return nil, err
		}
	}
	for start := p.clock.SinceBoot(); p.clock.SinceBoot()-start < grace; {
		if err := p.clock.Sleep(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
		left, err := p.Processes(ctx)
		if err != nil || !slices.ContainsFunc(left, func(p v1alpha1.Process) bool { return !watches(p) }) {
			return left, err
		}
		list = left
	}
	return list, nil
}

// watches reports whether one of a pod's processes is a monitor.
func watches(proc v1alpha1.Process) bool {
	return monitors(proc) || strings.HasPrefix(filepath.Base(proc.Exe), "containerd-shim")
}

func signal(pid int, s unix.Signal) error {
	if err := unix.Kill(pid, s); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("sending %s to process %d: %w", unix.SignalName(s), pid, err)
	}
	return nil
}

func describeProcesses(list []v1alpha1.Process) string {
	var parts []string
	for i, p := range list {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("%d more", len(list)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%s (%d)", filepath.Base(p.Exe), p.PID))
	}
	return strings.Join(parts, ", ")
}

// Attaching looks for plugins in the usual places. What a pod runs from such a directory, as those that install plugins do, is none.
// Nor is what another user runs from there: a runtime is root's.
func (p linuxPods) Attaching(context.Context) (bool, error) {
	here, err := p.procs.here()
	if err != nil {
		return false, fmt.Errorf("looking for network plugins: %w", err)
	}
	found := false
	err = p.each(func(pid int, ofPod func() bool) {
		exe, err := p.procs.exe(pid)
		found = found || err == nil && slices.Contains(p.cni.path, filepath.Dir(exe)) && !p.procs.ended(pid) && !ofPod() && p.procs.ofHost(pid, here)
	})
	if err != nil {
		return false, fmt.Errorf("looking for network plugins: %w", err)
	}
	return found, nil
}

func (p linuxPods) Detach(ctx context.Context) error { return p.cni.detach(ctx) }
