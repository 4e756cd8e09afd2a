package facts

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// binaryDirs are where packages and installers put daemons, in the order in which systemd looks for a name.
var binaryDirs = []string{
	"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/opt/bin", "/usr/libexec/crio", "/usr/lib/cri-o-runc/sbin",
}

// asked maps a binary to the arguments that make it say its version and end. What isn't here is never run: nobody knows
// what it would do.
var asked = map[string][]string{
	"containerd": {"--version"}, "ctr": {"--version"}, "crio": {"--version"}, "conmon": {"--version"},
	"dockerd": {"--version"}, "docker": {"--version"}, "cri-dockerd": {"--version"}, "crictl": {"--version"},
	"runc": {"--version"}, "crun": {"--version"},
	"kubelet": {"--version"}, "kubeadm": {"version", "-o", "short"},
}

// number finds a version in what a program says: digits and dots, with what a distribution or a builder appends.
var number = regexp.MustCompile(`\d+\.\d+(?:\.\d+)?(?:[~+.-][0-9A-Za-z.~+-]+)?`)

// versions asks binaries for their versions, all at once.
func (g *gatherer) versions(ctx context.Context, at map[string]string) map[string]v1alpha1.Binary {
	if len(at) == 0 {
		return nil
	}
	out := map[string]v1alpha1.Binary{}
	var (
		group errgroup.Group
		mu    sync.Mutex
	)
	for name, p := range at {
		group.Go(func() error {
			b := g.binary(ctx, name, p)
			mu.Lock()
			defer mu.Unlock()
			out[name] = b
			return nil
		})
	}
	_ = group.Wait() // failures are problems, not errors
	return out
}

// configured adds daemons that are neither running nor in a usual place, but that a unit would start.
func (g *gatherer) configured(ctx context.Context) {
	for i := range g.facts.Runtimes {
		r := &g.facts.Runtimes[i]
		d, err := runtimes.Get(r.Name)
		if err != nil {
			continue
		}
		for _, name := range d.Units {
			exe := g.starts(name)
			base := path.Base(exe)
			if !slices.Contains(d.Daemons, base) || r.Binaries[base].Path == exe || r.Binaries[base].Path != "" && running(r.Processes, base) {
				continue
			}
			if r.Binaries == nil {
				r.Binaries = map[string]v1alpha1.Binary{}
			}
			r.Binaries[base] = g.binary(ctx, base, exe)
		}
	}
}

func running(list []v1alpha1.Process, base string) bool {
	return slices.ContainsFunc(list, func(p v1alpha1.Process) bool { return path.Base(p.Exe) == base })
}

func (g *gatherer) kubeadm(ctx context.Context) *v1alpha1.Binary {
	for _, p := range kubelet.KubeadmBinaries() {
		if g.executable(p) {
			b := g.binary(ctx, "kubeadm", p)
			return &b
		}
	}
	return nil
}

// installed finds the executables of a runtime: what runs, that of its own unit before any other, then what lies in the usual
// places. Helpers alone don't make a runtime: runc comes with any of them.
func (g *gatherer) installed(d runtimes.Description, processes []v1alpha1.Process) map[string]string {
	out := map[string]string{}
	for _, p := range processes {
		base := path.Base(p.Exe)
		if g.runs(p) && (out[base] == "" || slices.Contains(d.Units, p.Unit)) {
			out[base] = p.Exe
		}
	}
	for _, names := range [][]string{d.Daemons, d.Helpers} {
		for _, name := range names {
			for _, dir := range binaryDirs {
				if out[name] == "" && g.executable(path.Join(dir, name)) {
					out[name] = path.Join(dir, name)
				}
			}
		}
		if len(out) == 0 {
			return nil
		}
	}
	return out
}

// starts is the executable in the last ExecStart of a unit.
func (g *gatherer) starts(unit string) string {
	u, ok := g.facts.Unit(unit)
	if !ok || u.Fragment == "" {
		return ""
	}
	exe := ""
	for _, file := range append([]string{u.Fragment}, u.DropIns...) {
		f, ok := g.facts.File(file)
		if !ok {
			continue
		}
		parsed, err := edit.ParseUnit(f.Content)
		if err != nil {
			continue
		}
		for _, line := range parsed.Values("Service", "ExecStart") {
			if words := edit.SplitWords(line.Value); len(words) > 0 {
				exe = strings.TrimLeft(words[0], "@-:+!")
			}
		}
	}
	if !g.executable(exe) {
		return ""
	}
	return exe
}

// executable reports whether there is something to run at p, links followed.
func (g *gatherer) executable(p string) bool {
	if !path.IsAbs(p) {
		return false
	}
	f, err := g.end(p)
	return err == nil && f.Type == v1alpha1.Regular && f.Mode&0o111 != 0
}

// binary asks what lies at a path for its version, where it is known how.
func (g *gatherer) binary(ctx context.Context, name, at string) v1alpha1.Binary {
	out := v1alpha1.Binary{Path: at}
	if _, known := asked[name]; !known {
		return out
	}
	var err error
	out.Version, err = Version(ctx, g.m, at)
	var untrusted *host.UntrustedError
	if errors.As(err, &untrusted) {
		out.Untrusted = untrusted.At
	}
	g.problem("version of "+at, err)
	return out
}

// Version asks the binary at path, whose base name tells how, for its version. Gather found it by the same way.
func Version(ctx context.Context, m host.Machine, at string) (string, error) {
	args, known := asked[path.Base(at)]
	if !known {
		return "", fmt.Errorf("no way to ask %s for its version is known", path.Base(at))
	}
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	out, err := m.Commands.Output(ctx, append([]string{at}, args...), nil)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	version := number.FindString(line)
	if version == "" {
		return "", errors.New("its answer holds no version")
	}
	return version, nil
}
