package edit

import (
	"fmt"
	"slices"
	"strings"
)

// Flag is one flag of a command line.
type Flag struct {
	// Name has no dashes; Value is empty for a switch.
	Name, Value string
	// HasValue tells --name=value and --name value from --name.
	HasValue bool
	// Line is where it stands in its file, from 1; 0 on a command line.
	Line int
}

// Flags reads the flags of a kubelet's command line, the program's name left out. A word that follows a flag without
// "=" counts as its value: the kubelet takes no arguments, so it is that or an error.
func Flags(args []string) []Flag {
	var out []Flag
	for i := 0; i < len(args); i++ {
		name, value, has, ok := cutFlag(args[i])
		if !ok {
			continue
		}
		if !has && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			i++
			value, has = args[i], true
		}
		out = append(out, Flag{Name: name, Value: value, HasValue: has})
	}
	return out
}

// LastFlag returns the flag that wins: the last one.
func LastFlag(flags []Flag, name string) (Flag, bool) {
	for _, f := range slices.Backward(flags) {
		if f.Name == name {
			return f, true
		}
	}
	return Flag{}, false
}

func cutFlag(arg string) (name, value string, has, ok bool) {
	rest, ok := strings.CutPrefix(arg, "--")
	if !ok || rest == "" {
		return "", "", false, false
	}
	name, value, has = strings.Cut(rest, "=")
	return name, value, has, name != ""
}

// safeFlag reports whether a text needs no quoting in an environment file, a unit or a shell.
func safeFlag(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@,+=") == ""
}

// occurrence is a flag among words: one word, or two.
type occurrence struct {
	first, last int // indices of the words
}

func occurrences(words []word, flag string) []occurrence {
	var out []occurrence
	for i := 0; i < len(words); i++ {
		name, _, has, ok := cutFlag(words[i].String())
		if !ok {
			continue
		}
		o := occurrence{i, i}
		if !has && i+1 < len(words) && !strings.HasPrefix(words[i+1].String(), "-") {
			i++
			o.last = i
		}
		if name == flag {
			out = append(out, o)
		}
	}
	return out
}

// setFlag returns the splices that give the flag the value, and the words that they must lead to. No splices and nil
// words mean that the flag isn't there and must be appended.
func setFlag(content string, words []word, flag, value string) (s []Splice, want []string) {
	found := occurrences(words, flag)
	if len(found) == 0 {
		return nil, nil
	}
	want = texts(words)
	last := found[len(found)-1]
	if last.first == last.last {
		w := words[last.first]
		text := "--" + flag + "=" + value
		s = append(s, spliceWord(content, w, text))
		want[last.first] = text
	} else {
		s = append(s, spliceWord(content, words[last.last], value))
		want[last.last] = value
	}
	dropped, want := dropWords(content, words, found[:len(found)-1], want)
	return append(dropped, s...), want
}

// spliceWord replaces a word, or only what follows its "=" when the front is the same and written plainly.
func spliceWord(content string, w word, text string) Splice {
	if raw := content[w.start:w.end]; raw == w.String() {
		if i := strings.IndexByte(raw, '=') + 1; i > 0 && strings.HasPrefix(text, raw[:i]) {
			return Splice{w.start + i, w.end, text[i:]}
		}
	}
	return Splice{w.start, w.end, text}
}

// dropWords removes flags and one gap for each: the whole line where a flag stands alone on a continued line.
func dropWords(content string, words []word, drop []occurrence, want []string) ([]Splice, []string) {
	var out []Splice
	gone := make([]bool, len(words))
	floor := 0
	for _, o := range joined(content, words, drop) {
		for i := o.first; i <= o.last; i++ {
			gone[i] = true
		}
		spans := []Splice{{Start: words[o.first].start, End: words[o.last].end}}
		if strings.ContainsAny(content[spans[0].Start:spans[0].End], "\n\"'") {
			// Two words on two lines, or with quotes between them: each for itself.
			spans = nil
			for i := o.first; i <= o.last; i++ {
				spans = append(spans, Splice{Start: words[i].start, End: words[i].end})
			}
		}
		for _, x := range spans {
			x = widen(content, x)
			x.Start = max(x.Start, floor)
			floor = x.End
			out = append(out, x)
		}
	}
	var left []string
	for i, w := range want {
		if !gone[i] {
			left = append(left, w)
		}
	}
	return out, left
}

// joined makes one of neighbours that stand on one line.
func joined(content string, words []word, drop []occurrence) []occurrence {
	var out []occurrence
	for _, o := range drop {
		if n := len(out); n > 0 && out[n-1].last+1 == o.first && blankWithin(content[words[o.first-1].end:words[o.first].start]) {
			out[n-1].last = o.last
			continue
		}
		out = append(out, o)
	}
	return out
}

func blankWithin(s string) bool { return strings.Trim(s, " \t") == "" }

// widen takes a gap along with a removed span.
func widen(content string, x Splice) Splice {
	gap := func(i int) bool { return i >= 0 && i < len(content) && (content[i] == ' ' || content[i] == '\t') }
	before, after := x.Start, x.End
	for gap(before - 1) {
		before--
	}
	for gap(after) {
		after++
	}
	startsLine := before == 0 || content[before-1] == '\n'
	if startsLine && strings.HasPrefix(content[after:], "\\\n") {
		return Splice{Start: before, End: after + 2}
	}
	if after > x.End && after < len(content) && content[after] != '\\' && content[after] != '\n' && content[after] != '\r' {
		return Splice{Start: x.Start, End: after}
	}
	if !startsLine {
		return Splice{Start: before, End: x.End}
	}
	return x
}

// checkFlag refuses what would need quoting, and a value that reads like a flag where it stands as a word of its own.
func checkFlag(flag, value string) error {
	if flag == "" || strings.HasPrefix(value, "-") || !safeFlag(flag) || strings.Contains(flag, "=") || !safeFlag(value) {
		return fmt.Errorf("--%s=%s can't be written plainly: %w", flag, value, ErrRefused)
	}
	return nil
}
