//go:build linux

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// freezer is the controller that holds processes. In control groups of version 1 what is held doesn't end, whatever is sent to it: a
// container that somebody has paused, and one that was being made when its runtime was killed, as runc holds a group while it sets it
// up. Version 2 lets go of what is killed.
const freezer = "freezer"

// thaw lets go of a pod's process that its group holds, or one above, up to the kubelet's.
func (p linuxPods) thaw(pid int) error {
	groups, err := p.procs.cgroups(pid)
	if err != nil {
		return nil // it ended meanwhile
	}
	init, err := p.procs.cgroups(1)
	if err != nil {
		return err
	}
	group := groups[freezer]
	if !inPod(group, init[freezer]) {
		return nil
	}
	root, err := freezerRoot(group)
	if err != nil {
		return err
	}
	for ; inPod(group, init[freezer]); group = path.Dir(group) {
		file := filepath.Join(root, group, "freezer.state")
		state, err := readFile(file)
		if err == nil && strings.TrimSpace(string(state)) != "THAWED" {
			err = os.WriteFile(file, []byte("THAWED"), 0) // it is there: the mode is nobody's
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("letting go of process %d, which is paused: %w", pid, err)
		}
	}
	return nil
}

// freezerRoot is the directory below which a group's path leads to it.
func freezerRoot(group string) (string, error) {
	list, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup"))
	if err != nil {
		return "", fmt.Errorf("looking for the control groups that hold processes: %w", err)
	}
	for _, m := range list {
		if below := m.Root == "/" || strings.HasPrefix(group, m.Root+"/"); below && hasOption(m.VFSOptions, freezer) {
			return strings.TrimSuffix(m.Mountpoint, m.Root), nil
		}
	}
	return "", errors.New("the control groups that hold processes are mounted nowhere")
}
