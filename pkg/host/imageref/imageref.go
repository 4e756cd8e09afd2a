// Package imageref reads image references as runtimes do. It is pure.
package imageref

import (
	"fmt"

	"github.com/distribution/reference"
)

// Ref is a complete image reference, with either a tag or a digest.
type Ref struct {
	Host, Path, Tag, Digest string
}

// Parse completes a reference: docker.io where no registry is named, library/ for its official images, latest where
// there is neither tag nor digest. Where there are both, the digest decides: stores don't keep the two together.
func Parse(s string) (Ref, error) {
	named, err := reference.ParseDockerRef(s)
	if err != nil {
		return Ref{}, fmt.Errorf("image reference %q: %w", s, err)
	}
	r := Ref{Host: reference.Domain(named), Path: reference.Path(named)}
	if tagged, ok := named.(reference.Tagged); ok {
		r.Tag = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		r.Digest = digested.Digest().String()
	}
	return r, nil
}

// Repository is the reference without tag and digest.
func (r Ref) Repository() string { return r.Host + "/" + r.Path }

// String is the complete reference.
func (r Ref) String() string {
	if r.Digest != "" {
		return r.Repository() + "@" + r.Digest
	}
	return r.Repository() + ":" + r.Tag
}

// Complete returns the complete form of a reference, or s itself when it is none (an image ID).
func Complete(s string) string {
	r, err := Parse(s)
	if err != nil {
		return s
	}
	return r.String()
}
