//go:build linux

package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"golang.org/x/sys/unix"
)

// linuxProcs reads /proc, or in tests something like it.
type linuxProcs struct{ root string }

// Ticks of /proc/PID/stat are a hundredth of a second on every architecture that Linux runs containers on.
const ticksPerSecond = 100

// Find leaves out what ends meanwhile, and what runs in containers: a daemon in there serves no kubelet of this machine.
func (p linuxProcs) Find(names ...string) ([]v1alpha1.Process, error) {
	pids, err := p.pids()
	if err != nil {
		return nil, err
	}
	namespace, err := p.ownNamespace()
	if err != nil {
		return nil, err
	}
	booted := p.booted()
	var out []v1alpha1.Process
	for _, pid := range pids {
		exe, err := p.exe(pid)
		if err != nil || !slices.Contains(names, filepath.Base(exe)) || p.ended(pid) {
			continue
		}
		if ns, err := p.pidNamespace(pid); err != nil || ns != namespace {
			continue
		}
		proc, err := p.describe(pid, exe, booted)
		if err != nil {
			continue
		}
		out = append(out, proc)
	}
	return out, nil
}

func (p linuxProcs) pids() ([]int, error) {
	dir, err := os.Open(p.root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			out = append(out, pid)
		}
	}
	slices.Sort(out)
	return out, nil
}

// exe is the path of the executable as the process sees it; an upgrade that replaced the file doesn't hide it.
func (p linuxProcs) exe(pid int) (string, error) {
	exe, err := os.Readlink(p.path(pid, "exe"))
	return strings.TrimSuffix(exe, " (deleted)"), err
}

func (p linuxProcs) describe(pid int, exe string, booted time.Time) (v1alpha1.Process, error) {
	out := v1alpha1.Process{PID: pid, Exe: exe}
	line, err := os.ReadFile(p.path(pid, "cmdline"))
	if err != nil {
		return out, err
	}
	if line = bytes.TrimSuffix(line, []byte{0}); len(line) > 0 {
		out.Argv = strings.Split(string(line), "\x00")
	}
	stat, err := os.ReadFile(p.path(pid, "stat"))
	if err != nil {
		return out, err
	}
	if ticks, ok := startTicks(string(stat)); ok {
		out.Started = booted.Add(time.Duration(ticks) * time.Second / ticksPerSecond).UTC()
	}
	groups, err := p.cgroups(pid)
	if err != nil {
		return out, err
	}
	out.Unit = unitOf(groups)
	return out, nil
}

func (p linuxProcs) path(pid int, name string) string {
	return filepath.Join(p.root, strconv.Itoa(pid), name)
}

// booted is when the machine started, in whole hundredths as the ticks are.
func (p linuxProcs) booted() time.Time {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(ts.Nano())).Truncate(10 * time.Millisecond)
}

// cgroups are the paths of a process in the hierarchies, by controllers ("" is the unified one).
func (p linuxProcs) cgroups(pid int) (map[string]string, error) {
	data, err := os.ReadFile(p.path(pid, "cgroup"))
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) == 3 {
			out[parts[1]] = parts[2]
		}
	}
	return out, nil
}

// unitOf finds the service in which systemd holds a process: the innermost service or scope of the hierarchy that
// systemd keeps.
func unitOf(groups map[string]string) string {
	for _, hierarchy := range []string{"", "name=systemd"} {
		parts := strings.Split(groups[hierarchy], "/")
		for _, part := range slices.Backward(parts) {
			if strings.HasSuffix(part, ".service") || strings.HasSuffix(part, ".scope") {
				return part
			}
		}
	}
	return ""
}

func (p linuxProcs) Environ(pid int) ([]string, error) {
	data, err := os.ReadFile(p.path(pid, "environ"))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("reading the environment of process %d: %w", pid, ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	data = bytes.TrimSuffix(data, []byte{0})
	if len(data) == 0 {
		return nil, nil
	}
	return strings.Split(string(data), "\x00"), nil
}

// statFields are the fields of /proc/PID/stat behind the command's name, which may hold spaces and brackets: the first is
// the state, field 3 of proc(5).
func statFields(stat string) []string {
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return nil
	}
	return strings.Fields(stat[end+1:])
}

// startTicks is when the process started, in ticks since boot.
func startTicks(stat string) (uint64, bool) {
	fields := statFields(stat)
	if len(fields) < 20 {
		return 0, false
	}
	ticks, err := strconv.ParseUint(fields[19], 10, 64)
	return ticks, err == nil
}

// ended reports whether the process is a zombie: dead, and only waiting for its parent to notice.
func (p linuxProcs) ended(pid int) bool {
	stat, err := os.ReadFile(p.path(pid, "stat"))
	if err != nil {
		return true
	}
	fields := statFields(string(stat))
	return len(fields) > 0 && (fields[0] == "Z" || fields[0] == "X")
}

func (p linuxProcs) pidNamespace(pid int) (string, error) {
	return os.Readlink(p.path(pid, "ns/pid"))
}

// ownNamespace is the host's: this program enters it before it does anything.
func (p linuxProcs) ownNamespace() (string, error) {
	return os.Readlink(filepath.Join(p.root, "self/ns/pid"))
}
