//go:build linux

package host

import (
	endian "encoding/binary"

	"golang.org/x/sys/unix"
)

// noFileTypes reports whether a directory tells of none of its entries what type it is: XFS made with ftype=0, or ext4
// without the feature filetype. The first of its entries, "." and ".." at least, are looked at; what can't be read isn't
// said to lack anything.
func noFileTypes(dir string) bool {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	buf := make([]byte, 4096)
	n, err := unix.Getdents(fd, buf)
	if err != nil || n <= 0 {
		return false
	}
	return !tellsTypes(buf[:n])
}

// tellsTypes reads linux_dirent64 records: inode and offset of eight bytes each, the record's length in two, the type in
// one, the name.
func tellsTypes(records []byte) bool {
	const length, kind, name = 16, 18, 19
	for len(records) > name {
		if records[kind] != unix.DT_UNKNOWN {
			return true
		}
		n := int(endian.NativeEndian.Uint16(records[length:]))
		if n < name || n > len(records) {
			return false
		}
		records = records[n:]
	}
	return false
}
