package facts

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

// The look for calls reads small texts in the usual places and stops at these bounds; where it does, it says so.
const (
	maxText       = 256 << 10 // bytes of one text; a longer one is a program or data
	maxTexts      = 4096
	maxTextsBytes = 32 << 20
	maxCalls      = 200
	maxCallsFile  = 10
	maxCallText   = 160 // bytes of a line that is told
	// maxStuck is how many texts may not answer before the look is given up: each costs the patience that is had with it.
	maxStuck = 2
	// homesTimeout bounds the look at what users keep in their homes, which root's own comes before.
	homesTimeout = 2 * time.Second
)

// calls finds the lines of units, cron jobs and scripts that call a runtime.
func (g *gatherer) calls(ctx context.Context) []v1alpha1.RuntimeCall {
	s := &callScan{g: g, ctx: ctx, files: g.m.Files.Foreign(ctx), parser: shell.NewParser(), seen: map[seenScript]bool{}}
	s.units()
	s.crontabs()
	s.scripts()
	s.logrotate()
	s.userUnits(ctx) // last: what users write must not keep the rest from being looked at
	if s.cut {
		g.problem("units, cron jobs and scripts", errors.New("too many to look at all of them"))
	}
	if s.stuck > 0 {
		g.problem("units, cron jobs and scripts", errors.New("some did not answer, and were left out"))
	}
	slices.SortStableFunc(s.out, func(a, b v1alpha1.RuntimeCall) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), a.Line-b.Line)
	})
	return s.out
}

// callScan is one look for calls.
type callScan struct {
	g   *gatherer
	ctx context.Context
	// files are looked at as those that others may write: some are users' own, and root's may be links to such.
	files  host.Reader
	parser *shell.Parser
	out    []v1alpha1.RuntimeCall
	// seen are the scripts that were read, with the unit that runs each.
	seen  map[seenScript]bool
	texts int
	bytes int
	cut   bool
	// stuck counts what did not answer.
	stuck int
}

// seenScript is a script and who runs it.
type seenScript struct {
	path, unit string
	kind       v1alpha1.CallKind
}

// text is a file that was read.
type text struct {
	path, body string
	executable bool
}

// read returns a text of the node, links followed. What isn't one, or isn't there, is none.
func (s *callScan) read(p string) (text, bool) {
	if s.over() {
		return text{}, false
	}
	f, err := s.files.Lstat(p)
	s.answered(err)
	if err != nil || f.Size > maxText || f.Type != v1alpha1.Regular && f.Type != v1alpha1.Symlink {
		return text{}, false
	}
	s.texts++
	data, err := s.files.Read(p, maxText)
	s.answered(err)
	if err != nil || bytes.IndexByte(data, 0) >= 0 || !utf8.Valid(data) {
		return text{}, false
	}
	s.bytes += len(data)
	return text{p, string(data), f.Type == v1alpha1.Symlink || f.Mode&0o111 != 0}, true
}

// over reports whether nothing more is looked at.
func (s *callScan) over() bool {
	if s.ctx.Err() != nil || s.texts >= maxTexts || s.bytes >= maxTextsBytes {
		s.cut = true
		return true
	}
	return s.stuck >= maxStuck
}

// answered notes what didn't answer.
func (s *callScan) answered(err error) {
	if errors.Is(err, context.DeadlineExceeded) && s.ctx.Err() == nil {
		s.stuck++
	}
}

// list returns the paths of the entries of a directory that may be somebody's work: neither hidden nor what a package manager or
// an editor left.
func (s *callScan) list(dir string) []string {
	if s.over() {
		return nil
	}
	entries, err := s.files.ReadDir(dir)
	s.answered(err)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if !strings.HasPrefix(e, ".") && !leftOver(e) {
			out = append(out, path.Join(dir, e))
		}
	}
	return out
}

func leftOver(name string) bool {
	if strings.HasSuffix(name, "~") || strings.Contains(name, ".dpkg-") || strings.Contains(name, ".rpm") {
		return true
	}
	switch path.Ext(name) {
	case ".bak", ".orig", ".old", ".swp", ".disabled", ".ucf-dist", ".ucf-old":
		return true
	}
	return false
}

// place says where calls stand: what is told of all calls in one text.
type place struct {
	call v1alpha1.RuntimeCall // Kind, Path, Unit, …
	// host is the DOCKER_HOST that holds there.
	host string
	// masked returns the lines of the text without secrets; most texts are never asked for.
	masked func() []string
}

func newPlace(kind v1alpha1.CallKind, t text) place {
	return place{call: v1alpha1.RuntimeCall{Kind: kind, Path: t.path}, masked: sync.OnceValue(func() []string {
		masked, _ := edit.Mask(t.path, t.body)
		return strings.Split(masked, "\n")
	})}
}

// add notes the calls of a script that begins after so many lines of its text.
func (s *callScan) add(at place, script shell.Script, before int) {
	host := at.host
	for _, v := range script.DockerHosts {
		host = v.Value
	}
	n := 0
	for _, c := range s.out {
		if c.Path == at.call.Path {
			n++
		}
	}
	for _, k := range script.Calls {
		if k.Root != "" && k.Root != "/" {
			continue // another root has a runtime of its own, or none
		}
		use, ok := shell.UseOf(k.Argv)
		if !ok {
			continue
		}
		if n++; n > maxCallsFile || len(s.out) >= maxCalls {
			return
		}
		c := at.call
		c.Line, c.Runtime, c.Address, c.Daemon = before+k.Line, use.Runtime, use.Address, use.Daemon
		if c.Address == "" && use.Runtime == v1alpha1.Docker && !use.Daemon {
			c.Address = host
		}
		c.Address, _ = edit.Mask("", c.Address)
		c.Text = at.line(c.Line)
		s.out = append(s.out, c)
	}
}
