//go:build linux

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Any user can name a program like a daemon, start it with the arguments of one, in a directory of his choice, and put what he
// likes into its environment. What he can't choose is what the kernel keeps beside that: its user, its namespaces and, but below
// a group that is his, its cgroup. A process is taken for a daemon, a monitor or a plugin by these alone.

// machine is what tells the machine's own processes from those in containers.
type machine struct {
	// pid, user and mount are its namespaces, which this program enters before it does anything.
	pid, user, mount string
	// init are the cgroups of PID 1.
	init map[string]string
}

// here reads them.
func (p linuxProcs) here() (machine, error) {
	var out machine
	for kind, to := range map[string]*string{"pid": &out.pid, "user": &out.user, "mnt": &out.mount} {
		link, err := os.Readlink(filepath.Join(p.root, "self/ns", kind))
		if err != nil && (kind == "pid" || !errors.Is(err, fs.ErrNotExist)) {
			return out, fmt.Errorf("looking for the machine's own namespaces: %w", err)
		}
		*to = link // empty: a kernel without namespaces of that kind
	}
	var err error
	if out.init, err = p.cgroups(1); err != nil {
		return out, fmt.Errorf("looking for the machine's own control groups: %w", err)
	}
	return out, nil
}

// ofHost reports whether a process is the machine's own: root's, and in no container. What is in a pod's cgroup and sees the
// machine's files has entered the machine from that pod, which only root does: so does this program.
func (p linuxProcs) ofHost(pid int, here machine) bool {
	if !p.ofRoot(pid, here) {
		return false
	}
	if ns, err := p.namespace(pid, "pid"); err != nil || ns != here.pid {
		return false
	}
	if ns, err := p.namespace(pid, "mnt"); err == nil && ns == here.mount {
		return true
	}
	groups, err := p.cgroups(pid)
	return err == nil && !inPodAnywhere(groups, here.init)
}

// ofRoot reports whether a process is root's by all of its user IDs, the real one too: a program that gets root's rights from its
// file (setuid) is named and called by whoever starts it. Root of another user namespace is somebody else here. The owner of a
// directory in /proc says less: a process that hides its memory seems to be root's.
func (p linuxProcs) ofRoot(pid int, here machine) bool {
	x, err := p.fs.Proc(pid)
	if err != nil {
		return false
	}
	status, err := x.NewStatus()
	if err != nil || status.UIDs != [4]uint64{} {
		return false
	}
	ns, err := p.namespace(pid, "user")
	return err == nil && ns == here.user
}

// namespace names one of a process's namespaces; a kernel without those of that kind has one for all.
func (p linuxProcs) namespace(pid int, kind string) (string, error) {
	link, err := os.Readlink(p.path(pid, filepath.Join("ns", kind)))
	if errors.Is(err, fs.ErrNotExist) && kind == "user" {
		return "", nil
	}
	return link, err
}
