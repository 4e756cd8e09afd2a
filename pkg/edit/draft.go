package edit

import (
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Draft is a file under edit: several edits follow one another, each made for the text that the former left, and the
// result is still told in spans of the original.
type Draft struct {
	path, original, text string
	// pieces cover text: spans of the original and literals.
	pieces []piece
}

// piece is a span of the original or, when literal is true, text of ours.
type piece struct {
	literal    bool
	text       string
	start, end int
}

func (p piece) len() int {
	if p.literal {
		return len(p.text)
	}
	return p.end - p.start
}

// cut returns the part [from, to) of the piece.
func (p piece) cut(from, to int) piece {
	if p.literal {
		return piece{literal: true, text: p.text[from:to]}
	}
	return piece{start: p.start + from, end: p.start + to}
}

// NewDraft starts from the content of path.
func NewDraft(path, content string) *Draft {
	d := &Draft{path: path, original: content, text: content}
	if content != "" {
		d.pieces = []piece{{end: len(content)}}
	}
	return d
}

// Text is the content as edited so far.
func (d *Draft) Text() string { return d.text }

// Changed reports whether the text differs from the original.
func (d *Draft) Changed() bool { return d.text != d.original }

// Apply takes what an edit function returned for d.Text():
//
//	err := d.Apply(edit.YAMLSet(d.Text(), "containerRuntimeEndpoint", endpoint))
func (d *Draft) Apply(s []Splice, err error) error {
	if err != nil {
		return err
	}
	return d.Splice(s...)
}

// Splice applies splices that were made for d.Text().
func (d *Draft) Splice(s ...Splice) error {
	ordered, err := order(len(d.text), s)
	if err != nil {
		return err
	}
	text, err := Apply(d.text, ordered...)
	if err != nil {
		return err
	}
	var pieces []piece
	at := 0
	for _, x := range ordered {
		pieces = append(pieces, d.slice(at, x.Start)...)
		if x.Text != "" {
			pieces = append(pieces, piece{literal: true, text: x.Text})
		}
		at = x.End
	}
	pieces = append(pieces, d.slice(at, len(d.text))...)
	d.text, d.pieces = text, merge(pieces)
	return nil
}

// slice returns the pieces that cover [from, to) of the text.
func (d *Draft) slice(from, to int) []piece {
	var out []piece
	at := 0
	for _, p := range d.pieces {
		lo, hi := max(from-at, 0), min(to-at, p.len())
		if lo < hi {
			out = append(out, p.cut(lo, hi))
		}
		at += p.len()
	}
	return out
}

// merge joins neighbours that are one span or one literal.
func merge(in []piece) []piece {
	var out []piece
	for _, p := range in {
		if n := len(out); n > 0 {
			last := &out[n-1]
			if p.literal && last.literal {
				last.text += p.text
				continue
			}
			if !p.literal && !last.literal && last.end == p.start {
				last.end = p.end
				continue
			}
		}
		out = append(out, p)
	}
	return out
}

// Segments describes the text in spans of the original.
func (d *Draft) Segments() []v1alpha1.Segment {
	if len(d.pieces) == 0 {
		return Text("")
	}
	out := make([]v1alpha1.Segment, 0, len(d.pieces))
	for _, p := range d.pieces {
		if p.literal {
			out = append(out, v1alpha1.Segment{Text: p.text})
		} else {
			out = append(out, v1alpha1.Segment{From: d.path, Start: p.start, End: p.end})
		}
	}
	return out
}
