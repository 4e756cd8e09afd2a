package hosttest

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// tempPrefix begins the names that Put writes first.
const tempPrefix = ".kubectl-runtime-"

// files is host.Files for one process.
type files struct{ p *Process }

// enter locks the node for a living process.
func (p *Process) enter() (func(), error) {
	p.n.mu.Lock()
	if p.dead {
		p.n.mu.Unlock()
		return nil, errDead
	}
	return p.n.mu.Unlock, nil
}

func (f files) Lstat(p string) (v1alpha1.File, error) {
	leave, err := f.p.enter()
	if err != nil {
		return v1alpha1.File{}, err
	}
	defer leave()
	if err := f.p.n.hangs(p); err != nil {
		return v1alpha1.File{}, err
	}
	at, err := f.p.n.fs.locate(p)
	if err != nil {
		return v1alpha1.File{}, fmt.Errorf("%s: %w", p, err)
	}
	i := f.p.n.fs.now[at]
	if i == nil && f.p.n.listens(socketPath(p)) {
		return v1alpha1.File{Path: p, Type: v1alpha1.Socket, Mode: 0o660}, nil
	}
	if i == nil {
		return v1alpha1.File{Path: p, Type: v1alpha1.Absent}, nil
	}
	return v1alpha1.File{
		Path: p, Type: i.kind, Size: int64(len(i.data)), Mode: i.mode, UID: i.uid, GID: i.gid, Xattrs: maps.Clone(i.xattrs),
		Target: i.target, Modified: i.mtime,
	}, nil
}

func (f files) Read(p string, limit int64) ([]byte, error) {
	leave, err := f.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := f.p.n.hangs(p); err != nil {
		return nil, err
	}
	i, _, err := f.p.n.fs.follow(p)
	switch {
	case err != nil:
		return nil, err
	case i.kind != v1alpha1.Regular:
		return nil, fmt.Errorf("%s: is a %s", p, i.kind)
	case int64(len(i.data)) > limit:
		return nil, fmt.Errorf("%s: larger than %d bytes", p, limit)
	}
	return slices.Clone(i.data), nil
}

func (f files) ReadDir(p string) ([]string, error) {
	leave, err := f.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := f.p.n.hangs(p); err != nil {
		return nil, err
	}
	i, at, err := f.p.n.fs.follow(p)
	if err != nil {
		return nil, err
	}
	if i.kind != v1alpha1.Directory {
		return nil, fmt.Errorf("%s: %w", p, errNotDir)
	}
	return f.p.n.fs.children(at), nil
}

func (f files) Filesystem(p string) (v1alpha1.Filesystem, error) {
	leave, err := f.p.enter()
	if err != nil {
		return v1alpha1.Filesystem{}, err
	}
	defer leave()
	for d := p; ; d = path.Dir(d) {
		if s, ok := f.p.n.fsInfo[d]; ok {
			s.Path = p
			return s, nil
		}
		if d == "/" {
			return v1alpha1.Filesystem{
				Path: p, Device: "8:1", Type: "ext4", Bytes: 100 << 30, FreeBytes: 60 << 30, Inodes: 6_000_000, FreeInodes: 5_000_000,
			}, nil
		}
	}
}

// SetFilesystem says on which file system path and what is below it lie.
func (n *Node) SetFilesystem(path string, s v1alpha1.Filesystem) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fsInfo[path] = s
}

// Mount says that something is mounted at path: it is told, and writing there goes on as before.
func (n *Node) Mount(path string, readOnly bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mounts = append(n.mounts, v1alpha1.Mount{Path: path, ReadOnly: readOnly})
}

// writable refuses what the agent may not write on a real node, whose kubelet may be configured anywhere in /etc/kubernetes.
func writable(p string) error {
	if !path.IsAbs(p) || path.Clean(p) != p {
		return fmt.Errorf("writing %q: not a clean absolute path", p)
	}
	for _, w := range slices.Concat(v1alpha1.WritablePaths(), v1alpha1.KubeletPaths()) {
		if w.Matches(p) || w.OnTheWay(p) {
			return nil
		}
	}
	return fmt.Errorf("writing %s: not among the paths that this program may write", p)
}

// parent returns where p is to stand, with its directory resolved.
func (f files) parent(p string) (string, error) {
	if err := writable(p); err != nil {
		return "", err
	}
	fs := f.p.n.fs
	at, err := fs.locate(p)
	if err != nil {
		return "", err
	}
	d := fs.now[path.Dir(at)]
	switch {
	case d == nil:
		return "", fmt.Errorf("writing %s: %w: %s", p, host.ErrNotExist, path.Dir(at))
	case d.kind != v1alpha1.Directory:
		return "", fmt.Errorf("writing %s: %w: %s", p, errNotDir, path.Dir(at))
	}
	return at, nil
}

func (f files) Put(p string, want v1alpha1.FileState, content []byte) error {
	leave, err := f.p.enter()
	if err != nil {
		return err
	}
	defer leave()
	at, err := f.parent(p)
	if errors.Is(err, host.ErrNotExist) && want.Type == v1alpha1.Absent {
		return nil
	}
	if err != nil {
		return err
	}
	switch want.Type {
	case v1alpha1.Absent:
		return f.remove(at)
	case v1alpha1.Directory:
		return f.mkdir(at, want)
	case v1alpha1.Regular, v1alpha1.Symlink:
		return f.replace(at, want, content)
	}
	return fmt.Errorf("writing %s: type %q can't be made", p, want.Type)
}

func (f files) remove(at string) error {
	n, dir := f.p.n, path.Dir(at)
	i := n.fs.now[at]
	if i == nil || i.kind == v1alpha1.Directory && len(n.fs.children(at)) > 0 {
		return nil
	}
	remove := func() error { n.fs.set(dir, entry{path: at}); return nil }
	if err := n.fixed(at); err != nil {
		return err
	}
	if err := n.act(f.p, "remove "+at, remove); err != nil {
		return err
	}
	return f.syncDir(dir)
}

