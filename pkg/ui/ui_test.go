package ui

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// screen is a UI whose streams are kept and whose clock stands still.
type screen struct {
	*UI
	out, err bytes.Buffer
	clock    time.Time
}

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func newScreen(terminal, colour, ascii bool) *screen {
	s := &screen{clock: noon}
	s.UI = &UI{
		in: bufio.NewReader(strings.NewReader("")), out: &door{w: &s.out, colour: colour}, err: &door{w: &s.err, colour: colour}, raw: &s.err, documents: &s.out,
		outStyle: newStyle(colour, ascii), errStyle: newStyle(colour, ascii),
		prompting: terminal, rewriting: terminal,
		width: func() int { return 60 },
		now:   func() time.Time { return s.clock },
		mu:    &sync.Mutex{},
	}
	return s
}

// golden compares what both streams got with a file; control characters are written out.
func (s *screen) golden(t *testing.T, name string) {
	t.Helper()
	got := "-- stdout --\n" + visible(s.out.String()) + "-- stderr --\n" + visible(s.err.String())
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

func visible(s string) string {
	return strings.NewReplacer("\x1b", "␛", "\r", "␍").Replace(s)
}

func TestConfirm(t *testing.T) {
	for _, tc := range []struct {
		name, typed string
		terminal    bool
		want        bool
		err         error
	}{
		{name: "yes", typed: "yes\n", terminal: true, want: true},
		{name: "y is not enough", typed: "y\n", terminal: true},
		{name: "just return", typed: "\n", terminal: true},
		{name: "end of input", typed: "", terminal: true},
		{name: "nobody there", typed: "yes\n", err: ErrNobody},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newScreen(tc.terminal, false, false)
			s.in = bufio.NewReader(strings.NewReader(tc.typed))
			got, err := s.Confirm(t.Context(), "Switch worker-3?")
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("Confirm() = %v, %v; want %v, %v", got, err, tc.want, tc.err)
			}
			want := ""
			if tc.terminal {
				want = "Switch worker-3? Type yes: "
			}
			if asked := strings.TrimSuffix(s.err.String(), "\n"); asked != want {
				t.Errorf("asked %q, want %q", asked, want)
			}
		})
	}
}

func TestMessages(t *testing.T) {
	s := newScreen(false, false, false)
	s.Error(errors.New("can't reach the API server"))
	s.Say("%d things", 3)
	s.Warn("worker-1: %v", errors.New("no answer"))
	s.golden(t, "messages")
}

func TestUTF8Locale(t *testing.T) {
	for _, tc := range []struct {
		env  map[string]string
		want bool
	}{
		{map[string]string{"LANG": "en_US.UTF-8"}, true},
		{map[string]string{"LANG": "C.utf8"}, true},
		{map[string]string{"LANG": "en_US.UTF-8", "LC_ALL": "C"}, false},
		{map[string]string{"LANG": "C", "LC_CTYPE": "de_DE.UTF-8"}, true},
		{map[string]string{"WT_SESSION": "1"}, true},
		{map[string]string{}, false},
	} {
		if got := utf8Locale(func(k string) string { return tc.env[k] }); got != tc.want {
			t.Errorf("utf8Locale(%v) = %v", tc.env, got)
		}
	}
}

func TestColorFlag(t *testing.T) {
	var c Color
	if err := c.Set("sometimes"); err == nil {
		t.Error("Set(sometimes) took it")
	}
	if err := c.Set("always"); err != nil || !c.on(&bytes.Buffer{}) {
		t.Errorf("always: %v", err)
	}
	if err := c.Set("auto"); err != nil || c.on(&bytes.Buffer{}) {
		t.Errorf("auto colours what isn't a terminal (%v)", err)
	}
}

func TestBrief(t *testing.T) {
	if got := brief("a\nb"); got != "a b" {
		t.Errorf("brief = %q", got)
	}
	if got := brief(strings.Repeat("ä", 121)); got != strings.Repeat("ä", 119)+"…" {
		t.Errorf("brief = %q", got)
	}
}
