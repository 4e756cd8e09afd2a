// Package imageref reads image references as runtimes do. It is pure and imports the standard library alone.
package imageref

import (
	"fmt"
	"regexp"
	"strings"
)

// Ref is a complete image reference. Tag and Digest may both be given; the digest decides then.
type Ref struct {
	Host, Path, Tag, Digest string
}

// DockerHub is the registry of references that name none.
const DockerHub = "docker.io"

var (
	path = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	host = regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?$`)
	tag  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	sum  = regexp.MustCompile(`^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}$`)
)

// Parse completes a reference: docker.io where no registry is named, library/ for its official images, latest where
// there is neither tag nor digest.
func Parse(s string) (Ref, error) {
	var r Ref
	rest := s
	if name, digest, ok := strings.Cut(rest, "@"); ok {
		rest, r.Digest = name, digest
		if !sum.MatchString(digest) {
			return Ref{}, fmt.Errorf("image reference %q: bad digest", s)
		}
	}
	if colon := strings.LastIndexByte(rest, ':'); colon > strings.LastIndexByte(rest, '/') {
		rest, r.Tag = rest[:colon], rest[colon+1:]
		if !tag.MatchString(r.Tag) {
			return Ref{}, fmt.Errorf("image reference %q: bad tag", s)
		}
	}
	r.Host, r.Path = DockerHub, rest
	// The first part is a registry when it can't be a name: it has a dot, a port or a capital letter, or is localhost.
	if first, more, ok := strings.Cut(rest, "/"); ok && (strings.ContainsAny(first, ".:") || first == "localhost" || strings.ToLower(first) != first) {
		r.Host, r.Path = first, more
	}
	if r.Host == "index.docker.io" {
		r.Host = DockerHub
	}
	if r.Host == DockerHub && !strings.Contains(r.Path, "/") {
		r.Path = "library/" + r.Path
	}
	if !host.MatchString(r.Host) || !path.MatchString(r.Path) {
		return Ref{}, fmt.Errorf("image reference %q: bad name", s)
	}
	if r.Tag == "" && r.Digest == "" {
		r.Tag = "latest"
	}
	return r, nil
}

// Repository is the reference without tag and digest.
func (r Ref) Repository() string { return r.Host + "/" + r.Path }

// String is the complete reference. A digest makes the tag idle, and stores don't keep the two together.
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