func (f files) syncDir(dir string) error {
	return f.p.n.act(f.p, "fsync "+dir, func() error { f.p.n.fs.sync(dir); return nil })
}

func (f files) mkdir(at string, want v1alpha1.FileState) error {
	n := f.p.n
	if i := n.fs.now[at]; i != nil && i.kind != v1alpha1.Directory {
		return fmt.Errorf("writing %s: something that isn't a directory is in the way", at)
	}
	err := n.act(f.p, "mkdir "+at, func() error {
		n.fs.set(path.Dir(at), entry{path: at, new: n.made(want, nil)})
		return nil
	})
	if err != nil {
		return err
	}
	return f.syncDir(path.Dir(at))
}

func (n *Node) made(want v1alpha1.FileState, content []byte) *inode {
	i := &inode{
		kind: want.Type, data: slices.Clone(content), mode: want.Mode, uid: want.UID, gid: want.GID,
		xattrs: maps.Clone(want.Xattrs), target: want.Target, mtime: n.clock.now(),
	}
	if want.Type == v1alpha1.Symlink {
		i.mode = 0o777
	}
	return i
}

func (f files) replace(at string, want v1alpha1.FileState, content []byte) error {
	n, dir := f.p.n, path.Dir(at)
	if i := n.fs.now[at]; i != nil && i.kind == v1alpha1.Directory {
		return fmt.Errorf("writing %s: a directory is in the way", at)
	}
	temp := path.Join(dir, fmt.Sprintf("%s%d", tempPrefix, f.p.pid))
	fresh := n.made(want, content)
	steps := []struct {
		name string
		do   func()
	}{
		{"write " + at, func() { n.fs.set(dir, entry{path: temp, new: fresh}) }},
		{"fsync " + at, func() { fresh.synced = len(fresh.data) }},
		{"rename " + at, func() { n.fs.set(dir, entry{path: temp}, entry{path: at, new: fresh}) }},
	}
	if err := n.fixed(at); err != nil {
		return err
	}
	for _, s := range steps {
		if err := n.act(f.p, s.name, func() error { s.do(); return nil }); err != nil {
			return err
		}
	}
	return f.syncDir(dir)
}

func (f files) Sweep(paths ...string) error {
	leave, err := f.p.enter()
	if err != nil {
		return err
	}
	defer leave()
	n := f.p.n
	done := map[string]bool{}
	for _, p := range paths {
		if writable(p) != nil {
			continue
		}
		at, err := f.parent(p)
		if errors.Is(err, host.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		dir := path.Dir(at)
		if done[dir] {
			continue
		}
		done[dir] = true
		for _, name := range n.fs.children(dir) {
			if !strings.HasPrefix(name, tempPrefix) || name == fmt.Sprintf("%s%d", tempPrefix, f.p.pid) {
				continue
			}
			if err := f.remove(path.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f files) Append(p string, data []byte) error {
	leave, err := f.p.enter()
	if err != nil {
		return err
	}
	defer leave()
	at, err := f.parent(p)
	if err != nil {
		return err
	}
	n := f.p.n
	old := n.fs.now[at]
	if old != nil && old.kind != v1alpha1.Regular {
		return fmt.Errorf("appending to %s: is a %s", p, old.kind)
	}
	return n.act(f.p, "append "+at, func() error {
		if old == nil {
			fresh := n.made(v1alpha1.FileState{Type: v1alpha1.Regular, Mode: 0o600}, data)
			n.fs.set(path.Dir(at), entry{path: at, new: fresh})
			return nil
		}
		longer := *old
		longer.data = append(slices.Clone(old.data), data...)
		longer.mtime = n.clock.now()
		n.fs.now[at] = &longer
		return nil
	})
}

func (f files) RemoveAll(p string) error {
	leave, err := f.p.enter()
	if err != nil {
		return err
	}
	defer leave()
	at, err := f.parent(p)
	if errors.Is(err, host.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.removeAll(at)
}

func (f files) removeAll(at string) error {
	if i := f.p.n.fs.now[at]; i != nil && i.kind == v1alpha1.Directory {
		for _, name := range f.p.n.fs.children(at) {
			if err := f.removeAll(path.Join(at, name)); err != nil {
				return err
			}
		}
	}
	return f.remove(at)
}

func (f files) Lock(p string, wait bool) (func(), error) {
	leave, err := f.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	at, err := f.parent(p)
	if err != nil {
		return nil, err
	}
	n := f.p.n
	if n.fs.now[at] == nil {
		fresh := n.made(v1alpha1.FileState{Type: v1alpha1.Regular, Mode: 0o600}, nil)
		n.fs.set(path.Dir(at), entry{path: at, new: fresh})
	}
	if n.locks[at] != nil && !wait {
		return nil, fmt.Errorf("%s: %w", p, host.ErrLocked)
	}
	if err := n.wait(f.p.ctx, func() bool { return n.locks[at] == nil || f.p.dead }); err != nil || f.p.dead {
		return nil, errDead
	}
	n.locks[at] = f.p
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.locks[at] == f.p {
			delete(n.locks, at)
			n.cond.Broadcast()
		}
	}, nil
}

// listens reports whether there is a socket at path: a daemon's own or one that PID 1 holds.
func (n *Node) listens(path string) bool {
	if n.serving(path) != nil {
		return true
	}
	for _, u := range n.pid1.units {
		if u.sub == "listening" && slices.ContainsFunc(u.def.all("Socket.ListenStream"), func(l string) bool { return socketPath(l) == path }) {
			return true
		}
	}
	return false
}
