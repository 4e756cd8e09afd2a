package converge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

const fileLimit = 64 << 20

// NeitherError says that a path is neither as before nor as after: somebody else wrote it since the plan was made.
type NeitherError struct {
	Node, Path string
	// Now says what stands there; Kept names the record that says which content is kept of what stood there before, empty where nothing
	// did. The error leaves the node, and the content's digest must not.
	Now, Kept string
}

func (e *NeitherError) Error() string {
	was := "nothing was there"
	if e.Kept != "" {
		was = e.Kept + " names the content that it had, which is kept"
	}
	return fmt.Sprintf("%s is neither what it was before the switch nor what the switch makes it (%s): somebody else wrote it "+
		"meanwhile, and it was not overwritten; put it back (%s), then run: kubectl runtime rollback %s", e.Path, e.Now, was, e.Node)
}

// Files does the part of To that concerns files alone: all of them are checked before any is written. Nothing is started
// or stopped.
func Files(ctx context.Context, m host.Machine, p *v1alpha1.Plan, want v1alpha1.State, blobs func(sha string) ([]byte, error)) error {
	a := &actor{m: m, plan: p, want: want, blobs: blobs}
	if err := a.prepare(ctx); err != nil {
		return err
	}
	return a.write(ctx)
}

// Check reports the first path that is neither before nor after, as a *NeitherError.
func Check(m host.Machine, p *v1alpha1.Plan) error {
	_, err := (&actor{m: m, plan: p}).look()
	return err
}

// Differs returns the first path that isn't as in want, with what stands there; empty: every one is. A relabelled file is the
// same file.
func Differs(m host.Machine, p *v1alpha1.Plan, want v1alpha1.State) (string, error) {
	a := &actor{m: m, plan: p}
	for _, f := range want.Files {
		now, err := a.see(f.Path)
		if err != nil {
			return "", err
		}
		if f.Type == v1alpha1.Absent && now.Type == v1alpha1.Directory {
			continue // it holds what others have there, or what this program has while a run is open
		}
		if !now.is(f) {
			return fmt.Sprintf("%s (%s)", f.Path, now), nil
		}
	}
	return "", nil
}

// seen is what stands at a path.
type seen struct {
	v1alpha1.File
	sha string
}

func (a *actor) see(path string) (seen, error) {
	f, err := a.m.Files.Lstat(path)
	if err != nil {
		return seen{}, fmt.Errorf("looking at %s: %w", path, err)
	}
	s := seen{File: f}
	if f.Type == v1alpha1.Regular {
		data, err := a.m.Files.Read(path, fileLimit)
		if err != nil {
			return seen{}, fmt.Errorf("reading %s: %w", path, err)
		}
		sum := sha256.Sum256(data)
		s.sha = hex.EncodeToString(sum[:])
	}
	return s, nil
}

// is reports whether the path is what the photograph shows, extended attributes aside: relabelling a file system isn't
// writing to it.
func (s seen) is(f v1alpha1.FileState) bool {
	switch {
	case s.Type != f.Type:
		return false
	case s.Type == v1alpha1.Absent:
		return true
	case s.UID != f.UID || s.GID != f.GID:
		return false
	case s.Type == v1alpha1.Symlink:
		return s.Target == f.Target
	}
	return s.Mode == f.Mode && s.sha == f.SHA256
}

// equal is is with the extended attributes that the photograph names.
func (s seen) equal(f v1alpha1.FileState) bool {
	if !s.is(f) {
		return false
	}
	for name, value := range f.Xattrs {
		if string(s.Xattrs[name]) != string(value) {
			return false
		}
	}
	return true
}

func (s seen) String() string {
	switch s.Type {
	case v1alpha1.Absent:
		return "it is absent"
	case v1alpha1.Symlink:
		return "it is a link to " + s.Target
	case v1alpha1.Regular:
		return fmt.Sprintf("it has %d bytes, mode %04o, owner %d:%d", s.Size, s.Mode, s.UID, s.GID)
	}
	return fmt.Sprintf("it is a %s, mode %04o, owner %d:%d", s.Type, s.Mode, s.UID, s.GID)
}

// look looks at every path of both photographs and refuses what is neither, or leaves it out where it is to go around.
func (a *actor) look() (map[string]seen, error) {
	choices := map[string][]v1alpha1.FileState{}
	for _, state := range []v1alpha1.State{a.plan.Before, a.plan.After} {
		for _, f := range state.Files {
			choices[f.Path] = append(choices[f.Path], f)
		}
	}
	now := map[string]seen{}
	for _, path := range slices.Sorted(maps.Keys(choices)) {
		s, err := a.see(path)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(choices[path], s.is) {
			if a.opts.Around {
				continue
			}
			return nil, &NeitherError{Node: a.plan.Node, Path: path, Now: s.String(), Kept: kept(a.plan.Run, choices[path][0])}
		}
		now[path] = s
	}
	return now, nil
}

// kept is where the journal says which content it keeps.
func kept(run string, before v1alpha1.FileState) string {
	if before.SHA256 == "" {
		return ""
	}
	return journal.Dir + "/runs/" + run + "/plan.json"
}

// prepare does everything that may fail before anything is stopped: it checks the files and reads the contents.
func (a *actor) prepare(context.Context) error {
	if _, err := a.look(); err != nil {
		return err
	}
	a.contents = map[string][]byte{}
	for _, f := range a.want.Files {
		if f.Type != v1alpha1.Regular {
			continue
		}
		data, err := a.blobs(f.SHA256)
		if err != nil {
			return fmt.Errorf("the content of %s: %w", f.Path, err)
		}
		a.contents[f.Path] = data
	}
	return nil
}

// write writes the files that differ, after it has checked all of them once more.
func (a *actor) write(context.Context) error {
	now, err := a.look()
	if err != nil {
		return err
	}
	if err := a.m.Files.Sweep(slices.Sorted(maps.Keys(now))...); err != nil {
		return fmt.Errorf("removing what an interrupted write left: %w", err)
	}
	// Directories stand before what is in them and go after it.
	byPath := func(x, y v1alpha1.FileState) int { return strings.Compare(x.Path, y.Path) }
	files := slices.SortedFunc(slices.Values(a.want.Files), byPath)
	files = slices.DeleteFunc(files, func(f v1alpha1.FileState) bool { _, known := now[f.Path]; return !known })
	for _, f := range slices.Backward(files) {
		if f.Type != v1alpha1.Absent || now[f.Path].equal(f) {
			continue
		}
		if err := a.m.Files.Put(f.Path, f, nil); err != nil {
			return fmt.Errorf("removing %s: %w", f.Path, err)
		}
	}
	for _, f := range files {
		if f.Type == v1alpha1.Absent || now[f.Path].equal(f) {
			continue
		}
		if err := a.m.Files.Put(f.Path, f, a.contents[f.Path]); err != nil {
			return fmt.Errorf("writing %s: %w", f.Path, err)
		}
	}
	return nil
}
