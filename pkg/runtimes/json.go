package runtimes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// jsonSet gives a top-level key of a JSON object a value: where it stands, or as the first key. A second parse proves
// that nothing else changed.
func jsonSet(content, key string, value any) ([]edit.Splice, error) {
	encoded, err := encode(value)
	if err != nil {
		return nil, err
	}
	start, end, open, err := jsonSpan(content, key)
	if err != nil {
		return nil, err
	}
	var s edit.Splice
	switch {
	case start > 0:
		s = edit.Splice{Start: start, End: end, Text: encoded}
	case jsonEmpty(content):
		s = edit.Splice{Start: open, End: strings.LastIndexByte(content, '}'), Text: "\n  \"" + key + "\": " + encoded + "\n"}
	case !strings.HasPrefix(strings.TrimLeft(content[open:], " \t\r"), "\n"):
		s = edit.Splice{Start: open, End: open, Text: "\"" + key + "\": " + encoded + ", "}
	default:
		s = edit.Splice{Start: open, End: open, Text: "\n" + jsonIndent(content[open:]) + "\"" + key + "\": " + encoded + ","}
	}
	return []edit.Splice{s}, jsonProve(content, s, key, encoded)
}

func encode(value any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return "", err
	}
	return strings.TrimSpace(b.String()), nil
}

// jsonSpan returns the bytes of a top-level value, or zeros, and the offset behind the opening brace.
func jsonSpan(content, key string) (start, end, open int, err error) {
	d := json.NewDecoder(strings.NewReader(content))
	t, err := d.Token()
	if err != nil || t != json.Delim('{') {
		return 0, 0, 0, errors.New("not a JSON object")
	}
	open = int(d.InputOffset())
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return 0, 0, 0, err
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return 0, 0, 0, err
		}
		if name == key {
			end = int(d.InputOffset())
			return end - len(raw), end, open, nil
		}
	}
	return 0, 0, open, nil
}

func jsonEmpty(content string) bool {
	t := map[string]any{}
	return json.Unmarshal([]byte(content), &t) == nil && len(t) == 0
}

// jsonIndent is what stands before the first key.
func jsonIndent(rest string) string {
	line := strings.TrimLeft(rest, "\r\n")
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

func jsonProve(content string, s edit.Splice, key, encoded string) error {
	after, err := edit.Apply(content, s)
	if err != nil {
		return err
	}
	var was, is map[string]any
	var want any
	for text, into := range map[string]any{content: &was, after: &is, encoded: &want} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			return fmt.Errorf("setting %s: %w", key, err)
		}
	}
	if !reflect.DeepEqual(is[key], want) {
		return fmt.Errorf("setting %s: %w", key, edit.ErrRefused)
	}
	delete(is, key)
	delete(was, key)
	if !reflect.DeepEqual(is, was) {
		return fmt.Errorf("setting %s would change something else: %w", key, edit.ErrRefused)
	}
	return nil
}
