package ui

import (
	"testing"
	"time"
)

// play shows a short story: two nodes, a detail, a warning, a long wait.
func play(s *screen) {
	p := &Progress{u: s.UI, stop: make(chan struct{}), ended: make(chan struct{})}
	close(p.ended)
	p.Event(Event{Node: "worker-3", Step: 5, Of: 10, Text: "staging"})
	s.clock = s.clock.Add(2 * time.Second)
	p.Event(Event{Node: "worker-3", Step: 5, Of: 10, Text: "pulled registry.example/a/very/long/name/of/an/image:1.2.3", Detail: true})
	p.Event(Event{Node: "worker-3", Step: 5, Of: 10, Text: "start the staging instance", Detail: true})
	p.Event(Event{Node: "worker-3", Step: 5, Of: 10, Text: "start the staging instance", Detail: true, Took: 300 * time.Millisecond})
	p.Event(Event{Node: "worker-3", Step: 5, Of: 10, Text: "pull", Detail: true})
	p.Event(Event{Node: "worker-3", Step: 5, Of: 10, Text: "pull", Detail: true, Took: 12 * time.Second})
	s.clock = s.clock.Add(2 * time.Second)
	p.Event(Event{Node: "worker-3", Step: 5, Of: 10, Text: "staging", Took: 4 * time.Second})
	p.Event(Event{Node: "worker-4", Text: "reading its facts"})
	p.Event(Event{Node: "worker-3", Step: 6, Of: 10, Text: "waiting for kubelet"})
	s.clock = s.clock.Add(29 * time.Second)
	p.tick()
	s.clock = s.clock.Add(time.Second)
	p.tick()
	p.tick()
	p.Event(Event{Node: "worker-4", Text: "pod a/b is held back by a budget", Warning: true})
	s.Say("Interrupted: going to the next safe point.")
	p.tick()
	p.Done("worker-4")
	p.Close()
}

func TestProgress(t *testing.T) {
	t.Run("plain lines and a heartbeat", func(t *testing.T) {
		s := newScreen(false, false, false)
		play(s)
		s.golden(t, "progress-plain")
	})
	t.Run("a terminal's lines are written over", func(t *testing.T) {
		s := newScreen(true, false, false)
		play(s)
		s.golden(t, "progress-terminal")
	})
}

func TestProgressEnds(t *testing.T) {
	s := newScreen(false, false, false)
	p := s.Progress()
	p.Event(Event{Node: "worker-1", Text: "reading its facts"})
	p.Close()
	if got, want := s.err.String(), "worker-1 reading its facts\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCut(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"short", "short (2s)"},
		{"exactly as long as it is", "exactly as long as it is (2s)"},
		{"exactly as long as it is.", "exactly as long as it i… (2s)"},
		{"ein Wörtchen über Gebühr zu lang", "ein Wörtchen über Gebüh… (2s)"},
	} {
		if got := cut(tc.text, " (2s)", 29); got != tc.want {
			t.Errorf("cut(%q) = %q, want %q", tc.text, got, tc.want)
		}
	}
}
