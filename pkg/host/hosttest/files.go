package hosttest

import (
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// File is a file to lay out. Type is Regular unless it says otherwise (Other is a pipe or a device); Mode 0 means 0644, or 0755 for a directory.
type File struct {
	Path, Content, Target string
	Type                  v1alpha1.FileType
	Mode                  uint32
	UID, GID              int
	Xattrs                map[string][]byte
	Modified              time.Time
}

// Lay puts a file there, durable, with its parents; it is no act of any process.
func (n *Node) Lay(f File) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f.Type == "" {
		f.Type = v1alpha1.Regular
	}
	if f.Mode == 0 {
		f.Mode = 0o644
		if f.Type == v1alpha1.Directory {
			f.Mode = 0o755
		}
	}
	if f.Modified.IsZero() {
		f.Modified = n.clock.now()
	}
	n.fs.lay(f)
}

// Write lays out a regular file, 0644 root:root, with its parents.
func (n *Node) Write(path, content string) { n.Lay(File{Path: path, Content: content}) }

// Dir lays out a directory with its parents.
func (n *Node) Dir(path string, mode uint32) {
	n.Lay(File{Path: path, Type: v1alpha1.Directory, Mode: mode})
}

// Link lays out a symbolic link.
func (n *Node) Link(path, target string) {
	n.Lay(File{Path: path, Type: v1alpha1.Symlink, Target: target, Mode: 0o777})
}

// Remove removes a file or a whole directory.
func (n *Node) Remove(path string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fs.uproot(path)
}

// Content returns what a regular file holds, links followed.
func (n *Node) Content(path string) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	i, _, err := n.fs.follow(path)
	if err != nil || i.kind != v1alpha1.Regular {
		return "", false
	}
	return string(i.data), true
}

// Snapshot returns everything below the given directories, by path; times are left out.
func (n *Node) Snapshot(dirs ...string) map[string]File {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fs.snapshot(dirs)
}
