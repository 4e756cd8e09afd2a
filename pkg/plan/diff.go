package plan

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// Contents returns the masked content behind a key, and whether it is known. A key is a path, for what stands there
// now, or "sha256:" and a digest.
type Contents = func(key string) (string, bool)

// ContentsOf returns what is known of contents from facts and from the views of kept runs.
func ContentsOf(f *v1alpha1.Facts, views ...v1alpha1.RunView) Contents {
	return func(key string) (string, bool) {
		if sum, ok := strings.CutPrefix(key, "sha256:"); ok {
			for _, v := range views {
				if s, ok := v.Contents[sum]; ok {
					return s, true
				}
			}
			if f != nil && sum != "" {
				for _, x := range f.Files {
					if x.SHA256 == sum && len(x.Content) == int(x.Size) {
						return x.Content, true
					}
				}
			}
			return "", false
		}
		if f == nil {
			return "", false
		}
		x, ok := f.File(key)
		if !ok || x.Type != v1alpha1.Regular || len(x.Content) != int(x.Size) {
			return "", false
		}
		return x.Content, true
	}
}

// Diffs renders every file change of the plan, in the order of the photographs. A directory that comes or goes with a
// file in it is told by the file.
func Diffs(p *v1alpha1.Plan, contents Contents) ([]FileDiff, error) {
	if contents == nil {
		contents = func(string) (string, bool) { return "", false }
	}
	var out []FileDiff
	for i, after := range p.After.Files {
		if i >= len(p.Before.Files) || p.Before.Files[i].Path != after.Path {
			return nil, fmt.Errorf("the plan's photographs don't name the same paths at %s", after.Path)
		}
		before := p.Before.Files[i]
		if told(p, i) {
			continue
		}
		d := FileDiff{Path: after.Path, Kind: kindOf(before, after), Why: after.Why, Notes: attributes(before, after)}
		d.contents(before, after, contents)
		out = append(out, d)
	}
	return out, nil
}

// contents fills in the diff, and says what there is to say where none can be made.
func (d *FileDiff) contents(before, after v1alpha1.FileState, contents Contents) {
	was, okBefore := text(before, contents)
	is, okAfter := text(after, contents)
	switch {
	case okBefore && okAfter:
		d.Unified = unified(after.Path, was, is)
		regular := before.Type == v1alpha1.Regular && after.Type == v1alpha1.Regular
		if regular && was == is && after.SHA256 != "" && before.SHA256 != after.SHA256 {
			d.note("what is masked in it changes")
		}
		return
	case !okBefore && !okAfter && before.SHA256 != "" && before.SHA256 == after.SHA256:
		d.note("its content isn't known here, and stays")
		return
	case !okBefore:
		d.note("its content before isn't known here" + digested(before))
	}
	if okAfter {
		d.Unified = unified(after.Path, "", is)
		return
	}
	d.note("its content after isn't known here" + digested(after))
	for _, s := range after.Content {
		if s.From != "" {
			d.note(fmt.Sprintf("it gets the bytes %d to %d of %s", s.Start, s.End, s.From))
			continue
		}
		d.note("it gets the text " + strconv.Quote(s.Text))
	}
}

func (d *FileDiff) note(text string) { d.Notes = append(d.Notes, text) }

func digested(s v1alpha1.FileState) string {
	if s.SHA256 == "" {
		return ""
	}
	return ", only its digest: " + s.SHA256
}

// attributes says in what else than their contents two states differ, and what is unusual in a new one.
func attributes(before, after v1alpha1.FileState) []string {
	var out []string
	if before.Type != v1alpha1.Absent && after.Type != v1alpha1.Absent && before.Type != after.Type {
		out = append(out, fmt.Sprintf("the %s becomes a %s", before.Type, after.Type))
	}
	if after.Type == v1alpha1.Absent {
		return out
	}
	kept := before.Type == after.Type
	usual := v1alpha1.FileState{Mode: usualMode(after.Type)}
	if kept {
		usual = before
	}
	if usual.Mode != after.Mode && after.Type != v1alpha1.Symlink {
		out = append(out, changed("mode", kept, fmt.Sprintf("%04o", usual.Mode), fmt.Sprintf("%04o", after.Mode)))
	}
	if usual.UID != after.UID || usual.GID != after.GID {
		out = append(out, changed("owner", kept, fmt.Sprintf("%d:%d", usual.UID, usual.GID), fmt.Sprintf("%d:%d", after.UID, after.GID)))
	}
	for _, name := range slices.Sorted(maps.Keys(after.Xattrs)) {
		if !bytes.Equal(before.Xattrs[name], after.Xattrs[name]) {
			out = append(out, changed("attribute "+name, kept, strconv.Quote(string(before.Xattrs[name])), strconv.Quote(string(after.Xattrs[name]))))
		}
	}
	return out
}

func usualMode(t v1alpha1.FileType) uint32 {
	if t == v1alpha1.Directory {
		return 0o755
	}
	return 0o644
}

func changed(what string, from bool, was, is string) string {
	if !from {
		return what + " " + is
	}
	return fmt.Sprintf("%s %s becomes %s", what, was, is)
}

// told reports whether the i-th path is a directory that is made for, or goes with, another path of the plan. One that isn't made as
// usual is told by itself.
func told(p *v1alpha1.Plan, i int) bool {
	before, after := p.Before.Files[i], p.After.Files[i]
	kind := kindOf(before, after)
	if len(attributes(before, after)) > 0 {
		return false
	}
	if kind == Change || before.Type != v1alpha1.Directory && after.Type != v1alpha1.Directory {
		return false
	}
	for j, x := range p.After.Files {
		if strings.HasPrefix(x.Path, after.Path+"/") && j < len(p.Before.Files) && kindOf(p.Before.Files[j], x) == kind {
			return true
		}
	}
	return false
}

func kindOf(before, after v1alpha1.FileState) Kind {
	switch {
	case before.Type == v1alpha1.Absent:
		return Create
	case after.Type == v1alpha1.Absent:
		return Remove
	}
	return Change
}

var errUnknown = errors.New("not known")

// text is the masked content of a path in a photograph; a path without content is an empty text.
func text(s v1alpha1.FileState, contents Contents) (string, bool) {
	switch {
	case s.Type == v1alpha1.Absent || s.Type == v1alpha1.Directory:
		return "", true
	case s.Type == v1alpha1.Symlink:
		return "-> " + s.Target + "\n", true
	case s.Content != nil:
		b, err := edit.Resolve(s.Content, func(name string) ([]byte, error) {
			if c, ok := contents(name); ok {
				return []byte(c), nil
			}
			return nil, errUnknown
		})
		return string(b), err == nil
	}
	if c, ok := contents("sha256:" + s.SHA256); ok {
		return c, true
	}
	return contents(s.Path)
}

// unified is a unified diff with three lines around each change.
func unified(name, was, is string) string {
	if was == is {
		return ""
	}
	d, err := udiff.ToUnified("a"+name, "b"+name, was, udiff.Lines(was, is), 3)
	if err != nil {
		// The library's own edits fit the text that they were made of.
		return fmt.Sprintf("@@ the diff can't be made: %v @@\n", err)
	}
	return d
}
