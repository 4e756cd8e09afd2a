package kubelet

import (
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// source reads files out of Facts, some of them with a content that they don't have yet.
type source struct {
	f       *v1alpha1.Facts
	changed map[string]string // by real path
}

// presence says what is known of a path.
type presence int

const (
	unseen  presence = iota // Facts didn't look
	absent                  // nothing there
	present                 // a regular file
	other                   // a directory, or a link to nowhere
)

// maxLinks bounds a chain of symbolic links as the kernel does.
const maxLinks = 40

// real follows symbolic links that Facts know.
func (s source) real(name string) string {
	for range maxLinks {
		x, ok := s.f.File(name)
		if !ok || x.Type != v1alpha1.Symlink {
			return name
		}
		target := x.Target
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		name = path.Clean(target)
	}
	return name
}

// read returns the content behind a path.
func (s source) read(name string) (string, presence) {
	name = s.real(name)
	if text, ok := s.changed[name]; ok {
		return text, present
	}
	x, ok := s.f.File(name)
	switch {
	case !ok:
		return "", unseen
	case x.Type == v1alpha1.Absent:
		return "", absent
	case x.Type == v1alpha1.Regular:
		return x.Content, present
	}
	return "", other
}

// exists reports whether anything stands at a path that Facts looked at.
func (s source) exists(name string) bool {
	x, ok := s.f.File(name)
	return ok && x.Type != v1alpha1.Absent
}

// dropIns returns the files below a --config-dir as the kubelet walks them: in lexical order, only those that end in
// .conf, directories below it included.
func (s source) dropIns(dir string, depth int) (files, unknown []string) {
	d, ok := s.f.Dir(dir)
	if !ok || depth > maxLinks {
		return nil, []string{dir}
	}
	entries := slices.Sorted(slices.Values(d.Entries))
	for _, name := range entries {
		full := path.Join(dir, name)
		if strings.HasSuffix(name, ".conf") {
			if x, ok := s.f.File(full); !ok || x.Type != v1alpha1.Directory {
				files = append(files, full)
				continue
			}
		}
		x, ok := s.f.File(full)
		if !ok {
			unknown = append(unknown, full)
			continue
		}
		if x.Type == v1alpha1.Directory {
			more, also := s.dropIns(full, depth+1)
			files, unknown = append(files, more...), append(unknown, also...)
		}
	}
	return files, unknown
}
