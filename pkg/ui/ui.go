// Package ui turns the project's types into what people read: tables, findings, plans and diffs, live progress,
// results. It is the only package that knows colour and terminals, and the only one that writes to a stream. Data goes
// to stdout, everything else to stderr.
//
// It imports apis, plan, kubelet and kubectl's printers, and no client.
package ui

import (
	"bufio"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// UI is a person's, or a script's, end of the program.
type UI struct {
	in  *bufio.Reader
	out io.Writer
	err io.Writer
	// raw is where err ends: what moves a terminal's cursor goes there past the door.
	raw io.Writer
	// documents is where programs read.
	documents io.Writer

	outStyle style
	errStyle style
	// prompting: somebody can be asked; rewriting: lines on stderr can be written over.
	prompting bool
	rewriting bool
	width     func() int
	now       func() time.Time
	// mu keeps lines of the progress whole: events of several nodes come in at the same time.
	mu *sync.Mutex
	// shown counts the rewritable lines that stand on the terminal now.
	shown int
	// asking: a question stands on the terminal's last line.
	asking bool
}

// Options say how a UI behaves.
type Options struct {
	Color Color
	// Getenv reads the environment: TERM and NO_COLOR by way of kubectl's own rule, the locale for the glyphs.
	Getenv func(string) string
	Now    func() time.Time
}

// New returns the UI on these streams.
func New(streams genericiooptions.IOStreams, o Options) *UI {
	ascii := !utf8Locale(o.Getenv)
	dumb := o.Getenv("TERM") == "dumb"
	outColour, errColour := o.Color.on(streams.Out), o.Color.on(streams.ErrOut)
	documents := streams.Out
	if isTerminal(streams.Out) {
		documents = Printable(streams.Out)
	}
	return &UI{
		in:        bufio.NewReader(streams.In),
		out:       &door{w: streams.Out, colour: outColour},
		err:       &door{w: streams.ErrOut, colour: errColour},
		raw:       streams.ErrOut,
		documents: documents,
		outStyle:  newStyle(outColour, ascii),
		errStyle:  newStyle(errColour, ascii),
		prompting: isTerminal(streams.In) && isTerminal(streams.ErrOut),
		rewriting: isTerminal(streams.ErrOut) && !dumb,
		width:     func() int { return width(streams.ErrOut) },
		now:       o.Now,
		mu:        &sync.Mutex{},
	}
}

// Out is where data goes that people read. It has no colours: those are for what this package writes itself.
func (u *UI) Out() io.Writer { return Printable(u.out) }

// Documents is where data goes that programs read. They get every byte as it is; a terminal, on which a person reads it, gets what is
// printable: YAML has raw characters that turn the direction of text.
func (u *UI) Documents() io.Writer { return u.documents }

// Err is where everything else goes. Lines of other packages (warnings of the API server) are written here.
func (u *UI) Err() io.Writer { return &between{u} }

// between writes other people's lines between ours: the rewritable ones are taken off before.
type between struct{ u *UI }

func (b *between) Write(p []byte) (int, error) {
	b.u.mu.Lock()
	defer b.u.mu.Unlock()
	b.u.erase()
	if _, err := io.WriteString(b.u.err, printable(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func width(stream any) int {
	const usual = 80
	f, ok := stream.(*os.File)
	if !ok {
		return usual
	}
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil || w <= 0 {
		return usual
	}
	return w
}

// utf8Locale reports whether the terminal's characters are UTF-8, by the first of the three variables that is set.
func utf8Locale(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToUpper(getenv(name)); v != "" {
			return strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
		}
	}
	return getenv("WT_SESSION") != ""
}

// clean makes text that came from elsewhere harmless to a terminal and one line.
func clean(s string) string {
	return printable(strings.Join(strings.Fields(s), " "))
}

// escape makes text harmless to a terminal and leaves its blanks alone.
func escape(s string) string { return printable(s) }

// escapeLines is escape for text of several lines, which are indented behind the first.
func escapeLines(s string) string {
	return strings.ReplaceAll(printable(strings.TrimRight(s, "\n")), "\n", "\n    ")
}
