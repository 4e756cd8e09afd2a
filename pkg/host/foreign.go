//go:build linux

package host

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func (linuxFiles) Foreign(ctx context.Context) Reader {
	f := foreignFiles{ctx: ctx}
	list, err := mountinfo.GetMounts(nil)
	if err != nil {
		return f // what is read is bounded in time all the same
	}
	for _, m := range list {
		if servedByUser(m) {
			f.served = append(f.served, m.Mountpoint)
		}
	}
	return f
}

// servedByUser reports whether a program of another user than root answers for a file system (FUSE). Where it lets others in
// (user_allow_other) a thread that asks it for anything waits until it answers, and no signal ends that.
func servedByUser(m *mountinfo.Info) bool {
	if m.FSType != "fuse" && !strings.HasPrefix(m.FSType, "fuse.") {
		return false
	}
	return !hasOption(m.VFSOptions, "user_id=0")
}

// foreignFiles are files that others than root may write, as long as its context lasts.
type foreignFiles struct {
	ctx context.Context
	// served are the mount points of file systems that programs of users answer for. Nothing is asked there.
	served []string
}

func (f foreignFiles) Lstat(path string) (v1alpha1.File, error) {
	return foreign(f, "looking at", path, lstat)
}

func (f foreignFiles) Read(path string, limit int64) ([]byte, error) {
	return foreign(f, "reading", path, func(path string) ([]byte, error) { return read(path, limit) })
}

func (f foreignFiles) ReadDir(path string) ([]string, error) {
	return foreign(f, "listing", path, list)
}

// foreign asks for a path for as long as one that others can write may take, unless the way leads where nothing is asked.
func foreign[T any](f foreignFiles, what, path string, ask func(path string) (T, error)) (T, error) {
	return within(f.ctx, foreignPatience, what, path, func() (T, error) {
		if err := f.avoid(path); err != nil {
			var none T
			return none, fmt.Errorf("%s %s: %w", what, path, err)
		}
		return ask(path)
	})
}

// avoid walks to a path, links followed, and is an error where the way leads over a mount point that is served by a user's program: it
// is seen before anything is asked below it. A path that isn't there is left to who asks for it.
func (f foreignFiles) avoid(p string) error {
	if len(f.served) == 0 {
		return nil
	}
	at, left, links := "/", strings.Split(p, "/"), 0
	for len(left) > 0 {
		name := left[0]
		left = left[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, name)
		if slices.Contains(f.served, next) {
			return fmt.Errorf("a user's program serves the file system at %s", next)
		}
		target, err := os.Readlink(next)
		if err != nil {
			at = next
			continue
		}
		if links++; links > maxProgramLinks {
			return unix.ELOOP
		}
		if path.IsAbs(target) {
			at = "/"
		}
		left = append(strings.Split(target, "/"), left...)
	}
	return nil
}
