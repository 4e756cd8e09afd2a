//go:build linux

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// linuxProcs reads /proc, or in tests something like it.
type linuxProcs struct {
	fs   procfs.FS
	root string
}

func newProcs(root string) (linuxProcs, error) {
	fs, err := procfs.NewFS(root)
	if err != nil {
		return linuxProcs{}, fmt.Errorf("reading the processes: %w", err)
	}
	return linuxProcs{fs, root}, nil
}

// Ticks of /proc/PID/stat are a hundredth of a second on every architecture that Linux runs containers on.
const ticksPerSecond = 100

// Find leaves out what ends meanwhile, and whatever isn't the machine's own.
func (p linuxProcs) Find(names ...string) ([]v1alpha1.Process, error) {
	return p.own(func(exe string) bool { return slices.Contains(names, filepath.Base(exe)) })
}

func (p linuxProcs) OfRoot() ([]v1alpha1.Process, error) {
	return p.own(func(string) bool { return true })
}

// own describes the machine's own processes whose program is wanted; a kernel thread has none.
func (p linuxProcs) own(wanted func(exe string) bool) ([]v1alpha1.Process, error) {
	pids, err := p.pids()
	if err != nil {
		return nil, err
	}
	here, err := p.here()
	if err != nil {
		return nil, err
	}
	booted := p.booted()
	var out []v1alpha1.Process
	for _, pid := range pids {
		exe, err := p.exe(pid)
		if err != nil || !wanted(exe) || p.ended(pid) || !p.ofHost(pid, here) {
			continue
		}
		if proc, err := p.describe(pid, exe, booted); err == nil {
			out = append(out, proc)
		}
	}
	return out, nil
}

func (p linuxProcs) pids() ([]int, error) {
	list, err := p.fs.AllProcs()
	if err != nil {
		return nil, err
	}
	var out []int
	for _, x := range list {
		out = append(out, x.PID)
	}
	slices.Sort(out)
	return out, nil
}

// exe is the path of the executable as the process sees it; an upgrade that replaced the file doesn't hide it. Whoever starts a
// program chooses that path: it tells nothing of a process that isn't known to be root's.
func (p linuxProcs) exe(pid int) (string, error) {
	exe, err := os.Readlink(p.path(pid, "exe"))
	return strings.TrimSuffix(exe, " (deleted)"), err
}

// describe tells all that is known of a process; see outline for what of that costs nothing.
func (p linuxProcs) describe(pid int, exe string, booted time.Time) (v1alpha1.Process, error) {
	out, err := p.outline(pid, exe, booted)
	if err != nil || p.uninterruptible(pid) {
		return out, err
	}
	x, err := p.fs.Proc(pid)
	if err == nil {
		out.Argv, err = x.CmdLine()
	}
	return out, err
}

// outline tells of a process what the kernel keeps beside its memory.
func (p linuxProcs) outline(pid int, exe string, booted time.Time) (v1alpha1.Process, error) {
	out := v1alpha1.Process{PID: pid, Exe: exe}
	x, err := p.fs.Proc(pid)
	if err != nil {
		return out, err
	}
	if stat, err := x.Stat(); err == nil {
		out.Started = booted.Add(time.Duration(stat.Starttime) * time.Second / ticksPerSecond).UTC()
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
	x, err := p.fs.Proc(pid)
	if err != nil {
		return nil, err
	}
	list, err := x.Cgroups()
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, group := range list {
		out[strings.Join(group.Controllers, ",")] = group.Path
	}
	if pid == 1 {
		return out, outside(out)
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
	if p.uninterruptible(pid) {
		return nil, fmt.Errorf("the environment of process %d can't be read: %w", pid, errUninterruptible)
	}
	x, err := p.fs.Proc(pid)
	if err == nil {
		var out []string
		if out, err = x.Environ(); err == nil {
			return out, nil
		}
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("reading the environment of process %d: %w", pid, ErrNotExist)
	}
	return nil, err
}

func (p linuxProcs) Runs(pid int, path string) (bool, error) {
	// The link in /proc leads to the file that was started, whatever its name is by now, or none.
	running, err := os.Stat(p.path(pid, "exe"))
	if err != nil {
		return false, fmt.Errorf("looking at the program of process %d: %w", pid, err)
	}
	there, err := os.Stat(path)
	if gone(err) {
		return false, nil
	}
	return err == nil && os.SameFile(running, there), err
}

// ended reports whether the process is gone, or a zombie: dead, and only waiting for its parent to notice.
func (p linuxProcs) ended(pid int) bool {
	x, err := p.fs.Proc(pid)
	if err != nil {
		return true
	}
	stat, err := x.Stat()
	if err != nil {
		return gone(err) || errors.Is(err, unix.ESRCH)
	}
	return stat.State == "Z" || stat.State == "X"
}
