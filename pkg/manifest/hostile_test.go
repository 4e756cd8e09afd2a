package manifest

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// aliasBomb is a document whose aliases expand to ten to the power of levels values.
func aliasBomb(levels int) string {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: Pod\nmetadata: {name: bomb}\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < levels; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	fmt.Fprintf(&b, "spec: {containers: [{name: c, image: x, args: *a%d}]}\n", levels-1)
	return b.String()
}

// pod is a document around a text that stands in an annotation's place.
func pod(annotation string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  annotations:\n" + annotation + "\nspec: {containers: [{name: c, image: x}]}\n"
}

// TestHostile gives inputs that are made to hang, to panic or to eat memory. Every one must end soon with a clear error, or be read.
func TestHostile(t *testing.T) {
	fill := func(s string) string { return strings.Repeat(s, (maxDocument-1000)/len(s)) }
	tests := map[string]struct {
		text string
		want string // in the error; empty: none
	}{
		"alias bomb":           {aliasBomb(9), "expand to more than"},
		"small alias bomb":     {aliasBomb(3), "cannot unmarshal"},
		"alias of itself":      {"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: &a {containers: [*a]}\n", `anchor "a" contains itself`},
		"merge of itself":      {"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: &a {<<: *a}\n", `anchor "a" contains itself`},
		"many aliases":         {"a: &a [" + strings.Repeat("x,", 2000) + "x]\nb: [" + strings.Repeat("*a,", 10000) + "*a]\n", "expand to more than"},
		"deep flow":            {fill("["), "not more than|exceeded max depth|more than"},
		"deep flow of 5000":    {strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "nested more than"},
		"deep block":           {strings.Repeat("- ", 9000) + "x", "nested more than"},
		"deep JSON":            {`{"apiVersion":"v1","kind":"Pod","x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}", "nested more than"},
		"very deep JSON":       {fill(`{"a":`), "more than"},
		"open JSON":            {`{"apiVersion":"v1","kind":"Pod","x":[`, "expected"},
		"many values":          {"a: [" + fill("a,") + "a]", "values, more than"},
		"many keys":            {pod(fill("    aaaaaaaaaaaaaaaaaaaaaaa: x\n")), ""},
		"many comments":        {fill("#\n"), "values, more than"},
		"long comments":        {fill("# "+strings.Repeat("x", 60)+"\n") + "a: b", ""},
		"foot comments":        {fill("a: b\n\n# " + strings.Repeat("x", 60) + "\n\n"), ""},
		"one line":             {"a: " + fill("x"), ""},
		"long quoted":          {`a: "` + fill(`\x41`) + `"`, ""},
		"long quoted lines":    {`a: "` + fill("x\n ") + `"`, "values, more than"},
		"long plain lines":     {"a: " + fill("x             \n "), ""},
		"blanks":               {fill(" "), ""},
		"tabs":                 {fill("\t"), ""},
		"question marks":       {fill("? "), "more than"},
		"colons":               {fill("a: "), "more than"},
		"anchors":              {fill("&a "), "more than"},
		"tags":                 {fill("!a "), "more than"},
		"zeros":                {fill("\x00"), "control characters|not allowed"},
		"not UTF-8":            {"a: " + fill("\xff"), "UTF-8"},
		"literal":              {"a: |\n" + fill("  "+strings.Repeat("x", 100)+"\n"), ""},
		"many documents":       {strings.Repeat("---\nkind: a\n", 90_000), ""},
		"many items":           {"items:\n" + fill("- a\n"), "values, more than"},
		"items of 12 MiB":      {"items:\n" + strings.Repeat("- a: "+strings.Repeat("x", 1000)+"\n", 12_000), ""},
		"object of 12 MiB":     {"a: |\n" + strings.Repeat("  "+strings.Repeat("x", 100)+"\n", 120_000) + "---\n" + pod("    a: b"), "1: an object is larger than 4 MiB"},
		"line of 12 MiB":       {"a: " + strings.Repeat("x", 12<<20), "1: an object is larger than 4 MiB"},
		"many workloads":       {strings.Repeat("---\n"+pod("    a: b"), maxWorkloads+10), "more than 25000 workloads"},
		"directive":            {"%YAML 9.9\n---\na: b\n", "incompatible"},
		"wrong shapes":         {"apiVersion: v1\nkind: Pod\nmetadata: [1]\nspec: {containers: {a: b}, volumes: x}\n", "cannot unmarshal"},
		"strange keys":         {"apiVersion: v1\nkind: Pod\nmetadata: {name: p, annotations: {[a]: b, {c: d}: e, ~: f}}\nspec: {containers: [{[a]: b}]}\n", ""},
		"strange numbers":      {"apiVersion: v1\nkind: Pod\nmetadata: {name: 1e999}\nspec: {containers: [{name: c, image: .nan, args: [.inf, 0x_, 1e999]}]}\n", ""},
		"templates that share": {sharing(), ""},
		"a million documents":  {strings.Repeat("---\nkind: a\n", 1_000_000), "more than 100000 documents"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			l := New("")
			_, err := l.Read("f", strings.NewReader(tt.text))
			for _, w := range l.Inventory().Workloads {
				w.Line("spec", "containers", "0", "args", "1")
				w.Line("spec", "volumes")
				w.Line()
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
			if tt.want == "" && err != nil || tt.want != "" && err == nil {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			if err != nil && !anyOf(err.Error(), tt.want) {
				t.Errorf("error %.300q, want %q", err.Error(), tt.want)
			}
			if err != nil && len(err.Error()) > 4000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

func anyOf(s, alternatives string) bool {
	for _, a := range strings.Split(alternatives, "|") {
		if strings.Contains(s, a) {
			return true
		}
	}
	return false
}

// sharing is a document with many templates that share one part by its alias.
func sharing() string {
	var b strings.Builder
	b.WriteString("apiVersion: x/v1\nkind: Many\nshared: &s [" + strings.Repeat("{name: A, value: b}, ", 20) + "]\nlist:\n")
	for range 5000 {
		b.WriteString("- {containers: [{name: c, image: x, env: *s}]}\n")
	}
	return b.String()
}

// TestHundredMegabytes reads far more than may be: the error comes early, and the memory stays low.
func TestHundredMegabytes(t *testing.T) {
	for name, unit := range map[string]string{"one document": "a: b\n", "many documents": "---\na: b\n", "one line": "x"} {
		t.Run(name, func(t *testing.T) {
			r := &endless{unit: []byte(strings.Repeat(unit, 1000))}
			before := heap()
			_, err := New("").Read("big.yaml", io.LimitReader(r, 100<<20))
			if err == nil || !anyOf(err.Error(), "big.yaml: it is larger than 64 MiB|more than 100000 documents") {
				t.Errorf("error %v", err)
			}
			if grown := heap() - before; grown > 20<<20 {
				t.Errorf("%d bytes are kept", grown)
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// endless repeats its unit.
type endless struct{ unit, rest []byte }

func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		e.rest = e.unit
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		pod("    a: b"), aliasBomb(3), sharing()[:2000], "items:\n- a: b\n- c: d\n", "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"kind\": \"Pod\"}]}",
		"---\n--- {a: b}\n...\n", "apiVersion: v1\nkind: PodList\nitems:\n  - spec: {containers: [{name: a, env: [{name: A}]}]}\n",
		"apiVersion: argoproj.io/v1\nkind: Workflow\nspec: {volumes: [{name: a, hostPath: {path: /}}], templates: [{container: {image: a, command: [b]}}]}\n",
		"a: &a {<<: *a}\n", "\xef\xbb\xbfapiVersion: v1\n", "apiVersion: v1\nkind: PersistentVolume\nspec: {claimRef: {name: a}, hostPath: {path: b}}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l := New("ns")
		_, err := l.Read("f", bytes.NewReader(text))
		if err != nil && err.Error() == "" {
			t.Error("an error that says nothing")
		}
		lines := bytes.Count(text, []byte("\n")) + 1
		for _, w := range l.Inventory().Workloads {
			for _, path := range [][]string{nil, {"spec"}, {"spec", "volumes", "docker"}, {"spec", "containers", "0", "env", "A", "value"}, {"metadata", "annotations"}} {
				if n := w.Line(path...); n < 1 || n > lines {
					t.Errorf("line %d of %d for %v", n, lines, path)
				}
			}
		}
	})
}

// FuzzSplit cuts a stream of small pieces: what comes out are its lines in their order, none twice.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("a\n---\nb\n--- c\n...\nitems:\n- a\n- b\nx: y\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		whole := bytes.Split(text, []byte("\n"))
		last := 0
		err := split(bytes.NewReader(text), func(part []byte, line int) {
			if line <= last {
				t.Errorf("a document in line %d behind one in line %d", line, last)
			}
			last = line
			for i, got := range bytes.Split(bytes.TrimSuffix(part, []byte("\n")), []byte("\n")) {
				if line+i > len(whole) {
					t.Fatalf("line %d of %d", line+i, len(whole))
				}
				want := bytes.TrimPrefix(whole[line+i-1], []byte("\xef\xbb\xbf"))
				if !bytes.Equal(got, want) && !bytes.HasSuffix(want, bytes.TrimLeft(got, " ")) {
					t.Errorf("line %d is %q, want %q", line+i, got, want)
				}
			}
		}, func(int, error) { t.Error("too large") })
		if err != nil {
			t.Error(err)
		}
	})
}
