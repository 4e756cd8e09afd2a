package hosttest

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// Other is the type of a pipe or a device, as File.Type: nobody reads it.
const Other v1alpha1.FileType = "other"

// HangPath makes a path, and what is below it, never answer: a dead file server, or a file system of somebody who means it. Whoever
// looks is told when his patience is at its end; the test doesn't wait for that.
func (n *Node) HangPath(p string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hanging[p] = true
}

// hangs is what a look at a path meets that leads to what hangs.
func (n *Node) hangs(p string) error {
	at, err := n.fs.walk(p, 0)
	if err != nil {
		return nil //nolint:nilerr // it leads nowhere, which is told by who looks
	}
	for ; ; at = path.Dir(at) {
		if n.hanging[at] {
			n.waits++
			return fmt.Errorf("reading %s: it does not answer: %w", p, context.DeadlineExceeded)
		}
		if at == "/" {
			return nil
		}
	}
}

// Waits is how often somebody looked at what hangs, and waited in vain.
func (n *Node) Waits() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.waits
}

func (f files) Foreign(ctx context.Context) host.Reader { return foreign{files: f, ctx: ctx} }

// foreign is what others may write, as long as ctx lasts.
type foreign struct {
	files files
	ctx   context.Context
}

func (f foreign) Lstat(p string) (v1alpha1.File, error) {
	if err := f.ctx.Err(); err != nil {
		return v1alpha1.File{}, err
	}
	return f.files.Lstat(p)
}

func (f foreign) Read(p string, limit int64) ([]byte, error) {
	if err := f.ctx.Err(); err != nil {
		return nil, err
	}
	return f.files.Read(p, limit)
}

func (f foreign) ReadDir(p string) ([]string, error) {
	if err := f.ctx.Err(); err != nil {
		return nil, err
	}
	return f.files.ReadDir(p)
}

func (f files) Program(p string) (string, error) {
	leave, err := f.p.enter()
	if err != nil {
		return "", err
	}
	defer leave()
	return f.p.n.trusted(p)
}

// trusted is the file that p leads to, if root alone may write it and the directories above it. Those on the way of links are
// looked at where they are part of the path itself or of where it ends.
func (n *Node) trusted(p string) (string, error) {
	i, at, err := n.fs.follow(p)
	if err != nil {
		return "", err
	}
	if i.kind != v1alpha1.Regular || i.mode&0o111 == 0 {
		return "", fmt.Errorf("%s: %s is no program", p, at)
	}
	for _, way := range []string{path.Dir(path.Clean(p)), at} {
		for ; ; way = path.Dir(way) {
			if i := n.fs.now[way]; i != nil && i.kind != v1alpha1.Symlink && (i.uid != 0 || i.mode&0o022 != 0) {
				return "", &host.UntrustedError{Program: p, At: way, UID: i.uid, Mode: i.mode}
			}
			if way == "/" {
				break
			}
		}
	}
	return at, nil
}

// runnable is trusted for what is run by a name alone, too.
func (n *Node) runnable(name string) error {
	if !strings.Contains(name, "/") {
		return nil // the directories that are searched are the system's
	}
	_, err := n.trusted(name)
	return err
}
