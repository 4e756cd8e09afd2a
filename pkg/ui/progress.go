package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Event is something that happens to a node on the way.
type Event struct {
	Node string
	// Step of Of is where the node stands; 0 outside of its switch.
	Step int
	Of   int
	Text string
	// Detail marks a line below a step.
	Detail bool
	// Warning marks what must not scroll away or be written over.
	Warning bool
	// Took is how long the step took, on the event that ends it.
	Took time.Duration
}

const (
	// heartbeat is how long plain output stays silent while something is under way.
	heartbeat = 30 * time.Second
	// redraw is how often a terminal's lines are written again.
	redraw = 500 * time.Millisecond
)

// Progress shows what happens while nodes are under way: on a terminal one line a node that is written over, elsewhere
// plain lines and a heartbeat.
type Progress struct {
	u     *UI
	lines []*line
	stop  chan struct{}
	ended chan struct{}
}

// line is what is under way on one node.
type line struct {
	node   string
	prefix string
	text   string
	detail string
	told   []string // the details of text
	since  time.Time
	spoken time.Time
}

// Progress starts showing; Close ends it.
func (u *UI) Progress() *Progress {
	p := &Progress{u: u, stop: make(chan struct{}), ended: make(chan struct{})}
	go p.run()
	return p
}

func (p *Progress) run() {
	defer close(p.ended)
	every := time.NewTicker(redraw)
	defer every.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-every.C:
			p.tick()
		}
	}
}

// Close takes the lines off the terminal and ends the heartbeat.
func (p *Progress) Close() {
	close(p.stop)
	<-p.ended
	p.u.mu.Lock()
	defer p.u.mu.Unlock()
	p.lines = nil
	p.u.erase()
}

// Event shows one event.
func (p *Progress) Event(e Event) {
	p.u.mu.Lock()
	defer p.u.mu.Unlock()
	now := p.u.now()
	e.Node = clean(e.Node)
	l := p.line(e.Node)
	text := clean(e.Text)
	// A detail that ends is told twice: only a long one is worth a second line. Others may have begun meanwhile.
	again := e.Detail && e.Took < time.Second && (text == l.detail || e.Took > 0 && slices.Contains(l.told, text))
	if e.Step > 0 {
		l.prefix = fmt.Sprintf("%d/%d", e.Step, e.Of)
	}
	switch {
	case e.Warning:
	case e.Detail:
		l.detail = text
		l.told = append(l.told, text)
	default:
		if l.text != text && e.Took == 0 {
			l.since = now
		}
		l.text, l.detail, l.told = text, "", nil
	}
	switch {
	case e.Warning:
		p.u.erase()
		fmt.Fprintf(p.u.err, "%s %s: %s\n", p.u.errStyle.yellow(p.u.errStyle.warn), e.Node, text)
		l.spoken = now
	case !p.u.rewriting && !again:
		fmt.Fprintln(p.u.err, l.plain(e, text))
		l.spoken = now
	}
	p.draw()
}

// Done takes a node's line away: its result is printed next.
func (p *Progress) Done(node string) {
	p.u.mu.Lock()
	defer p.u.mu.Unlock()
	p.lines = slices.DeleteFunc(p.lines, func(l *line) bool { return l.node == clean(node) })
	p.u.erase()
	p.draw()
}

func (p *Progress) line(node string) *line {
	for _, l := range p.lines {
		if l.node == node {
			return l
		}
	}
	now := p.u.now()
	l := &line{node: node, since: now, spoken: now}
	p.lines = append(p.lines, l)
	return l
}

// tick redraws, or speaks up where nothing has been said for long.
func (p *Progress) tick() {
	p.u.mu.Lock()
	defer p.u.mu.Unlock()
	if p.u.rewriting {
		p.draw()
		return
	}
	now := p.u.now()
	for _, l := range p.lines {
		if now.Sub(l.spoken) >= heartbeat {
			l.spoken = now
			fmt.Fprintf(p.u.err, "%s (%s)\n", join(l.node, l.prefix, l.text), waited(now.Sub(l.since)))
		}
	}
}

// plain is an event as a line of its own.
func (l *line) plain(e Event, text string) string {
	s := join(l.node, l.prefix, text)
	if e.Detail {
		s = fmt.Sprintf("%s     %s", e.Node, text)
	}
	if e.Took >= time.Second {
		s += fmt.Sprintf(" (%s)", waited(e.Took))
	}
	return s
}

// waited writes a time in whole seconds, without zeros at its end: 12s, 5m, 1h30m.
func waited(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// draw writes the nodes' lines over those that stand there.
func (p *Progress) draw() {
	if !p.u.rewriting || p.u.asking {
		return
	}
	p.u.erase()
	now := p.u.now()
	limit := p.u.width() - 1
	for _, l := range p.lines {
		text := join(l.node, l.prefix, l.text)
		if l.detail != "" {
			text += " " + p.u.errStyle.dot + " " + l.detail
		}
		fmt.Fprintln(p.u.err, cut(text, fmt.Sprintf(" (%s)", waited(now.Sub(l.since))), limit))
	}
	p.u.shown = len(p.lines)
}

// cut shortens the text, not its end, to a line of limit characters.
func cut(text, end string, limit int) string {
	room := limit - len([]rune(end))
	runes := []rune(text)
	if room < 1 || len(runes) <= room {
		return text + end
	}
	return strings.TrimRight(string(runes[:room-1]), " ") + "…" + end
}

// erase takes the rewritable lines off the terminal.
func (u *UI) erase() {
	if u.shown == 0 {
		return
	}
	// Up to the first of them, then clear to the end of the screen.
	fmt.Fprintf(u.raw, "\x1b[%dA\r\x1b[J", u.shown)
	u.shown = 0
}
