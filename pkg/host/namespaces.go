//go:build linux

package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"
)

// madeByRuntime matches the names under which runtimes bind namespaces: containerd's "cni-" and a UUID, CRI-O's bare UUID,
// Docker's twelve digits in a directory of its own. What an operator made with ip netns has another name.
var madeByRuntime = regexp.MustCompile(`^(?:(?:cni-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{12})$`)

// removeNamespaces unbinds the namespaces in dir that no process is in, and the machine's own, which CRI-O binds for each pod
// of the host's network: that one needs no name. The kind of namespace is in the directory's name:
// netns, ipcns, utsns, userns, pidns.
func removeNamespaces(procs linuxProcs, dir string) error {
	names, err := list(dir)
	if errors.Is(err, ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for unused namespaces: %w", err)
	}
	kind := map[string]string{"netns": "net", "ipcns": "ipc", "utsns": "uts", "userns": "user", "pidns": "pid"}[filepath.Base(dir)]
	used, err := namespacesInUse(procs, kind)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if !madeByRuntime.MatchString(name) {
			continue
		}
		file := filepath.Join(dir, name)
		var st unix.Stat_t
		if err := unix.Stat(file, &st); err != nil || used[st.Ino] {
			continue
		}
		err := systemMounts{}.unmount(file)
		if err == nil {
			err = os.Remove(file)
		}
		if err != nil && !gone(err) {
			errs = append(errs, fmt.Errorf("removing namespace %s: %w", file, err))
		}
	}
	return errors.Join(errs...)
}

// namespacesInUse are the inodes of the namespaces of that kind that processes are in.
func namespacesInUse(procs linuxProcs, kind string) (map[uint64]bool, error) {
	pids, err := procs.pids()
	if err != nil {
		return nil, err
	}
	used := map[uint64]bool{}
	for _, pid := range pids {
		var st unix.Stat_t
		if unix.Stat(procs.path(pid, "ns/"+kind), &st) == nil {
			used[st.Ino] = true
		}
	}
	var own unix.Stat_t
	if unix.Stat(procs.path(os.Getpid(), "ns/"+kind), &own) == nil {
		delete(used, own.Ino)
	}
	return used, nil
}
