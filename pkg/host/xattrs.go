//go:build linux

package host

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

const selinuxXattr = "security.selinux"

// carried reports whether an extended attribute belongs to a photograph. Those that the kernel computes from the content
// would be wrong on another content.
func carried(name string) bool {
	return name != "security.ima" && name != "security.evm" && !strings.HasPrefix(name, "trusted.overlay.")
}

// listXattrs reads the extended attributes of path itself; a file system without any has none.
func listXattrs(path string) (map[string][]byte, error) {
	size, err := unix.Llistxattr(path, nil)
	if unsupported(err) || size == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the extended attributes of %s: %w", path, err)
	}
	list := make([]byte, size+1024)
	size, err = unix.Llistxattr(path, list)
	if err != nil {
		return nil, fmt.Errorf("listing the extended attributes of %s: %w", path, err)
	}
	var out map[string][]byte
	for _, name := range bytes.Split(list[:size], []byte{0}) {
		if len(name) == 0 || !carried(string(name)) {
			continue
		}
		value, err := readXattr(path, string(name))
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = map[string][]byte{}
		}
		out[string(name)] = value
	}
	return out, nil
}

func readXattr(path, name string) ([]byte, error) {
	// 64 KiB is the kernel's limit for one value.
	value := make([]byte, 64<<10)
	n, err := unix.Lgetxattr(path, name, value)
	if err != nil {
		return nil, fmt.Errorf("reading %s of %s: %w", name, path, err)
	}
	return bytes.Clone(value[:n]), nil
}

// setXattrs gives the file behind path, never through a final link, the wanted attributes and the label.
func setXattrs(path string, want map[string][]byte, label []byte) error {
	for name, value := range want {
		if !carried(name) {
			continue
		}
		if err := unix.Lsetxattr(path, name, value, 0); err != nil {
			return fmt.Errorf("setting %s: %w", name, err)
		}
	}
	if _, given := want[selinuxXattr]; given || len(label) == 0 {
		return nil
	}
	if err := unix.Lsetxattr(path, selinuxXattr, label, 0); err != nil && !unsupported(err) {
		return fmt.Errorf("setting %s: %w", selinuxXattr, err)
	}
	return nil
}

// labelFor is the SELinux label that something at path should have: the one it has, else its directory's.
func labelFor(path, dir string) []byte {
	for _, p := range []string{path, dir} {
		if label, err := readXattr(p, selinuxXattr); err == nil {
			return label
		}
	}
	return nil
}

func unsupported(err error) bool {
	return errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOPNOTSUPP)
}
