//go:build linux

package host

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// systemMounts are the mounts that this process sees: it runs in the host's mount namespace.
type systemMounts struct{}

// points returns where something is mounted, in the order in which it was.
func (systemMounts) points() ([]string, error) {
	list, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	var out []string
	for _, m := range list {
		out = append(out, m.Mountpoint)
	}
	return out, nil
}

// volume tells the mount points of volumes below any kubelet's root directory: a pod's own, those of its subPaths, and those that
// a driver shares between pods.
var volume = regexp.MustCompile(`/pods/[0-9a-f-]{32,36}/volume(?:s|-subpaths)/|/plugins/kubernetes\.io/.*/(?:globalmount|mounts)(?:/|$)`)

func (p linuxPods) Volumes(context.Context) (map[string]string, error) {
	list, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	out := map[string]string{}
	for _, m := range list {
		if volume.MatchString(m.Mountpoint) {
			out[m.Mountpoint] = m.FSType
		}
	}
	return out, nil
}

func (linuxKernel) Mounts() ([]v1alpha1.Mount, error) {
	list, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	var out []v1alpha1.Mount
	for _, m := range list {
		// A mount may be read-only itself, or its whole file system.
		out = append(out, v1alpha1.Mount{Path: m.Mountpoint, ReadOnly: hasOption(m.Options, "ro") || hasOption(m.VFSOptions, "ro")})
	}
	return out, nil
}

func hasOption(options, name string) bool { return slices.Contains(strings.Split(options, ","), name) }

// unmountIdle unmounts what nobody uses. What is in use stays.
func (systemMounts) unmountIdle(point string) error {
	if err := unix.Unmount(point, unix.UMOUNT_NOFOLLOW); err != nil && err != unix.EBUSY && err != unix.EINVAL && !gone(err) {
		return fmt.Errorf("unmounting %s: %w", point, err)
	}
	return nil
}

// unmount detaches what is mounted at point now; who still uses it keeps it until they are done.
func (systemMounts) unmount(point string) error {
	if err := unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && err != unix.EINVAL && !gone(err) {
		return fmt.Errorf("unmounting %s: %w", point, err)
	}
	return nil
}
