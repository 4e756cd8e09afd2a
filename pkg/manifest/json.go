package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// isJSON reports whether a document is JSON. What begins with a brace may also be YAML, or a template.
func isJSON(text []byte) bool {
	text = bytes.TrimLeft(text, " \t\r\n")
	if len(text) == 0 || text[0] != '{' {
		return false
	}
	var raw json.RawMessage
	return json.NewDecoder(bytes.NewReader(text)).Decode(&raw) == nil
}

// jsonError is what is wrong, and in which line of the document.
type jsonError struct {
	line int
	err  error
}

func (e *jsonError) Error() string { return e.err.Error() }

// jsonNodes reads JSON values, one behind the other, into trees like those of YAML, which has no line of its own for JSON: YAML
// takes no tabs and no surrogates.
func jsonNodes(text []byte) ([]*yaml.Node, error) {
	r := &jsonReader{text: text, dec: json.NewDecoder(bytes.NewReader(text)), line: 1}
	r.dec.UseNumber()
	var nodes []*yaml.Node
	for {
		n, err := r.next(0)
		if errors.Is(err, io.EOF) {
			return nodes, nil
		}
		if err != nil {
			return nil, &jsonError{r.line, err}
		}
		nodes = append(nodes, n)
	}
}

type jsonReader struct {
	text   []byte
	dec    *json.Decoder
	offset int
	line   int
	parts  int
}

// errClosed says that a bracket was closed.
var errClosed = errors.New("closed")

func (r *jsonReader) next(depth int) (*yaml.Node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("values are nested more than %d deep", maxDepth)
	}
	token, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	// The offset is that of the token's end, and no token has two lines.
	end := int(r.dec.InputOffset())
	r.line += bytes.Count(r.text[r.offset:end], []byte("\n"))
	r.offset = end
	if r.parts++; r.parts > maxParts {
		return nil, fmt.Errorf("the document has more than %d values", maxParts)
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line, Style: yaml.DoubleQuotedStyle}
	switch t := token.(type) {
	case json.Delim:
		switch t {
		case '{':
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		case '[':
			n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		default:
			return nil, errClosed
		}
		for {
			child, err := r.next(depth + 1)
			if errors.Is(err, errClosed) {
				return n, nil
			}
			if errors.Is(err, io.EOF) {
				return nil, io.ErrUnexpectedEOF
			}
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
	case string:
		n.Tag, n.Value = "!!str", t
	case json.Number:
		n.Tag, n.Value = "!!float", t.String()
		if _, err := t.Int64(); err == nil {
			n.Tag = "!!int"
		}
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(t)
	case nil:
		n.Tag = "!!null"
	}
	return n, nil
}
