package facts

import (
	"path"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// blocked looks for what stands where runtimes make sockets and is none. It comes after the configurations were read, which
// say where that is.
func (g *gatherer) blocked() {
	view, _ := kubelet.Analyze(g.facts) // without a kubelet none of the endpoints is its
	for i := range g.facts.Runtimes {
		r := &g.facts.Runtimes[i]
		d, err := runtimes.Get(r.Name)
		if err != nil {
			continue
		}
		for _, p := range d.Binds(g.facts, view) {
			f, err := g.end(p)
			if err != nil {
				g.problem("socket "+p, err)
				continue
			}
			if f.Type == v1alpha1.Absent || f.Type == v1alpha1.Socket {
				continue
			}
			r.Blocked = append(r.Blocked, g.obstacle(p, f.Type))
		}
	}
}

// obstacle counts what is in a directory.
func (g *gatherer) obstacle(p string, kind v1alpha1.FileType) v1alpha1.BlockedSocket {
	out := v1alpha1.BlockedSocket{Path: p, Type: kind}
	if kind == v1alpha1.Directory {
		entries, err := g.m.Files.ReadDir(p)
		g.problem("directory "+p, err)
		out.Entries = len(entries)
	}
	return out
}

// end says what stands at p, links followed. A link that leads nowhere is told as the link that it is.
func (g *gatherer) end(p string) (v1alpha1.File, error) {
	var link v1alpha1.File
	for range maxLinks {
		f, err := g.m.Files.Lstat(p)
		switch {
		case err != nil:
			return f, err
		case f.Type == v1alpha1.Absent && link.Type == v1alpha1.Symlink:
			return link, nil
		case f.Type != v1alpha1.Symlink:
			return f, nil
		case link.Type == "":
			link = f
		}
		if !path.IsAbs(f.Target) {
			f.Target = path.Join(path.Dir(p), f.Target)
		}
		p = path.Clean(f.Target)
	}
	return link, nil
}
