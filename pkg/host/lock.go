//go:build linux

package host

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// open opens a path for writing below its root, created with mode 0600.
func (l linuxFiles) open(p string, flags int) (*os.File, error) {
	dir, rel, err := l.allow.place(p)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", p, err)
	}
	defer func() { _ = root.Close() }()
	f, err := root.OpenFile(rel, flags|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", p, err)
	}
	return f, nil
}

func (l linuxFiles) Append(p string, data []byte) error {
	f, err := l.open(p, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// Lock relies on Go opening every file close-on-exec: a program started meanwhile would keep the lock for its life.
func (l linuxFiles) Lock(p string, wait bool) (unlock func(), err error) {
	f, err := l.open(p, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("locking %s: %w", p, err)
	}
	return func() { _ = f.Close() }, nil
}

// RemoveAll stops at mounts: what a staged daemon left mounted below would otherwise be emptied.
func (l linuxFiles) RemoveAll(p string) error {
	dir, rel, err := l.allow.place(p)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", p, err)
	}
	defer func() { _ = root.Close() }()
	var st unix.Stat_t
	err = unix.Lstat(p, &st)
	if gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", p, err)
	}
	mounts, err := systemMounts{}.points()
	if err != nil {
		return err
	}
	for _, point := range mounts {
		if below(point, p) {
			return fmt.Errorf("removing %s: something is mounted at %s", p, point)
		}
	}
	if err := root.RemoveAll(rel); err != nil {
		return fmt.Errorf("removing %s: %w", p, err)
	}
	return nil
}
