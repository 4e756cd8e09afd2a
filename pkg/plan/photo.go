package plan

import (
	"fmt"
	"path"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// put adds a path to both photographs, with the directories above it that don't exist yet.
func (b *builder) put(after v1alpha1.FileState) error {
	if _, ok := b.after[after.Path]; ok {
		return fmt.Errorf("%s would be written twice", after.Path)
	}
	if err := v1alpha1.CheckPlanned(after); err != nil {
		return fmt.Errorf("a plan can't write %w: %s", err, after.Why)
	}
	before, err := b.now(after.Path)
	if err != nil {
		return err
	}
	if after.Type == v1alpha1.Absent && before.Type == v1alpha1.Absent {
		return nil
	}
	if after.Type == v1alpha1.Symlink && before.Type == v1alpha1.Symlink && before.Target == after.Target {
		return nil
	}
	if b.stands(after) {
		return nil
	}
	if err := v1alpha1.CheckPlanned(before); err != nil {
		return fmt.Errorf("a plan couldn't put back %w: move it away first, it is in the way of %s", err, after.Why)
	}
	before.Why = after.Why
	b.before[after.Path], b.after[after.Path] = before, after
	for dir := path.Dir(after.Path); before.Type == v1alpha1.Absent && !everywhere(dir); dir = path.Dir(dir) {
		if _, ok := b.after[dir]; ok {
			break
		}
		above, err := b.now(dir)
		if err != nil {
			return err
		}
		if above.Type != v1alpha1.Absent {
			break
		}
		b.before[dir] = above
		b.after[dir] = v1alpha1.FileState{Path: dir, Type: v1alpha1.Directory, Mode: 0o755}
	}
	return nil
}

// stands reports whether a file is already as it is to be, as far as what is masked can tell.
func (b *builder) stands(after v1alpha1.FileState) bool {
	x, ok := b.f.File(after.Path)
	if !ok || x.Type != v1alpha1.Regular || after.Type != v1alpha1.Regular || x.Mode != after.Mode || x.UID != after.UID || x.GID != after.GID {
		return false
	}
	if len(x.Masked) > 0 || len(x.Content) != int(x.Size) {
		return false
	}
	text, ok := text(after, ContentsOf(b.f))
	return ok && text == x.Content
}

// everywhere names directories that every system has.
func everywhere(dir string) bool {
	switch dir {
	case "/", "/etc", "/etc/systemd", "/etc/systemd/system", "/var", "/var/lib", "/etc/kubernetes", "/var/lib/kubelet":
		return true
	}
	return false
}

// now returns what stands at a path. Facts that looked at neither the path nor the listing it would be in are no ground
// for a plan.
func (b *builder) now(name string) (v1alpha1.FileState, error) {
	if x, ok := b.f.File(name); ok {
		return photo(x), nil
	}
	for dir, below := path.Dir(name), path.Base(name); ; dir, below = path.Dir(dir), path.Base(dir) {
		if d, ok := b.f.Dir(dir); ok && (!d.Exists || !slices.Contains(d.Entries, below)) {
			return v1alpha1.FileState{Path: name, Type: v1alpha1.Absent}, nil
		} else if ok && dir != path.Dir(name) {
			break
		}
		if x, ok := b.f.File(dir); ok && x.Type == v1alpha1.Absent {
			return v1alpha1.FileState{Path: name, Type: v1alpha1.Absent}, nil
		}
		if dir == "/" {
			break
		}
	}
	return v1alpha1.FileState{}, fmt.Errorf("nothing is known of %s on the node", name)
}

func photo(x v1alpha1.File) v1alpha1.FileState {
	s := v1alpha1.FileState{Path: x.Path, Type: x.Type}
	switch x.Type {
	case v1alpha1.Regular:
		s.SHA256, s.Mode, s.UID, s.GID, s.Xattrs = x.SHA256, x.Mode, x.UID, x.GID, x.Xattrs
	case v1alpha1.Directory:
		s.Mode, s.UID, s.GID, s.Xattrs = x.Mode, x.UID, x.GID, x.Xattrs
	case v1alpha1.Symlink:
		s.Target, s.UID, s.GID = x.Target, x.UID, x.GID
	}
	return s
}

// readSet is everything that the plan was decided on.
func readSet(f *v1alpha1.Facts, p *v1alpha1.Plan) v1alpha1.ReadSet {
	r := v1alpha1.ReadSet{Binaries: map[string]string{}, Boot: f.Machine.Boot, Dirs: f.Dirs}
	for _, x := range f.Files {
		r.Files = append(r.Files, v1alpha1.FileDigest{Path: x.Path, Type: x.Type, SHA256: x.SHA256, Target: x.Target})
	}
	for _, u := range f.Units {
		r.Units = append(r.Units, v1alpha1.UnitDigest{Name: u.Name, LoadState: u.LoadState, ActiveState: u.ActiveState, FileState: u.FileState})
	}
	for _, x := range f.Runtimes {
		if x.Name != p.From.Name && x.Name != p.To.Name {
			continue
		}
		for _, b := range x.Binaries {
			// A program that doesn't tell its version (pinns) can't be compared by it.
			if b.Path != "" && b.Version != "" {
				r.Binaries[b.Path] = b.Version
			}
		}
	}
	if f.Kubelet.Exe != "" && f.Kubelet.Version != "" {
		r.Binaries[f.Kubelet.Exe] = f.Kubelet.Version
	}
	return r
}
