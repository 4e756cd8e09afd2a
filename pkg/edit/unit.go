package edit

import (
	"fmt"
	"slices"
	"strings"
)

// Unit is a parsed systemd unit file or drop-in.
type Unit struct {
	Entries []UnitEntry

	content  string
	lines    lineIndex
	comments []string
}

// UnitEntry is one assignment; continuation lines are joined by a space as systemd does.
type UnitEntry struct {
	Section, Name, Value string
	Line                 int

	value located
	lines lineIndex
}

// ParseUnit reads a unit file as systemd's src/shared/conf-parser.c does: lines that make no sense are skipped there,
// and are an error here.
func ParseUnit(content string) (*Unit, error) {
	if len(content) > maxContent {
		return nil, fmt.Errorf("parsing a unit: more than %d bytes", maxContent)
	}
	u := &Unit{content: content, lines: indexLines(content)}
	var logical located
	continued := false
	section, first := "", 0
	for n, at := 1, 0; at < len(content); n++ {
		end := lineEnd(content, at)
		stop := end
		for stop > at && (content[stop-1] == '\n' || content[stop-1] == '\r') {
			stop--
		}
		line := content[at:stop]
		if strings.ContainsAny(line, "\r\x00") {
			return nil, fmt.Errorf("parsing a unit: line %d: a control character", n)
		}
		if trimmed := strings.TrimLeft(line, " \t"); trimmed != "" && (trimmed[0] == '#' || trimmed[0] == ';') {
			u.comments = append(u.comments, trimmed)
			at = end
			continue
		}
		if !continued {
			logical, first = located{}, n
		}
		for i := at; i < stop; i++ {
			logical.add(content[i], i, i+1)
		}
		if continued = endsEscaped(logical.text); continued {
			logical.text[len(logical.text)-1] = ' '
			at = end
			continue
		}
		var err error
		if section, err = u.entry(section, logical, first); err != nil {
			return nil, err
		}
		at = end
	}
	if continued {
		if _, err := u.entry(section, logical, first); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// endsEscaped reports whether the text ends in a backslash that no backslash escapes.
func endsEscaped(text []byte) bool {
	n := 0
	for n < len(text) && text[len(text)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// entry takes one logical line and returns the section that holds then.
func (u *Unit) entry(section string, l located, line int) (string, error) {
	l = trim(l)
	text := l.String()
	if text == "" {
		return section, nil
	}
	if text[0] == '[' {
		if !strings.HasSuffix(text, "]") {
			return "", fmt.Errorf("parsing a unit: line %d: the section header isn't closed", line)
		}
		return text[1 : len(text)-1], nil
	}
	eq := strings.IndexByte(text, '=')
	if eq < 0 || section == "" {
		return "", fmt.Errorf("parsing a unit: line %d: no assignment in a section", line)
	}
	value := trim(l.slice(eq+1, len(l.text)))
	u.Entries = append(u.Entries, UnitEntry{
		Section: section, Name: strings.TrimRight(text[:eq], " \t"), Value: value.String(), Line: line, value: value,
		lines: u.lines,
	})
	return section, nil
}

func trim(l located) located {
	from, to := 0, len(l.text)
	for from < to && (l.text[from] == ' ' || l.text[from] == '\t') {
		from++
	}
	for to > from && (l.text[to-1] == ' ' || l.text[to-1] == '\t') {
		to--
	}
	return l.slice(from, to)
}

// Values returns the entries of that name in that section, in order, those before an empty assignment left out as
// systemd resets the list there.
func (u *Unit) Values(section, name string) []UnitEntry {
	var out []UnitEntry
	for _, e := range u.Entries {
		if e.Section != section || e.Name != name {
			continue
		}
		if e.Value == "" {
			out = nil
			continue
		}
		out = append(out, e)
	}
	return out
}

// Resets reports whether an empty assignment of that name stands in that section: it drops what other files of the
// unit assigned before.
func (u *Unit) Resets(section, name string) bool {
	return slices.ContainsFunc(u.Entries, func(e UnitEntry) bool {
		return e.Section == section && e.Name == name && e.Value == ""
	})
}

// Environment returns the variables that Environment= lines of [Service] set, in order. A line that can't be split is an
// error.
func (u *Unit) Environment() ([]EnvVar, error) {
	var out []EnvVar
	for _, e := range u.Values("Service", "Environment") {
		vars, _, err := e.environment()
		if err != nil {
			return nil, err
		}
		out = append(out, vars...)
	}
	return out, nil
}

// environment splits one Environment= line. The words are those that hold the variables.
func (e UnitEntry) environment() ([]EnvVar, []word, error) {
	words, err := splitWords(e.value, cEscapes)
	if err != nil {
		return nil, nil, fmt.Errorf("line %d: Environment=: %w", e.Line, err)
	}
	var out []EnvVar
	var holders []word
	for _, w := range words {
		name, _, ok := strings.Cut(w.String(), "=")
		if !ok || !validName(name) {
			continue // systemd ignores it
		}
		value := w.slice(len(name)+1, len(w.text))
		out = append(out, EnvVar{
			Name: name, Value: value.String(), Line: e.lines.of(w.start), value: value, start: w.to[len(name)], end: w.end, lines: e.lines,
		})
		holders = append(holders, w)
	}
	return out, holders, nil
}

// Flags reads the entry's value, a command line, as flags, each with its line.
func (e UnitEntry) Flags() ([]Flag, error) {
	words, err := splitWords(e.value, cEscapes)
	if err != nil {
		return nil, fmt.Errorf("line %d: %s=: %w", e.Line, e.Name, err)
	}
	return locatedFlags(words, e.lines), nil
}
