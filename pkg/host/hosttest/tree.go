package hosttest

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// inode is a file. It is never changed once it stands in the tree, but for synced.
type inode struct {
	kind     v1alpha1.FileType
	data     []byte
	mode     uint32
	uid, gid int
	xattrs   map[string][]byte
	target   string
	mtime    time.Time
	synced   int // bytes of data that are on the disk
}

// entry is a directory entry that changed; a change is one that the disk takes whole or not at all.
type entry struct {
	path     string
	old, new *inode
}
type change struct {
	dir     string
	entries []entry
}

// tree is a file system: what processes see, and which changes the disk may still lose.
type tree struct {
	now     map[string]*inode
	pending []change
	units   map[string]*definition // as read since the last change of a unit file
}

// touched forgets the units that were read if p may belong to one.
func (t *tree) touched(p string) {
	if strings.Contains(p, "/systemd") {
		t.units = nil
	}
}

func newTree() *tree {
	return &tree{now: map[string]*inode{"/": {kind: v1alpha1.Directory, mode: 0o755}}}
}

// locate resolves the links on the way to p, not p itself.
func (t *tree) locate(p string) (string, error) {
	if p == "/" {
		return p, nil
	}
	dir, err := t.walk(path.Dir(p), 0)
	if err != nil {
		return "", err
	}
	return path.Join(dir, path.Base(p)), nil
}

func (t *tree) walk(p string, depth int) (string, error) {
	if depth > 20 {
		return "", syscall.ELOOP
	}
	at := "/"
	for part := range strings.SplitSeq(strings.Trim(p, "/"), "/") {
		if part == "" {
			continue
		}
		at = path.Join(at, part)
		if i := t.now[at]; i != nil && i.kind == v1alpha1.Symlink {
			target := i.target
			if !path.IsAbs(target) {
				target = path.Join(path.Dir(at), target)
			}
			var err error
			if at, err = t.walk(target, depth+1); err != nil {
				return "", err
			}
		}
	}
	return at, nil
}

// follow resolves p entirely.
func (t *tree) follow(p string) (*inode, string, error) {
	at, err := t.walk(p, 0)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", p, err)
	}
	if i := t.now[at]; i != nil {
		return i, at, nil
	}
	return nil, "", fmt.Errorf("%s: %w", p, host.ErrNotExist)
}

func (t *tree) children(dir string) []string {
	var names []string
	prefix := strings.TrimSuffix(dir, "/") + "/"
	for p := range t.now {
		if name, ok := strings.CutPrefix(p, prefix); ok && name != "" && !strings.Contains(name, "/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// lay puts a file there for good, with its parents.
func (t *tree) lay(f File) {
	at, err := t.locate(f.Path)
	if err != nil {
		panic(fmt.Sprintf("hosttest: laying out %s: %v", f.Path, err))
	}
	for d := path.Dir(at); t.now[d] == nil; d = path.Dir(d) {
		t.now[d] = &inode{kind: v1alpha1.Directory, mode: 0o755, mtime: f.Modified}
	}
	t.touched(at)
	t.now[at] = &inode{
		kind: f.Type, data: []byte(f.Content), mode: f.Mode, uid: f.UID, gid: f.GID, xattrs: f.Xattrs, target: f.Target,
		mtime: f.Modified, synced: len(f.Content),
	}
}

func (t *tree) uproot(p string) {
	at, err := t.locate(p)
	if err != nil {
		return
	}
	t.units = nil
	for q := range t.now {
		if q == at || strings.HasPrefix(q, at+"/") {
			delete(t.now, q)
		}
	}
}

func (t *tree) snapshot(dirs []string) map[string]File {
	out := map[string]File{}
	for p, i := range t.now {
		if !slices.ContainsFunc(dirs, func(d string) bool { return p == d || strings.HasPrefix(p, strings.TrimSuffix(d, "/")+"/") }) {
			continue
		}
		f := File{
			Path: p, Type: i.kind, Content: string(i.data), Mode: i.mode, UID: i.uid, GID: i.gid, Target: i.target,
		}
		if len(i.xattrs) > 0 {
			f.Xattrs = maps.Clone(i.xattrs)
		}
		out[p] = f
	}
	return out
}

// set changes entries of one directory, visible at once and on the disk after sync.
func (t *tree) set(dir string, entries ...entry) {
	for k := range entries {
		e := &entries[k]
		t.touched(e.path)
		e.old = t.now[e.path]
		if e.new == nil {
			delete(t.now, e.path)
		} else {
			t.now[e.path] = e.new
		}
	}
	t.pending = append(t.pending, change{dir, entries})
}

// sync is fsync of the directory.
func (t *tree) sync(dir string) {
	t.pending = slices.DeleteFunc(t.pending, func(c change) bool { return c.dir == dir })
}

// lose is the loss of power: keep says of each change that no fsync confirmed whether the disk took it, and how much of
// content that wasn't fsynced.
func (t *tree) lose(keep func() bool) {
	t.units = nil
	for _, c := range slices.Backward(t.pending) {
		if keep() {
			continue
		}
		for _, e := range c.entries {
			if t.now[e.path] != e.new {
				continue
			}
			if e.old == nil {
				delete(t.now, e.path)
			} else {
				t.now[e.path] = e.old
			}
		}
	}
	t.pending = nil
	for p, i := range t.now {
		if i.synced < len(i.data) && !keep() {
			cut := *i
			cut.data = i.data[:i.synced+(len(i.data)-i.synced)/2]
			cut.synced = len(cut.data)
			t.now[p] = &cut
		}
		i.synced = len(i.data)
	}
	for p := range t.now {
		if t.orphan(p) {
			delete(t.now, p)
		}
	}
}

func (t *tree) orphan(p string) bool {
	for d := path.Dir(p); d != "/"; d = path.Dir(d) {
		if i := t.now[d]; i == nil || i.kind != v1alpha1.Directory {
			return true
		}
	}
	return false
}

var errNotDir = errors.New("not a directory")
