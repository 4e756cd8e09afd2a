package edit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// JSON is a parsed JSON object with the line of every key outside arrays.
type JSON struct {
	tree  map[string]any
	lines map[string]int
}

// ParseJSON reads an object; an empty content is an empty object, as dockerd reads it.
func ParseJSON(content string) (*JSON, error) {
	if len(content) > maxContent {
		return nil, fmt.Errorf("parsing JSON: more than %d bytes", maxContent)
	}
	j := &JSON{tree: map[string]any{}, lines: map[string]int{}}
	content = strings.TrimPrefix(content, "\ufeff")
	if strings.TrimSpace(content) == "" {
		return j, nil
	}
	lines := indexLines(content)
	decoder := json.NewDecoder(bytes.NewReader([]byte(content)))
	decoder.UseNumber()
	if err := decoder.Decode(&j.tree); err != nil {
		return nil, jsonError(err, lines)
	}
	if j.tree == nil {
		return nil, errors.New("parsing JSON: the document is no object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("parsing JSON: something follows the object")
	}
	walk := json.NewDecoder(bytes.NewReader([]byte(content)))
	if _, err := walk.Token(); err != nil {
		return nil, jsonError(err, lines)
	}
	if err := j.object(walk, lines, "", 0); err != nil {
		return nil, jsonError(err, lines)
	}
	return j, nil
}

func jsonError(err error, lines lineIndex) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("parsing JSON: line %d: %w", lines.of(int(syntax.Offset)), err)
	}
	return fmt.Errorf("parsing JSON: %w", err)
}

// object notes the keys of an object whose brace was read. Two keys of one name, which decoders resolve differently,
// are refused.
func (j *JSON) object(d *json.Decoder, lines lineIndex, prefix string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("objects are nested more than %d deep", maxDepth)
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		path := prefix + "\x00" + name
		if _, double := j.lines[path]; double {
			return fmt.Errorf("the key %q stands twice", name)
		}
		j.lines[path] = lines.of(int(d.InputOffset()) - 1)
		if token, err = d.Token(); err != nil {
			return err
		}
		switch token {
		case json.Delim('{'):
			if err := j.object(d, lines, path, depth+1); err != nil {
				return err
			}
		case json.Delim('['):
			if err := skipArray(d); err != nil {
				return err
			}
		}
	}
	_, err := d.Token()
	return err
}

// skipArray reads up to the end of an array whose bracket was read.
func skipArray(d *json.Decoder) error {
	for depth := 1; depth > 0; {
		token, err := d.Token()
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
	}
	return nil
}

// Tree is the decoded object, numbers as json.Number. It must not be changed.
func (j *JSON) Tree() map[string]any { return j.tree }

// Get returns the value at key and the line of the key, from 1.
func (j *JSON) Get(key ...string) (v any, line int, ok bool) {
	v, ok = lookup(j.tree, key)
	if !ok {
		return nil, 0, false
	}
	return v, j.lines["\x00"+strings.Join(key, "\x00")], true
}
