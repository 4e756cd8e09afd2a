package edit

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Env is a parsed environment file as systemd's EnvironmentFile= reads it.
type Env struct {
	// Vars are the assignments in file order; of two of one name the last wins.
	Vars []EnvVar

	content  string
	comments []string
	doubt    string // why systemd versions may read the file differently
}

// EnvVar is one assignment.
type EnvVar struct {
	Name, Value string
	Line        int

	value      located
	start, end int // the value as it is written, quotes included
	open       bool
	lines      lineIndex
}

// Flags reads the variable's value as flags, each with its line.
func (v EnvVar) Flags() []Flag {
	words, _ := splitWords(v.value, keepNext)
	return locatedFlags(words, v.lines)
}

// locatedFlags reads flags and their lines.
func locatedFlags(words []word, lines lineIndex) []Flag {
	var out []Flag
	for i := 0; i < len(words); i++ {
		name, val, has, ok := cutFlag(words[i].String())
		if !ok {
			continue
		}
		f := Flag{Name: name, Value: val, HasValue: has, Line: lines.of(words[i].start)}
		if !has && i+1 < len(words) && !strings.HasPrefix(words[i+1].String(), "-") {
			i++
			f.Value, f.HasValue = words[i].String(), true
		}
		out = append(out, f)
	}
	return out
}

// envState is a state of systemd's reader of environment files (src/basic/env-file.c).
type envState int

const (
	preKey envState = iota
	inKey
	preValue
	inValue
	valueEscape
	singleQuoted
	doubleQuoted
	doubleEscape
	inComment
	commentEscape
)

// ParseEnv reads an environment file.
func ParseEnv(content string) (*Env, error) {
	switch {
	case len(content) > maxContent:
		return nil, fmt.Errorf("parsing an environment file: more than %d bytes", maxContent)
	case !utf8.ValidString(content):
		return nil, errors.New("parsing an environment file: it isn't UTF-8")
	case strings.Contains(content, "\x00"):
		return nil, errors.New("parsing an environment file: it holds a zero byte")
	}
	e := &Env{content: content}
	r := envReader{env: e, lines: indexLines(content)}
	for i := range len(content) {
		r.step(content[i], i)
	}
	r.finish()
	return e, nil
}

// envReader is the reader's state between two bytes.
type envReader struct {
	env         *Env
	lines       lineIndex
	state       envState
	key         []byte
	keyStart    int
	valueStart  int
	valueEnd    int // behind the last byte that belongs to the value
	value       located
	chomp       int // length of the value without trailing white space, -1: all of it
	escapeStart int
	comment     int
}

func (r *envReader) step(c byte, i int) {
	eol := c == '\n' || c == '\r'
	space := eol || c == ' ' || c == '\t'
	switch r.state {
	case preKey:
		switch {
		case c == '#' || c == ';':
			r.state, r.comment = inComment, i
		case !space:
			r.state, r.key, r.keyStart = inKey, []byte{c}, i
		}
	case inKey:
		switch {
		case eol:
			r.state = preKey
		case c == '=':
			r.state, r.value, r.chomp, r.valueStart, r.valueEnd = preValue, located{}, -1, i+1, i+1
		default:
			r.key = append(r.key, c)
		}
	case preValue:
		r.preValue(c, i, eol, space)
	case inValue:
		switch {
		case eol:
			r.push()
		case c == '\\':
			r.state, r.escapeStart, r.chomp = valueEscape, i, -1
		default:
			if !space {
				r.chomp, r.valueEnd = -1, i+1
			} else if r.chomp < 0 {
				r.chomp = len(r.value.text)
			}
			r.value.add(c, i, i+1)
		}
	case valueEscape:
		r.state = inValue
		if !eol {
			r.value.add(c, r.escapeStart, i+1)
		}
		r.valueEnd = i + 1
	case singleQuoted:
		r.quoted(c, i, '\'')
	case doubleQuoted:
		if c == '\\' {
			r.state, r.escapeStart = doubleEscape, i
			return
		}
		r.quoted(c, i, '"')
	case doubleEscape:
		r.state = doubleQuoted
		switch {
		case strings.IndexByte("\"\\`$", c) >= 0:
			r.value.add(c, r.escapeStart, i+1)
		case c != '\n':
			r.value.add('\\', r.escapeStart, r.escapeStart+1)
			r.value.add(c, i, i+1)
		}
	case inComment:
		switch {
		case c == '\\':
			r.state = commentEscape
		case eol:
			r.endComment(i)
		}
	case commentEscape:
		r.state = inComment
		if eol {
			// Up to systemd 253 such a comment goes on in the next line, since then it doesn't.
			r.env.doubt = fmt.Sprintf("line %d: a comment ends in a backslash", r.lines.of(r.comment))
			r.endComment(i)
		}
	}
}

func (r *envReader) preValue(c byte, i int, eol, space bool) {
	switch {
	case eol:
		r.push()
	case c == '\'':
		r.state, r.valueEnd = singleQuoted, i+1
	case c == '"':
		r.state, r.valueEnd = doubleQuoted, i+1
	case c == '\\':
		r.state, r.escapeStart = valueEscape, i
	case !space:
		r.state, r.valueEnd = inValue, i+1
		r.value.add(c, i, i+1)
	}
}

func (r *envReader) quoted(c byte, i int, quote byte) {
	r.valueEnd = i + 1
	if c == quote {
		r.state = preValue
	} else {
		r.value.add(c, i, i+1)
	}
}

func (r *envReader) endComment(i int) {
	r.env.comments = append(r.env.comments, r.env.content[r.comment:i])
	r.state = preKey
}

// push ends an assignment.
func (r *envReader) push() {
	open := r.state == singleQuoted || r.state == doubleQuoted || r.state == doubleEscape
	if r.state == inValue && r.chomp >= 0 {
		r.value = r.value.slice(0, r.chomp)
	}
	r.state = preKey
	name := strings.TrimRight(string(r.key), " \t")
	if !validName(name) {
		return // systemd ignores it
	}
	start := r.valueStart
	for start < r.valueEnd && (r.env.content[start] == ' ' || r.env.content[start] == '\t') {
		start++
	}
	r.env.Vars = append(r.env.Vars, EnvVar{
		Name: name, Value: r.value.String(), Line: r.lines.of(r.keyStart), value: r.value, start: start, end: r.valueEnd, open: open,
		lines: r.lines,
	})
}

func (r *envReader) finish() {
	switch r.state {
	case preKey, inKey:
	case inComment, commentEscape:
		r.endComment(len(r.env.content))
	default:
		if r.state == doubleEscape || r.state == valueEscape {
			r.valueEnd = len(r.env.content)
		}
		r.push()
	}
}

func validName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == "" && (s[0] < '0' || s[0] > '9')
}

// Get returns the assignment of name that wins.
func (e *Env) Get(name string) (EnvVar, bool) {
	for _, v := range slices.Backward(e.Vars) {
		if v.Name == name {
			return v, true
		}
	}
	return EnvVar{}, false
}
