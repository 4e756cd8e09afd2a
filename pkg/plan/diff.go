package plan

import (
	"errors"
	"fmt"
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
		d := FileDiff{Path: after.Path, Kind: kindOf(before, after), Why: after.Why}
		was, okBefore := text(before, contents)
		is, okAfter := text(after, contents)
		if okBefore && okAfter {
			d.Unified = unified(after.Path, was, is)
		}
		out = append(out, d)
	}
	return out, nil
}

// told reports whether the i-th path is a directory that is made for, or goes with, another path of the plan.
func told(p *v1alpha1.Plan, i int) bool {
	before, after := p.Before.Files[i], p.After.Files[i]
	kind := kindOf(before, after)
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
	edits := udiff.Lines(was, is)
	d, err := udiff.ToUnified("a"+name, "b"+name, was, edits, 3)
	if err != nil {
		return ""
	}
	return d
}
