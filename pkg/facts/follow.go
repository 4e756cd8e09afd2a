package facts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"unicode/utf8"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

const (
	// rounds bounds how often the pure packages may ask again; five is what a kubelet with drop-ins and imports takes.
	rounds = 16
	// maxContent is more than any configuration file; maxDigest more than what is photographed without being read.
	maxContent = 1 << 20
	maxDigest  = 64 << 20
	maxLinks   = 10
)

// follow looks at what the pure packages ask for until they ask for nothing new.
func (g *gatherer) follow(ctx context.Context) {
	seen := seen{files: map[string]bool{}, dirs: map[string]bool{}, units: map[string]bool{}, commands: map[v1alpha1.RuntimeName]bool{}}
	for range rounds {
		fresh := false
		for _, want := range []v1alpha1.Wants{kubelet.Wants(g.facts), runtimes.Wants(g.facts)} {
			fresh = g.look(ctx, want, seen) || fresh
		}
		if !fresh || ctx.Err() != nil {
			return
		}
	}
	g.problem("files", errors.New("still new ones to look at after many rounds; the rest was left out"))
}

// seen is what was looked at; a file that was only photographed maps to false.
type seen struct {
	files, dirs, units map[string]bool
	commands           map[v1alpha1.RuntimeName]bool
}

// look answers one wish and reports whether anything in it was new.
func (g *gatherer) look(ctx context.Context, want v1alpha1.Wants, seen seen) (fresh bool) {
	for _, name := range want.Units {
		if !seen.units[name] {
			seen.units[name], fresh = true, true
			g.unit(ctx, name)
		}
	}
	for _, p := range want.Files {
		if !seen.files[p] {
			fresh = true
			g.file(p, true, seen.files)
		}
	}
	for _, p := range want.Stats {
		if _, known := seen.files[p]; !known {
			fresh = true
			g.file(p, false, seen.files)
		}
	}
	for _, p := range want.Dirs {
		if !seen.dirs[p] {
			seen.dirs[p], fresh = true, true
			g.dir(p)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want.Commands)) {
		if !seen.commands[name] {
			seen.commands[name], fresh = true, true
			g.command(ctx, name, want.Commands[name])
		}
	}
	return fresh
}

func (g *gatherer) unit(ctx context.Context, name string) {
	u, err := g.m.Units.Show(ctx, name)
	if err != nil {
		g.problem("unit "+name, err)
		return
	}
	u.Environment = maskEnviron(u.Environment)
	if len(u.Environment) == 0 {
		u.Environment = nil
	}
	g.facts.Units = append(g.facts.Units, u)
}

func (g *gatherer) dir(p string) {
	entries, err := g.m.Files.ReadDir(p)
	if err != nil && !errors.Is(err, host.ErrNotExist) {
		g.problem("directory "+p, err)
	}
	g.facts.Dirs = append(g.facts.Dirs, v1alpha1.Dir{Path: p, Exists: err == nil, Entries: entries})
}

// file photographs what stands at p and, where it is a link, at its end; content is kept where it is wanted.
func (g *gatherer) file(p string, content bool, seen map[string]bool) {
	for range maxLinks {
		if whole, known := seen[p]; known && (whole || !content) {
			return
		}
		f, err := g.m.Files.Lstat(p)
		if err != nil {
			g.problem("file "+p, err)
			return
		}
		if f.Type == v1alpha1.Regular {
			g.read(&f, content)
		}
		if _, known := seen[p]; known {
			g.facts.Files = slices.DeleteFunc(g.facts.Files, func(x v1alpha1.File) bool { return x.Path == p })
		}
		g.facts.Files = append(g.facts.Files, f)
		seen[p] = content
		if f.Type != v1alpha1.Symlink {
			return
		}
		if p = f.Target; !path.IsAbs(p) {
			p = path.Join(path.Dir(f.Path), p)
		}
		p = path.Clean(p)
	}
	g.problem("file "+p, errors.New("too many links"))
}

// read fills in the digest of the true bytes and, where wanted, the masked content.
func (g *gatherer) read(f *v1alpha1.File, content bool) {
	limit := int64(maxDigest)
	if content {
		limit = maxContent
	}
	data, err := g.m.Files.Read(f.Path, limit)
	if err != nil {
		g.problem("file "+f.Path, err)
		return
	}
	sum := sha256.Sum256(data)
	f.SHA256, f.Size = hex.EncodeToString(sum[:]), int64(len(data))
	if !content {
		return
	}
	if !utf8.Valid(data) {
		// JSON would replace bytes, and offsets would no longer be those of the true file.
		g.problem("file "+f.Path, errors.New("not UTF-8 text"))
		return
	}
	f.Content, f.Masked = edit.Mask(f.Path, string(data))
}

// command runs a runtime's own dump of its configuration.
func (g *gatherer) command(ctx context.Context, name v1alpha1.RuntimeName, argv []string) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	out, err := g.m.Commands.Output(ctx, argv, nil)
	if err != nil {
		g.problem(fmt.Sprintf("effective configuration of %s", name), err)
		return
	}
	for i := range g.facts.Runtimes {
		if g.facts.Runtimes[i].Name == name {
			g.facts.Runtimes[i].EffectiveConfig, _ = edit.Mask("config.toml", string(out))
		}
	}
}
