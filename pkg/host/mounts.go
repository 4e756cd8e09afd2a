//go:build linux

package host

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is a line of mountinfo.
type mount struct {
	point, kind string
}

// systemMounts are the mounts that this process sees: it runs in the host's mount namespace.
type systemMounts struct{}

// list returns the mounts in the order in which they were made.
func (systemMounts) list() ([]mount, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	return parseMountinfo(string(data)), nil
}

// parseMountinfo reads lines such as "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw".
func parseMountinfo(text string) []mount {
	var out []mount
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		fields, rest := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(rest) < 1 {
			continue
		}
		out = append(out, mount{point: unescapeMount(fields[4]), kind: rest[0]})
	}
	return out
}

// unescapeMount reverses the octal escapes of space, tab, newline and backslash.
func unescapeMount(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

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
