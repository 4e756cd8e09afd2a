package edit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Splice replaces the bytes [Start, End) of a content by Text.
type Splice struct {
	Start, End int
	Text       string
}

// Apply returns content with the splices applied. They may come in any order but must not overlap; two insertions at
// one offset keep the order in which they were given.
func Apply(content string, s ...Splice) (string, error) {
	ordered, err := order(len(content), s)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	at := 0
	for _, x := range ordered {
		b.WriteString(content[at:x.Start])
		b.WriteString(x.Text)
		at = x.End
	}
	b.WriteString(content[at:])
	return b.String(), nil
}

// order returns the splices sorted by offset, or an error where they leave the content or overlap.
func order(length int, s []Splice) ([]Splice, error) {
	ordered := slices.Clone(s)
	slices.SortStableFunc(ordered, func(a, b Splice) int { return cmp.Compare(a.Start, b.Start) })
	at := 0
	for _, x := range ordered {
		if x.Start < 0 || x.End < x.Start || x.End > length {
			return nil, fmt.Errorf("splice [%d, %d) is outside a content of %d bytes", x.Start, x.End, length)
		}
		if x.Start < at {
			return nil, fmt.Errorf("splice [%d, %d) overlaps the one before it", x.Start, x.End)
		}
		at = x.End
	}
	return ordered, nil
}

// Segments describes the new content of path in terms of the spans of its old content and literal text. Splices that
// Apply would refuse yield nil.
func Segments(path, content string, s ...Splice) []v1alpha1.Segment {
	d := NewDraft(path, content)
	if err := d.Splice(s...); err != nil {
		return nil
	}
	return d.Segments()
}

// Text describes a content that is literal text alone. An empty text is one empty segment: a nil list would mean that
// nothing is known.
func Text(text string) []v1alpha1.Segment {
	return []v1alpha1.Segment{{Text: text}}
}

// Resolve assembles the bytes that the segments describe. It reads each source once.
func Resolve(segments []v1alpha1.Segment, read func(path string) ([]byte, error)) ([]byte, error) {
	sources := map[string][]byte{}
	var out []byte
	for i, s := range segments {
		if s.From == "" {
			if s.Start != 0 || s.End != 0 {
				return nil, fmt.Errorf("segment %d names a span of no file", i)
			}
			out = append(out, s.Text...)
			continue
		}
		if s.Text != "" {
			return nil, fmt.Errorf("segment %d has both text and a source", i)
		}
		source, ok := sources[s.From]
		if !ok {
			var err error
			if source, err = read(s.From); err != nil {
				return nil, fmt.Errorf("resolving a content from %s: %w", s.From, err)
			}
			sources[s.From] = source
		}
		if s.Start < 0 || s.End < s.Start || s.End > len(source) {
			return nil, fmt.Errorf("segment %d wants bytes [%d, %d) of %s, which has %d", i, s.Start, s.End, s.From, len(source))
		}
		out = append(out, source[s.Start:s.End]...)
	}
	return out, nil
}
