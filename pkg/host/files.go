//go:build linux

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"golang.org/x/sys/unix"
)

// otherType is what Lstat reports for pipes and devices, of which a plan can't speak.
const otherType v1alpha1.FileType = "other"

type linuxFiles struct {
	allow allowlist
	temps *temps
}

func newFiles(allow []v1alpha1.WritablePath) linuxFiles {
	return linuxFiles{allow: allow, temps: &temps{}}
}

// gone translates the ways in which a path isn't there: a parent that is a file counts.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}

func lstat(path string) (v1alpha1.File, error) {
	f := v1alpha1.File{Path: path, Type: v1alpha1.Absent}
	info, err := os.Lstat(path)
	if gone(err) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return f, fmt.Errorf("looking at %s: %w", path, err)
	}
	f.Mode = st.Mode & 0o7777
	f.UID, f.GID = int(st.Uid), int(st.Gid)
	f.Modified = info.ModTime()
	switch info.Mode().Type() {
	case 0:
		f.Type, f.Size = v1alpha1.Regular, info.Size()
	case fs.ModeDir:
		f.Type = v1alpha1.Directory
	case fs.ModeSymlink:
		f.Type = v1alpha1.Symlink
		if f.Target, err = os.Readlink(path); err != nil {
			return f, err
		}
	case fs.ModeSocket:
		f.Type = v1alpha1.Socket
	default:
		f.Type = otherType
	}
	f.Xattrs, err = listXattrs(path)
	return f, err
}

func (linuxFiles) Filesystem(path string) (v1alpha1.Filesystem, error) {
	out := v1alpha1.Filesystem{Path: path}
	for at := path; ; at = filepath.Dir(at) {
		var vfs unix.Statfs_t
		err := unix.Statfs(at, &vfs)
		if gone(err) && at != "/" {
			continue
		}
		if err != nil {
			return out, fmt.Errorf("looking at the file system of %s: %w", path, err)
		}
		var st unix.Stat_t
		if err := unix.Stat(at, &st); err != nil {
			return out, fmt.Errorf("looking at %s: %w", at, err)
		}
		out.Type = filesystemType(vfs.Type)
		out.Device = fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
		if out.Type == "btrfs" {
			// Subvolumes have device numbers of their own and share their room.
			out.Device = fmt.Sprintf("btrfs:%x", vfs.Fsid.Val)
		}
		block := vfs.Frsize
		if block == 0 {
			block = vfs.Bsize
		}
		out.Bytes, out.FreeBytes = int64(vfs.Blocks)*block, int64(vfs.Bavail)*block
		out.Inodes, out.FreeInodes = int64(vfs.Files), int64(vfs.Ffree)
		out.ReadOnly = vfs.Flags&unix.ST_RDONLY != 0
		out.NoExec = vfs.Flags&unix.ST_NOEXEC != 0
		out.NoFileTypes = noFileTypes(at)
		return out, nil
	}
}

func filesystemType(magic int64) string {
	switch uint32(magic) {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.NFS_SUPER_MAGIC:
		return "nfs"
	case unix.F2FS_SUPER_MAGIC:
		return "f2fs"
	case 0x2fc12fc1:
		return "zfs"
	}
	return fmt.Sprintf("0x%x", uint32(magic))
}
