package edit

import (
	"strings"
)

// scan masks what can be recognised line by line in any format, comments included: they may hold a setting that was
// only commented out.
func (m *masker) scan(f format) {
	c := m.content
	for i := 0; i < len(c); i++ {
		switch c[i] {
		case '\n':
			m.line = i + 1
		case ':':
			if strings.HasPrefix(c[i:], "://") {
				m.url(i)
			} else {
				m.assignment(i, f)
			}
		case '=':
			m.assignment(i, f)
		case '-':
			if strings.HasPrefix(c[i:], "-----BEGIN ") {
				i = m.privateKey(i)
			} else if strings.HasPrefix(c[i:], "--") && (i == 0 || strings.IndexByte(" \t\n\"'=", c[i-1]) >= 0) {
				m.spacedFlag(i)
			}
		case 'b', 'B':
			m.scheme(i)
		}
	}
}

// url masks the password of a URL whose "://" stands at i; a user without a password counts as a token.
func (m *masker) url(i int) {
	c := m.content
	start := i + len("://")
	end := start
	for end < len(c) && strings.IndexByte(" \t\r\n\"'`<>", c[end]) < 0 && !strings.HasPrefix(c[end:], "://") {
		if c[end] == '\\' {
			end++ // what is escaped belongs to the URL
		}
		end++
	}
	end = min(end, len(c))
	text := c[start:end]
	authority := text
	if n := strings.IndexAny(text, "/?#"); n >= 0 {
		authority = text[:n]
	}
	colon, at := strings.IndexByte(authority, ':'), strings.LastIndexByte(authority, '@')
	if at < 0 && colon >= 0 && !strings.HasPrefix(authority, "[") && strings.Trim(authority[colon+1:], "0123456789,") != "" {
		// A slash in the password, which nobody should write.
		at = strings.LastIndexByte(text, '@')
	}
	if at < 0 {
		return
	}
	if colon >= 0 && colon < at {
		m.mask(start+colon+1, start+at, false)
	} else {
		m.mask(start, start+at, false)
	}
}

// assignment masks the value behind the "=" or ":" at i when the name before it is telling.
func (m *masker) assignment(i int, f format) {
	c := m.content
	end := i
	for end > 0 && (c[end-1] == ' ' || c[end-1] == '\t') && i-end < 32 {
		end--
	}
	if end > 0 && (c[end-1] == '"' || c[end-1] == '\'') {
		end--
	}
	start := end
	for start > 0 && end-start < 64 && nameByte(c[start-1]) {
		start--
	}
	name := c[start:end]
	if !secretName(name) && (c[i] != '=' || !strings.HasPrefix(name, "--") || !secretFlag(name)) {
		return
	}
	commented := strings.HasPrefix(strings.TrimLeft(c[m.line:min(i, m.line+64)], " \t"), "#")
	at := i + 1
	for at < len(c) && (c[at] == ' ' || c[at] == '\t') {
		at++
	}
	if f == formatYAML && c[i] == ':' && at == i+1 && !commented {
		return // no key in YAML; inside braces the parser sees to it
	}
	if at == len(c) || c[at] == '\n' || c[at] == '\r' || strings.IndexByte("[{|>&!#", c[at]) >= 0 {
		return // nothing here, or what the format's own parser must look at
	}
	if q := c[at]; q == '"' || q == '\'' {
		if strings.HasPrefix(c[at:], string([]byte{q, q, q})) {
			return
		}
		m.mask(at+1, quoteEnd(c, at), false)
		return
	}
	if at < m.until {
		return // it was masked with what stands before it
	}
	if (f == formatTOML || f == formatJSON) && !commented {
		return // no string, so no secret that its reader would take
	}
	// A header's value has blanks in it.
	stops := " \t\r\n\"',;}]"
	if strings.HasSuffix(strings.ToLower(name), "authorization") || strings.HasSuffix(strings.ToLower(name), "cookie") {
		stops = "\r\n\"'"
	}
	stop := at
	for stop < len(c) && strings.IndexByte(stops, c[stop]) < 0 {
		stop++
	}
	if stop > at && c[stop-1] == ':' {
		stop-- // as likely the colon of a key
	}
	m.mask(at, stop, c[i] == ':')
	m.until = stop
}

// quoteEnd returns where the quote at start closes on its line, or the line ends.
func quoteEnd(c string, start int) int {
	q := c[start]
	for i := start + 1; i < len(c); i++ {
		switch {
		case c[i] == '\n':
			return i
		case c[i] == '\\' && q == '"':
			i++
		case c[i] == q:
			return i
		}
	}
	return len(c)
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
}

// spacedFlag masks the word behind a flag that is written without "=".
func (m *masker) spacedFlag(i int) {
	c := m.content
	end := i + 2
	for end < len(c) && end-i < 64 && nameByte(c[end]) {
		end++
	}
	if end == i+2 || end >= len(c) || c[end] != ' ' || !secretFlag(c[i+2:end]) {
		return
	}
	start := end
	for start < len(c) && c[start] == ' ' {
		start++
	}
	if start < len(c) && c[start] == '-' {
		return
	}
	stop := start
	for stop < len(c) && strings.IndexByte(" \t\r\n\"'", c[stop]) < 0 {
		stop++
	}
	m.mask(start, stop, false)
}

// scheme masks the credential behind Basic or Bearer. Prose has no words that long.
func (m *masker) scheme(i int) {
	c := m.content
	for _, scheme := range []string{"basic ", "bearer "} {
		if len(c)-i <= len(scheme) || !strings.EqualFold(c[i:i+len(scheme)], scheme) {
			continue
		}
		start := i + len(scheme)
		end := start
		for end < len(c) && (nameByte(c[end]) || strings.IndexByte("+/=~*", c[end]) >= 0) {
			end++
		}
		if end-start >= 16 {
			m.mask(start, end, false)
		}
	}
}

// privateKey masks the body of a PEM private key whose dashes start at i and returns how far it looked.
func (m *masker) privateKey(i int) int {
	c := m.content
	head := c[i:min(i+64, len(c))]
	n := strings.Index(head, "PRIVATE KEY-----")
	if n < 0 {
		return i + len("-----BEGIN")
	}
	start := i + n + len("PRIVATE KEY-----")
	end := len(c)
	if n := strings.Index(c[start:], "-----END"); n >= 0 {
		end = start + n
	}
	for at := start; at < end; {
		stop := at
		for stop < end && (nameByte(c[stop]) || strings.IndexByte("+/=*", c[stop]) >= 0) {
			stop++
		}
		m.mask(at, stop, false)
		at = stop + 1
	}
	return end - 1
}
