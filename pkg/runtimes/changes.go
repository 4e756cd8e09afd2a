package runtimes

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// changes are the files that a configuration changes and what was noticed while deciding it.
type changes struct {
	f        *v1alpha1.Facts
	files    []v1alpha1.FileState
	findings []v1alpha1.Finding
}

func (c *changes) note(x ...v1alpha1.Finding) { c.findings = append(c.findings, x...) }

// own adds a file that is ours whole, and reports whether it did: one that already says the same is left out.
func (c *changes) own(name, why string, content []v1alpha1.Segment) bool {
	if old, ok := c.f.File(name); ok && old.Type == v1alpha1.Regular && len(old.Masked) == 0 {
		if now, err := resolve(c.f, content); err == nil && now == old.Content {
			return false
		}
	}
	state := v1alpha1.FileState{Path: name, Type: v1alpha1.Regular, Mode: 0o644, Content: content, Why: why}
	c.keepSecret(&state)
	c.files = append(c.files, state)
	return true
}

// edited adds a foreign file with spliced content; mode, owner and attributes stay, unless a secret of another file comes in.
func (c *changes) edited(name, why string, d *edit.Draft) {
	if !d.Changed() {
		return
	}
	state := v1alpha1.FileState{Path: name, Type: v1alpha1.Regular, Mode: 0o644, Content: d.Segments(), Why: why}
	if old, ok := c.f.File(name); ok && old.Type == v1alpha1.Regular {
		state.Mode, state.UID, state.GID, state.Xattrs = old.Mode, old.UID, old.GID, old.Xattrs
	}
	c.keepSecret(&state)
	c.files = append(c.files, state)
}

// remove takes away a file of ours that is no longer needed.
func (c *changes) remove(name, why string) {
	if old, ok := c.f.File(name); ok && old.Type != v1alpha1.Absent {
		c.files = append(c.files, v1alpha1.FileState{Path: name, Type: v1alpha1.Absent, Why: why})
	}
}

func (c *changes) sorted() []v1alpha1.FileState {
	out := slices.Clone(c.files)
	slices.SortStableFunc(out, func(a, b v1alpha1.FileState) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

// configured answers what a path holds once the changes are made.
type configured struct {
	f     *v1alpha1.Facts
	files map[string]v1alpha1.FileState
}

func newConfigured(f *v1alpha1.Facts, files []v1alpha1.FileState) configured {
	c := configured{f, map[string]v1alpha1.FileState{}}
	for _, x := range files {
		c.files[x.Path] = x
	}
	return c
}

// content returns the (masked) text behind a path and how its bytes come about.
func (c configured) content(name string) (string, []v1alpha1.Segment, bool) {
	if x, ok := c.files[name]; ok {
		if x.Type != v1alpha1.Regular {
			return "", nil, false
		}
		s, err := resolve(c.f, x.Content)
		return s, x.Content, err == nil
	}
	x, ok := follow(c.f, name)
	if !ok || x.Type != v1alpha1.Regular {
		return "", nil, false
	}
	return x.Content, []v1alpha1.Segment{{From: x.Path, End: int(x.Size)}}, true
}

// list returns the paths in a directory, those that the changes add included and those that they remove left out.
func (c configured) list(dir string) []string {
	var out []string
	if d, ok := c.f.Dir(dir); ok {
		for _, e := range d.Entries {
			if name := path.Join(dir, e); c.files[name].Type != v1alpha1.Absent || c.files[name].Path == "" {
				out = append(out, name)
			}
		}
	}
	for name, x := range c.files {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok && x.Type != v1alpha1.Absent {
			first, _, _ := strings.Cut(rest, "/")
			add(&out, path.Join(dir, first))
		}
	}
	slices.Sort(out)
	return out
}

// follow returns the fact about a path, symbolic links resolved.
func follow(f *v1alpha1.Facts, name string) (v1alpha1.File, bool) {
	for range 8 {
		x, ok := f.File(name)
		if !ok || x.Type != v1alpha1.Symlink {
			return x, ok
		}
		next := x.Target
		if !path.IsAbs(next) {
			next = path.Join(path.Dir(name), next)
		}
		name = next
	}
	return v1alpha1.File{}, false
}

var errUnread = errors.New("content wasn't read")

// resolve assembles segments out of the masked contents in facts.
func resolve(f *v1alpha1.Facts, s []v1alpha1.Segment) (string, error) {
	b, err := edit.Resolve(s, func(name string) ([]byte, error) {
		x, ok := f.File(name)
		if !ok || x.Type != v1alpha1.Regular || len(x.Content) != int(x.Size) {
			return nil, fmt.Errorf("%s: %w", name, errUnread)
		}
		return []byte(x.Content), nil
	})
	return string(b), err
}

func text(s string) []v1alpha1.Segment { return edit.Text(s) }

// respliced applies splices to a content that is already told in segments, and tells the result in segments too.
func respliced(segments []v1alpha1.Segment, splices []edit.Splice) []v1alpha1.Segment {
	slices.SortStableFunc(splices, func(a, b edit.Splice) int { return cmp.Compare(a.Start, b.Start) })
	var out []v1alpha1.Segment
	at := 0
	for _, s := range splices {
		out = append(out, window(segments, at, s.Start)...)
		if s.Text != "" {
			out = append(out, v1alpha1.Segment{Text: s.Text})
		}
		at = s.End
	}
	return append(out, window(segments, at, 1<<40)...)
}

// window cuts the bytes [from, to) out of segments.
func window(segments []v1alpha1.Segment, from, to int) []v1alpha1.Segment {
	var out []v1alpha1.Segment
	at := 0
	for _, s := range segments {
		n := len(s.Text)
		if s.From != "" {
			n = s.End - s.Start
		}
		lo, hi := max(from-at, 0), min(to-at, n)
		if lo < hi {
			if s.From != "" {
				out = append(out, v1alpha1.Segment{From: s.From, Start: s.Start + lo, End: s.Start + hi})
			} else {
				out = append(out, v1alpha1.Segment{Text: s.Text[lo:hi]})
			}
		}
		at += n
	}
	return out
}
