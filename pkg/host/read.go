//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// What others than root may write can be a pipe that nobody writes to, a device, a file without an end, a link to any of them,
// or lie in a file system that never answers. Everything is read by the functions of this file: from regular files alone, up to
// a limit, and for a time.

const (
	// patience is how long a path of root's may take to answer: a disk that is very busy does it sooner.
	patience = time.Minute
	// foreignPatience is how long one may that others can write: somebody may mean it to take long.
	foreignPatience = time.Second
	// maxEntries is more than any directory has that is read here.
	maxEntries = 100_000
)

// bounded does what may never return, and gives it up when ctx ends. What was given up ends with this process at the latest.
func bounded[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// within is bounded for one path.
func within[T any](ctx context.Context, limit time.Duration, what, path string, do func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := ctx.Err(); err != nil {
		var none T
		return none, fmt.Errorf("%s %s: %w", what, path, err)
	}
	out, err := bounded(ctx, do)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%s %s: it does not answer: %w", what, path, err)
	}
	return out, err
}

// readRegular reads a file that was opened by its path alone (O_PATH): nothing was asked of a device or waited for at a pipe so far.
func readRegular(fd int, path string, limit int64) ([]byte, error) {
	at := os.NewFile(uintptr(fd), path)
	defer at.Close()
	info, err := at.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("reading %s: not a regular file", path)
	}
	// The same file, whatever stands at the path by now.
	f, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(fd), os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("reading %s: more than %d bytes", path, limit)
	}
	return data, nil
}

// read reads what a path leads to, links followed.
func read(path string, limit int64) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if gone(err) {
		return nil, fmt.Errorf("reading %s: %w", path, ErrNotExist)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return readRegular(fd, path, limit)
}

// maxFile is more than any file has that is read whole: the index of a store of images.
const maxFile = 64 << 20

// readFile reads a file of root's as os.ReadFile does, with the same errors.
func readFile(path string) ([]byte, error) {
	return within(context.Background(), patience, "reading", path, func() ([]byte, error) {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		return readRegular(fd, path, maxFile)
	})
}

// readBelow reads a file in the directory that a link of the kernel in /proc leads to. The file itself is no link: it would
// lead wherever the owner of the directory wants.
func readBelow(dir, name string, limit int64) ([]byte, error) {
	path := filepath.Join(dir, name)
	return within(context.Background(), foreignPatience, "reading", path, func() ([]byte, error) {
		at, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
		}
		defer func() { _ = unix.Close(at) }()
		fd, err := unix.Openat2(at, name, &unix.OpenHow{
			Flags:   unix.O_PATH | unix.O_CLOEXEC | unix.O_NOFOLLOW,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
		})
		if errors.Is(err, unix.ENOSYS) {
			fd, err = unix.Openat(at, filepath.Base(name), unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		return readRegular(fd, path, limit)
	})
}

// list returns the names in a directory, sorted, links followed. Nothing but a directory is opened.
func list(path string) ([]string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if gone(err) {
		return nil, fmt.Errorf("listing %s: %w", path, ErrNotExist)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	var names []string
	for {
		some, err := f.Readdirnames(1024)
		names = append(names, some...)
		switch {
		case len(names) > maxEntries:
			return nil, fmt.Errorf("listing %s: more than %d entries", path, maxEntries)
		case errors.Is(err, io.EOF):
			slices.Sort(names)
			return names, nil
		case err != nil:
			return nil, err
		}
	}
}

func (linuxFiles) Lstat(path string) (v1alpha1.File, error) {
	return within(context.Background(), patience, "looking at", path, func() (v1alpha1.File, error) { return lstat(path) })
}

func (linuxFiles) Read(path string, limit int64) ([]byte, error) {
	return within(context.Background(), patience, "reading", path, func() ([]byte, error) { return read(path, limit) })
}

func (linuxFiles) ReadDir(path string) ([]string, error) {
	return within(context.Background(), patience, "listing", path, func() ([]string, error) { return list(path) })
}
