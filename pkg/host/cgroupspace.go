//go:build linux

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// EnterCgroups has this program see control groups as PID 1 does. Docker gives a container a cgroup namespace of its own on cgroup v2,
// a privileged one too: from there a pod's group is /../../kubepods-x, which tells nobody's from another's. Only a thread can enter a
// namespace, and this program has several, so it starts itself again from the one that did. Not every nsenter can enter this kind.
func EnterCgroups() error {
	own, err := cgroupSpace("self")
	if err != nil {
		return err
	}
	machine, err := cgroupSpace("1")
	if err != nil || own == machine {
		return err
	}
	// It is never unlocked: what is left of this thread must not serve others.
	runtime.LockOSThread()
	space, err := unix.Open(spacePath("1"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("entering the machine's cgroup namespace: %w", err)
	}
	if err := errors.Join(unix.Setns(space, unix.CLONE_NEWCGROUP), unix.Close(space)); err != nil {
		return fmt.Errorf("entering the machine's cgroup namespace: %w", err)
	}
	if own, err = cgroupSpace("thread-self"); err != nil {
		return err
	}
	if own != machine {
		return fmt.Errorf("entering the machine's cgroup namespace: still in %s, not in %s", own, machine)
	}
	return fmt.Errorf("starting again in the machine's cgroup namespace: %w", unix.Exec("/proc/self/exe", os.Args, os.Environ()))
}

func spacePath(process string) string { return "/proc/" + process + "/ns/cgroup" }

// cgroupSpace names the cgroup namespace of a process; a kernel without such namespaces has one for all.
func cgroupSpace(process string) (string, error) {
	link, err := os.Readlink(spacePath(process))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("looking for the machine's cgroup namespace: %w", err)
	}
	return link, nil
}

// outside is an error where the groups of PID 1 lie outside of this program's cgroup namespace: no group would be told for what it is.
func outside(init map[string]string) error {
	for _, path := range init {
		if path == "/.." || strings.HasPrefix(path, "/../") {
			return fmt.Errorf("this program sees control groups from a cgroup namespace of its own, PID 1 in %s", path)
		}
	}
	return nil
}
