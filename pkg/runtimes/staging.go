package runtimes

import (
	"path"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// staged is a staging instance under construction.
type staged struct{ v1alpha1.Staging }

// copy stages a file as it will be after the switch; false when there will be none.
func (s *staged) copy(c configured, name, to string) bool {
	_, content, ok := c.content(name)
	if !ok {
		return false
	}
	file := v1alpha1.StagedFile{Path: to, Content: content}
	if _, changed := c.files[name]; changed {
		file = v1alpha1.StagedFile{Path: to, After: name}
	}
	s.Files = append(s.Files, file)
	return true
}

// below returns the regular files below a directory as they will be, in lexical order.
func (c configured) below(dir string) []string {
	var out []string
	for _, name := range c.list(dir) {
		if x, ok := c.f.File(name); ok && x.Type == v1alpha1.Directory {
			out = append(out, c.below(name)...)
			continue
		}
		out = append(out, name)
	}
	return out
}

// ready reports whether the runtime's own daemon answers CRI already, beside the one that serves the kubelet.
func ready(f *v1alpha1.Facts, name v1alpha1.RuntimeName) bool {
	r := f.Runtime(name)
	return r.CRI != nil && r.CRI.RuntimeReady
}

// serving is the staging of a runtime whose own daemon takes images in already.
func serving(f *v1alpha1.Facts, name v1alpha1.RuntimeName) v1alpha1.Staging {
	s := v1alpha1.Staging{Endpoint: f.Runtime(name).CRI.Endpoint}
	s.Pinned = pinned(f.Runtime(name).CRI.SandboxImage)
	return s
}

func pinned(image string) []string {
	if image == "" {
		return nil
	}
	return []string{image}
}

// stageTree copies a directory of certs.d style: one directory a host.
func (s *staged) stageTree(c configured, root, to string) {
	for _, host := range c.list(root) {
		for _, name := range c.list(host) {
			dest := path.Join(to, path.Base(host), path.Base(name))
			taken := slices.ContainsFunc(s.Files, func(x v1alpha1.StagedFile) bool { return x.Path == dest })
			if x, ok := c.f.File(name); taken || ok && x.Type == v1alpha1.Directory {
				continue
			}
			s.copy(c, name, dest)
		}
	}
}
