package edit

import "errors"

// YAML is a parsed YAML document: a mapping, as configuration files are.
type YAML struct {
	tree map[string]any
}

// ParseYAML reads a document; an empty one is an empty mapping. More than one document is an error.
func ParseYAML(content string) (*YAML, error) { return nil, errors.New("not implemented") }

// Tree is the decoded document. It must not be changed.
func (y *YAML) Tree() map[string]any { return y.tree }

// Get returns the scalar at key as text and the line of the key, from 1; ok is false when there is no scalar. A null
// is the empty text.
func (y *YAML) Get(key ...string) (text string, line int, ok bool) { return "", 0, false }

// YAMLSet gives the top-level key a string, where it stands or at the end of the mapping.
func YAMLSet(content, key, value string) ([]Splice, error) { return nil, errors.New("not implemented") }

// YAMLRemove removes the top-level key with its scalar; a key that isn't there needs no splice.
func YAMLRemove(content, key string) ([]Splice, error) { return nil, errors.New("not implemented") }
