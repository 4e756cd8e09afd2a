package runtimes

import (
	"path"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

const (
	// rootOnly are the rights of what holds a secret.
	rootOnly = 0o600
	// plainFile are all rights that a file of configuration can have: none is run.
	plainFile = 0o666
)

// keepSecret gives a file no more readers than what it is made of has: a copy is as open as its source and belongs to the same
// owner and group, and what holds a secret is its owner's alone, however open the source is.
func (c *changes) keepSecret(state *v1alpha1.FileState) {
	secret := privateKey(state.Path)
	for _, s := range state.Content {
		if s.From == "" || s.From == state.Path {
			continue
		}
		src, ok := follow(c.f, s.From)
		if !ok || src.Type != v1alpha1.Regular {
			secret = true // nothing is known of it
			continue
		}
		state.Mode &= src.Mode & plainFile
		if len(state.Content) == 1 {
			state.UID, state.GID = src.UID, src.GID
		}
		secret = secret || privateKey(src.Path) || masked(src, s.Start, s.End)
	}
	if secret {
		state.Mode &= rootOnly
	}
}

// privateKey tells a key by the name that all three runtimes look for.
func privateKey(name string) bool { return path.Ext(name) == ".key" }
