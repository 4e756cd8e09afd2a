package ui

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable writes out what a terminal would obey and what nobody would see: control characters, C1 among them, bytes that aren't
// UTF-8, characters that turn the direction of text or have no width. Line ends and tabs stay.
func printable(s string) string {
	if harmless(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case shown(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			// As JSON writes it: a document says the same behind this filter.
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

func harmless(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !shown(r) })
}

// shown reports whether a character is seen as one, or ends a line or a column.
func shown(r rune) bool {
	return r == '\n' || r == '\t' || unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// door is the one way to a stream. What isn't printable doesn't pass, whoever wrote it, but for the colours of styles where they are on.
type door struct {
	w      io.Writer
	colour bool
	// rest is the beginning of a character whose end hasn't come yet.
	rest []byte
}

// Printable returns a writer that lets only printable characters through to w.
func Printable(w io.Writer) io.Writer { return &door{w: w} }

// colours are the sequences by which styles paint: none of them hides anything or moves the cursor.
var colours = regexp.MustCompile("\x1b" + `\[(?:0|1|2|22|31|32|33|36|39)(?:;(?:0|22|39))*m`)

// Write implements io.Writer.
func (d *door) Write(p []byte) (int, error) {
	text := append(d.rest, p...)
	whole := len(text) - begun(text)
	d.rest = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(d.w, d.pass(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (d *door) pass(text string) string {
	if !d.colour {
		return printable(text)
	}
	var b strings.Builder
	at := 0
	for _, span := range colours.FindAllStringIndex(text, -1) {
		b.WriteString(printable(text[at:span[0]]))
		b.WriteString(text[span[0]:span[1]])
		at = span[1]
	}
	return b.String() + printable(text[at:])
}

// begun counts the bytes at the end that are the beginning of a character.
func begun(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if tail := p[len(p)-n:]; utf8.RuneStart(tail[0]) {
			if tail[0] >= utf8.RuneSelf && !utf8.FullRune(tail) {
				return n
			}
			return 0
		}
	}
	return 0
}
