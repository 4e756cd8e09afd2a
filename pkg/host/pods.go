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
		if proc, ok := p.one(pid, ofPod, here, booted); ok {
			out = append(out, proc)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("looking for pods' processes: %w", err)
	}
	return out, nil
}

// one tells of a process that is a pod's, or watches one of a pod.
func (p linuxPods) one(pid int, ofPod func() bool, here machine, booted time.Time) (v1alpha1.Process, bool) {
	exe, _ := p.procs.exe(pid)
	inPod := ofPod()
	// A monitor may stand in any group, but it is the machine's: those of users, of rootless podman or containerd, watch nothing
	// of Kubernetes, and a cluster inside a container has its own.
	monitor := monitorProgram(exe) && p.procs.ofHost(pid, here)
	if !inPod && !monitor {
		return v1alpha1.Process{}, false
	}
	// Only of monitors the command line matters. What else a pod runs may wait in the kernel, and who reads the memory of
	// such a process may wait with it.
	tell := p.procs.outline
	if monitor {
		tell = p.procs.describe
	}
	proc, err := tell(pid, exe, booted)
	if err != nil {
		return proc, false // it ended meanwhile
	}
	return proc, (inPod || p.monitors(proc)) && !p.procs.ended(pid)
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
		look(pid, func() bool { return p.ofPod(pid, init) })
	}
	return nil
}

// ofPod reports whether a process belongs to a pod; init are the groups of the first process.
func (p linuxPods) ofPod(pid int, init map[string]string) bool {
	groups, err := p.procs.cgroups(pid)
	return err == nil && inPodAnywhere(groups, init)
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
			if err := p.send(proc.PID, unix.SIGKILL, anyOfPods); err != nil {
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
		if !p.stray(proc) {
			continue
		}
		if err := p.send(proc.PID, unix.SIGKILL, p.stray); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// stray reports whether one of a pod's processes is the monitor of a container whose directory is removed.
func (p linuxPods) stray(proc v1alpha1.Process) bool {
	var dir unix.Stat_t
	return watches(proc) && unix.Stat(p.procs.path(proc.PID, "cwd"), &dir) == nil && dir.Nlink == 0
}

// terminate asks each process of a container once. Monitors aren't asked: containerd's shims ignore it, and conmon would
// forward it; both end with what they watch.
func (p linuxPods) terminate(ctx context.Context, list []v1alpha1.Process, grace time.Duration) ([]v1alpha1.Process, error) {
	watched := func(proc v1alpha1.Process) bool { return !watches(proc) }
	for _, proc := range list {
		if !watched(proc) {
			continue
		}
		if err := p.send(proc.PID, unix.SIGTERM, watched); err != nil {
			return nil, err
		}
	}
	for start := p.clock.SinceBoot(); p.clock.SinceBoot()-start < grace; {
		if err := p.clock.Sleep(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
		left, err := p.Processes(ctx)
		if err != nil || !slices.ContainsFunc(left, watched) {
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

// anyOfPods is every process of a pod, monitors too.
func anyOfPods(v1alpha1.Process) bool { return true }

// send sends a signal to a process if it is one of a pod still, and wanted: the number of one that ended since it was looked for may be
// another's by now.
func (p linuxPods) send(pid int, s unix.Signal, wanted func(v1alpha1.Process) bool) error {
	here, err := p.procs.here()
	if err != nil {
		return fmt.Errorf("looking at process %d: %w", pid, err)
	}
	return signal(pid, s, func() bool {
		proc, ok := p.one(pid, func() bool { return p.ofPod(pid, here.init) }, here, p.procs.booted())
		return ok && wanted(proc)
	})
}

// signal looks at a process and sends the signal to that one and no other: a descriptor that was opened before the look leads to the
// process that was seen, or to none, whoever has its number by then. A kernel before 5.3 has no such descriptors, and a program may have
// too many open; then the number must do.
func signal(pid int, s unix.Signal, wanted func() bool) error {
	deliver := func() error { return unix.Kill(pid, s) }
	switch fd, err := unix.PidfdOpen(pid, 0); {
	case err == nil:
		defer func() { _ = unix.Close(fd) }()
		deliver = func() error { return unix.PidfdSendSignal(fd, s, nil, 0) }
	case errors.Is(err, unix.ESRCH):
		return nil
	}
	if !wanted() {
		return nil
	}
	if err := deliver(); err != nil && !errors.Is(err, unix.ESRCH) {
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
