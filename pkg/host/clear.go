//go:build linux

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// ClearSocket refuses paths that no daemon of a runtime binds: a plan can't have anything else moved by it.
func (linuxFiles) ClearSocket(p string) (found v1alpha1.FileType, aside string, err error) {
	if !path.IsAbs(p) || path.Clean(p) != p || !strings.Contains(path.Base(p), ".sock") {
		return "", "", fmt.Errorf("clearing %q: not the path of a socket", p)
	}
	// Below a root, and by the last element alone: nobody leads it elsewhere by a link between looking and removing.
	root, err := os.OpenRoot(path.Dir(p))
	if gone(err) {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("clearing %s: %w", p, err)
	}
	defer func() { _ = root.Close() }()
	return clearSocket(root, path.Base(p), p)
}

func clearSocket(root *os.Root, name, p string) (v1alpha1.FileType, string, error) {
	info, err := root.Lstat(name)
	if gone(err) {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("clearing %s: %w", p, err)
	}
	found := otherType
	switch info.Mode().Type() {
	case fs.ModeSocket:
		return "", "", nil
	case fs.ModeSymlink:
		if to, err := os.Stat(p); err == nil && to.Mode().Type() == fs.ModeSocket {
			return "", "", nil
		}
		found = v1alpha1.Symlink
	case 0:
		found = v1alpha1.Regular
	case fs.ModeDir:
		found = v1alpha1.Directory
		err := root.Remove(name)
		if err == nil || gone(err) {
			return found, "", nil
		}
		if !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
			return found, "", fmt.Errorf("removing the directory %s: %w", p, err)
		}
	}
	for n := 1; n <= 100; n++ {
		free := fmt.Sprintf("%s.aside-%d", name, n)
		if _, err := root.Lstat(free); !gone(err) {
			continue
		}
		if err := root.Rename(name, free); err != nil {
			return found, "", fmt.Errorf("moving %s aside: %w", p, err)
		}
		return found, path.Join(path.Dir(p), free), nil
	}
	return found, "", fmt.Errorf("moving %s aside: there are a hundred of them already", p)
}

// SyncFS syncs that one file system: to sync all of them could wait forever for a network file system whose server is away.
func (linuxFiles) SyncFS(p string) error {
	f, err := os.Open(p)
	if err != nil {
		return fmt.Errorf("syncing the file system of %s: %w", p, err)
	}
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return errors.Join(fmt.Errorf("syncing the file system of %s: %w", p, err), f.Close())
	}
	return f.Close()
}

// Replaceable looks at what would stop a rename and then writes a temporary file where Put would.
func (l linuxFiles) Replaceable(p string) error {
	dir, rel, err := l.allow.place(p)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s can't be replaced: %w", p, err)
	}
	defer func() { _ = root.Close() }()
	for _, at := range []string{p, path.Dir(p)} {
		if err := fixed(at); err != nil {
			return fmt.Errorf("%s can't be replaced: %w", p, err)
		}
	}
	if mounted, err := mountinfo.Mounted(p); err == nil && mounted {
		return fmt.Errorf("%s can't be replaced: something is mounted over it", p)
	}
	if _, err := root.Lstat(path.Dir(rel)); gone(err) {
		return nil // the plan makes the directory first
	}
	w := writer{root: root, rel: rel, temps: l.temps}
	// Beside the path: that directory must take a new entry, wherever Put writes it first.
	temp := path.Join(path.Dir(rel), l.temps.name())
	err = w.create(temp, []byte("probe"))
	if err == nil {
		err = errors.Join(w.sync(temp), root.Remove(temp))
	}
	if err != nil {
		return fmt.Errorf("%s can't be replaced: its directory takes no file: %w", p, err)
	}
	return nil
}

// fixed reports the attributes that keep even root from replacing what stands at a path.
func fixed(p string) error {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, p, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &st)
	switch {
	case gone(err), errors.Is(err, unix.ENOSYS):
		return nil
	case err != nil:
		return err
	case st.Attributes&unix.STATX_ATTR_IMMUTABLE != 0:
		return fmt.Errorf("%s is immutable (chattr -i %s makes it writable)", p, p)
	case st.Attributes&unix.STATX_ATTR_APPEND != 0:
		return fmt.Errorf("%s is append-only (chattr -a %s makes it writable)", p, p)
	}
	return nil
}
