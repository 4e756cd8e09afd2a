package edit

import "errors"

// TOML is a parsed TOML document with the place of every value.
type TOML struct {
	content string
	tree    map[string]any
}

// Value is a value and where it stands.
type Value struct {
	// Any is the decoded value: string, int64, float64, bool, []any, map[string]any or a time.
	Any any
	// Line is where its key stands, from 1.
	Line int
	// Start and End bound the value's own bytes; both are 0 for a table that is spread over the document.
	Start, End int
}

// ParseTOML reads a document.
func ParseTOML(content string) (*TOML, error) { return nil, errors.New("not implemented") }

// Tree is the decoded document. It must not be changed.
func (t *TOML) Tree() map[string]any { return t.tree }

// Get returns the value at key.
func (t *TOML) Get(key ...string) (Value, bool) { return Value{}, false }

// String returns the string at key; ok is false when there is none or it isn't a string.
func (t *TOML) String(key ...string) (s string, ok bool) { return "", false }

// Bool returns the boolean at key.
func (t *TOML) Bool(key ...string) (b, ok bool) { return false, false }

// Int returns the integer at key.
func (t *TOML) Int(key ...string) (n int64, ok bool) { return 0, false }

// Strings returns the strings of the array at key; ok is false when there is no array or an element isn't a string.
func (t *TOML) Strings(key ...string) (s []string, ok bool) { return nil, false }

// Keys returns the keys of the table at key, sorted; none of key is the document itself.
func (t *TOML) Keys(key ...string) []string { return nil }

// TOMLSet gives key the value: a string, bool, int, int64, []string. The key is replaced where it stands; else it is
// added to its table, and the table with a header of its own where it doesn't exist.
func TOMLSet(content string, key []string, value any) ([]Splice, error) {
	return nil, errors.New("not implemented")
}

// TOMLRemove removes key and its value, a whole table included; a key that isn't there needs no splice.
func TOMLRemove(content string, key []string) ([]Splice, error) {
	return nil, errors.New("not implemented")
}

// TOMLRemoveElement removes every element equal to element from the array of strings at key; none needs no splice.
func TOMLRemoveElement(content string, key []string, element string) ([]Splice, error) {
	return nil, errors.New("not implemented")
}

// TOMLQuote writes a value (string, bool, int, int64, []string) as TOML does.
func TOMLQuote(value any) (string, error) { return "", errors.New("not implemented") }

// TOMLKey writes a dotted key, quoting the parts that need it.
func TOMLKey(key ...string) string { return "" }
