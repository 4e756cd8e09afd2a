package v1alpha1

import (
	"fmt"
	"strings"
)

// The formats of records, plans and questions. Format is the one that this program writes: it rises with every release that
// changes a field of Run, Plan or Request, or what one means. FormatAlpha1 is that of documents that carry no number.
const (
	FormatAlpha1 = 1
	Format       = 2
)

// group is what the apiVersion of every document of ours begins with.
const group = "kubectl-runtime/"

// APIVersion is written into every top-level document. APIVersionAlpha1 stands in those of FormatAlpha1.
const (
	APIVersion       = group + "v1alpha2"
	APIVersionAlpha1 = group + "v1alpha1"
)

// Header is how records and plans begin in every format, later ones too: it is all that is known of a document whose format
// isn't.
type Header struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Format     int    `json:"format,omitempty"`
	Version    string `json:"version,omitempty"`
}

// Known returns the number of the document's format. A format of a later program is a *NewerError.
func (h Header) Known() (int, error) {
	switch {
	case !strings.HasPrefix(h.APIVersion, group):
		return 0, fmt.Errorf("it is a %q of %q", h.Kind, h.APIVersion)
	case h.APIVersion == APIVersionAlpha1 && h.Format == 0:
		return FormatAlpha1, nil
	case h.APIVersion == APIVersion && h.Format == Format:
		return Format, nil
	case h.APIVersion != APIVersionAlpha1 && h.APIVersion != APIVersion, h.Format > Format:
		return 0, &NewerError{Header: h}
	}
	return 0, fmt.Errorf("there is no format %d of %q", h.Format, h.APIVersion)
}

// Header is what the record tells of itself.
func (r Run) Header() Header { return Header{r.APIVersion, r.Kind, r.Format, r.Version} }

// Header is what the plan tells of itself.
func (p Plan) Header() Header { return Header{p.APIVersion, p.Kind, p.Format, p.Version} }

// Speaks returns the apiVersion of questions and answers of a format.
func Speaks(format int) string {
	if format == FormatAlpha1 {
		return APIVersionAlpha1
	}
	return APIVersion
}

// NewerError says that a document was written by a later program, in a format that this one doesn't know.
type NewerError struct {
	Header
	// What names the document.
	What string
}

// Error implements error.
func (e *NewerError) Error() string {
	format := e.APIVersion
	if e.Format != 0 {
		format = fmt.Sprintf("format %d", e.Format)
	}
	return fmt.Sprintf("%s was written by %s (%s), and this one reads formats up to %d: use %s", e.What, e.by("a later kubectl runtime"), format, Format, e.Needs())
}

// Needs is the program that reads the document.
func (e *NewerError) Needs() string {
	if e.Version == "" {
		return e.by("the kubectl runtime that wrote it")
	}
	return e.by("") + " or later"
}

func (e *NewerError) by(unknown string) string {
	if e.Version == "" {
		return unknown
	}
	return "kubectl runtime " + e.Version
}
