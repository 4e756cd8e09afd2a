package edit

import (
	"errors"
	"fmt"
	"strings"
)

// located is a decoded text that remembers which bytes of the file each of its bytes came from.
type located struct {
	text     []byte
	from, to []int // the source bytes of text[i] are [from[i], to[i])
}

func (l *located) add(c byte, from, to int) {
	l.text = append(l.text, c)
	l.from = append(l.from, from)
	l.to = append(l.to, to)
}

func (l *located) slice(from, to int) located {
	return located{l.text[from:to], l.from[from:to], l.to[from:to]}
}

func (l *located) String() string { return string(l.text) }

// word is one word of a text.
type word struct {
	located
	// start and end bound what the word was read from, quotes included: in the file, and in the text that was split.
	start, end         int
	textStart, textEnd int
}

// escapes says what a backslash means inside a word.
type escapes int

const (
	keepNext escapes = iota // the next character as it is: how $VAR is split in ExecStart=
	cEscapes                // C escapes: in unit files
)

// splitWords splits as systemd does: white space separates, quotes of both kinds group, anywhere in a word. An open quote
// ends with the text when words are made of a variable, and is an error in a unit file.
func splitWords(l located, mode escapes) ([]word, error) {
	var out []word
	var w *word
	var quote byte
	open := func(i int) {
		if w == nil {
			out = append(out, word{start: l.from[i], textStart: i})
			w = &out[len(out)-1]
		}
		w.end, w.textEnd = l.to[i], i+1
	}
	for i := 0; i < len(l.text); i++ {
		c := l.text[i]
		switch {
		case quote == 0 && strings.IndexByte(" \t\n\r", c) >= 0:
			w = nil
		case c == '\\':
			open(i)
			if i+1 == len(l.text) {
				if mode == cEscapes {
					return nil, errors.New("a backslash ends the value")
				}
				continue
			}
			i++
			open(i)
			d := l.text[i]
			if mode == cEscapes {
				n := strings.IndexByte("abfnrtvs\\\"'", d)
				if n < 0 {
					return nil, fmt.Errorf("the escape \\%c isn't understood", d)
				}
				d = "\a\b\f\n\r\t\v \\\"'"[n]
			}
			w.add(d, l.from[i-1], l.to[i])
		case quote == 0 && (c == '"' || c == '\''):
			open(i)
			quote = c
		case quote != 0 && c == quote:
			open(i)
			quote = 0
		default:
			open(i)
			w.add(c, l.from[i], l.to[i])
		}
	}
	if quote != 0 && mode == cEscapes {
		return nil, errors.New("a quote isn't closed")
	}
	return out, nil
}

// SplitWords splits the value of a variable into words as systemd does for $VAR on a command line.
func SplitWords(value string) []string {
	words, _ := splitWords(locate(value), keepNext) // never fails in this mode
	return texts(words)
}

// SplitCommand splits the value of a unit's setting into words.
func SplitCommand(value string) ([]string, error) {
	words, err := splitWords(locate(value), cEscapes)
	if err != nil {
		return nil, err
	}
	return texts(words), nil
}

// Word is a word of a command line and the line, from 1, on which it stands in its file.
type Word struct {
	Text string
	Line int
}

// Words splits the variable's value as systemd does for $VAR on a command line.
func (v EnvVar) Words() []Word {
	words, _ := splitWords(v.value, keepNext)
	return numbered(words, v.lines)
}

// Words splits the entry's value, a command line.
func (e UnitEntry) Words() ([]Word, error) {
	words, err := splitWords(e.value, cEscapes)
	if err != nil {
		return nil, fmt.Errorf("line %d: %s=: %w", e.Line, e.Name, err)
	}
	return numbered(words, e.lines), nil
}

func numbered(words []word, lines lineIndex) []Word {
	out := make([]Word, len(words))
	for i := range words {
		out[i] = Word{words[i].String(), lines.of(words[i].start)}
	}
	return out
}

func texts(words []word) []string {
	out := make([]string, len(words))
	for i := range words {
		out[i] = words[i].String()
	}
	return out
}

func locate(s string) located {
	var l located
	for i := range len(s) {
		l.add(s[i], i, i+1)
	}
	return l
}
