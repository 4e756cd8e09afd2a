//go:build linux

package host

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"golang.org/x/sys/unix"
)

// Put works below an os.Root: between looking and writing nobody can lead it out of the allowlist by a link.
func (l linuxFiles) Put(p string, want v1alpha1.FileState, content []byte) error {
	dir, rel, err := l.allow.place(p)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if gone(err) {
		if want.Type == v1alpha1.Absent {
			return nil
		}
		return fmt.Errorf("writing %s: %w: %s", p, ErrNotExist, dir)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", p, err)
	}
	defer func() { _ = root.Close() }()
	w := writer{root: root, rel: rel, temps: l.temps}
	switch want.Type {
	case v1alpha1.Absent:
		err = w.remove()
	case v1alpha1.Directory:
		err = w.directory(want)
	case v1alpha1.Symlink:
		err = w.replace(want, func(temp string) error { return root.Symlink(want.Target, temp) })
	case v1alpha1.Regular:
		err = w.replace(want, func(temp string) error { return w.create(temp, content) })
	default:
		err = fmt.Errorf("type %q can't be made", want.Type)
	}
	return err
}

// writer changes one path below a root.
type writer struct {
	root  *os.Root
	rel   string
	temps *temps
}

func (w writer) remove() error {
	info, err := w.root.Lstat(w.rel)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	err = w.root.Remove(w.rel)
	if gone(err) || info.IsDir() && (errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST)) {
		return nil
	}
	if err != nil {
		return err
	}
	return w.sync(path.Dir(w.rel))
}

func (w writer) directory(want v1alpha1.FileState) error {
	err := w.root.Mkdir(w.rel, 0o700)
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	info, err := w.root.Lstat(w.rel)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("something that isn't a directory is in the way")
	}
	if err := w.dress(w.rel, want); err != nil {
		return err
	}
	if err := w.sync(w.rel); err != nil {
		return err
	}
	return w.sync(path.Dir(w.rel))
}

func (w writer) create(temp string, content []byte) error {
	f, err := w.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// replace makes something under a temporary name, dresses it and renames it over the path.
func (w writer) replace(want v1alpha1.FileState, create func(temp string) error) error {
	if info, err := w.root.Lstat(w.rel); err == nil && info.IsDir() {
		return errors.New("a directory is in the way")
	}
	// The name stands in the allowlisted directory, not beside the path: CRI-O reads every file of crio.conf.d, and a crash
	// must not leave it one more. Only another file system mounted in between forces it beside the path.
	temp := w.temps.name()
	err := w.place(temp, want, create)
	if errors.Is(err, unix.EXDEV) {
		temp = path.Join(path.Dir(w.rel), w.temps.name())
		err = w.place(temp, want, create)
	}
	if err != nil {
		return err
	}
	if dir := path.Dir(temp); dir != path.Dir(w.rel) {
		if err := w.sync(dir); err != nil {
			return err
		}
	}
	return w.sync(path.Dir(w.rel))
}

// place makes it under the temporary name and renames it; where that fails, on a full disk too, nothing stays.
func (w writer) place(temp string, want v1alpha1.FileState, create func(temp string) error) error {
	err := create(temp)
	if err == nil {
		err = w.finish(temp, want)
	}
	if err != nil {
		_ = w.root.Remove(temp)
	}
	return err
}

func (w writer) finish(temp string, want v1alpha1.FileState) error {
	if err := w.dress(temp, want); err != nil {
		return err
	}
	if want.Type == v1alpha1.Regular {
		if err := w.sync(temp); err != nil {
			return err
		}
	}
	return w.root.Rename(temp, w.rel)
}

// dress gives what stands at rel the wanted owner, mode and extended attributes.
func (w writer) dress(rel string, want v1alpha1.FileState) error {
	if err := w.root.Lchown(rel, want.UID, want.GID); err != nil {
		return err
	}
	parent, err := w.root.Open(path.Dir(rel))
	if err != nil {
		return err
	}
	defer parent.Close()
	// The kernel has no xattr calls relative to a directory; its own link to the open directory is one that can't be moved.
	at := filepath.Join("/proc/self/fd", strconv.Itoa(int(parent.Fd())), path.Base(rel))
	if want.Type != v1alpha1.Symlink {
		// After the owner: a change of owner clears setuid and setgid.
		if err := unix.Fchmodat(int(parent.Fd()), path.Base(rel), want.Mode&0o7777, 0); err != nil {
			return err
		}
	}
	return setXattrs(at, want.Xattrs, w.label())
}

func (w writer) label() []byte {
	parent, err := w.root.Open(path.Dir(w.rel))
	if err != nil {
		return nil
	}
	defer parent.Close()
	dir := filepath.Join("/proc/self/fd", strconv.Itoa(int(parent.Fd())))
	return labelFor(filepath.Join(dir, path.Base(w.rel)), dir+"/.")
}

func (w writer) sync(rel string) error {
	f, err := w.root.Open(rel)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

const tempPrefix = ".kubectl-runtime-"

// temps hands out temporary names that tell whose they are.
type temps struct{ last atomic.Int64 }

func (t *temps) name() string {
	return fmt.Sprintf("%s%d-%d", tempPrefix, os.Getpid(), t.last.Add(1))
}

// Sweep looks in both places where replace may have put a temporary name.
func (l linuxFiles) Sweep(paths ...string) error {
	done := map[string]bool{}
	for _, p := range paths {
		dir, rel, err := l.allow.place(p)
		if err != nil {
			continue // Put has left nothing where it may not write
		}
		root, err := os.OpenRoot(dir)
		if gone(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("sweeping %s: %w", dir, err)
		}
		for _, in := range []string{".", path.Dir(rel)} {
			if at := path.Join(dir, in); !done[at] {
				done[at] = true
				if err := sweep(root, in); err != nil {
					return errors.Join(fmt.Errorf("sweeping %s: %w", at, err), root.Close())
				}
			}
		}
		if err := root.Close(); err != nil {
			return err
		}
	}
	return nil
}

func sweep(root *os.Root, in string) error {
	dir, err := root.Open(in)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		rest, ours := strings.CutPrefix(name, tempPrefix)
		owner, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(owner)
		if !ours || err != nil || pid == os.Getpid() || agent(pid) {
			continue
		}
		if err := root.Remove(path.Join(in, name)); err != nil && !gone(err) {
			return err
		}
	}
	return nil
}

// agent reports whether a process is one of ours: after a reboot a number that one had is soon another's. All agents stand in one directory.
func agent(pid int) bool {
	its, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	mine, err2 := os.Readlink("/proc/self/exe")
	return err == nil && err2 == nil && path.Dir(its) == path.Dir(mine)
}
