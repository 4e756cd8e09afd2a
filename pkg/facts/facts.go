// Package facts gathers what the agent sees on a node. It looks through host only and asks the pure packages kubelet and
// runtimes what to look at next; it decides nothing.
package facts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/redact"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// Gather looks at the machine, changes nothing, and returns Facts whose secrets are masked. What can't be looked at is
// a line of Facts.Problems; an error means that there is nothing to report at all.
func Gather(ctx context.Context, m host.Machine, node string) (*v1alpha1.Facts, error) {
	g := &gatherer{m: m, pods: map[string]string{}, facts: &v1alpha1.Facts{
		APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindFacts, Node: node, Taken: m.Clock.Now().UTC().Truncate(time.Millisecond),
	}}
	f := g.facts
	info, err := m.Kernel.Info()
	if err != nil {
		return nil, fmt.Errorf("looking at the machine: %w", err)
	}
	f.Machine = info

	// What takes long runs beside the files: asking binaries for their versions, and daemons for what they hold.
	var group errgroup.Group
	found := make([]v1alpha1.RuntimeInfo, len(runtimes.All()))
	for i, d := range runtimes.All() {
		group.Go(func() error {
			found[i] = g.runtime(ctx, d)
			return nil
		})
	}
	group.Go(func() error {
		g.kernel()
		return nil
	})
	group.Go(func() error {
		f.Kubelet = g.kubelet(ctx)
		return nil
	})
	var kubeadm *v1alpha1.Binary
	group.Go(func() error {
		kubeadm = g.kubeadm(ctx)
		return nil
	})
	_ = group.Wait() // failures are problems, not errors
	f.Runtimes, f.Kubelet.Kubeadm = found, kubeadm
	g.follow(ctx)
	g.configured(ctx)
	g.blocked()
	g.client()
	g.health(ctx)
	g.filesystems()
	g.mounts()
	g.networks()
	g.managers(ctx)
	g.uninterruptible(ctx)
	g.users(ctx)
	g.journal()
	g.sort()
	return f, ctx.Err()
}

// gatherer fills Facts. What runs in parallel takes the lock for problems only and has a place of its own for the rest.
type gatherer struct {
	m     host.Machine
	facts *v1alpha1.Facts
	mu    sync.Mutex
	// environ is the kubelet's environment, of which facts get what says nothing secret.
	environ []string
	// pods are the pods that runtimes answered for, namespace/name by UID.
	pods map[string]string
}

// problem notes what couldn't be looked at, without the secrets that a program may have said. What isn't there is no problem.
func (g *gatherer) problem(what string, err error) {
	if err == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.facts.Problems = append(g.facts.Problems, redact.Text(what+": "+err.Error()))
}

// sysctls and modules are those that pods' networks and the runtimes need.
var (
	sysctls = []string{
		"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding",
		"net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables",
	}
	modules = []string{"overlay", "br_netfilter"}
)

func (g *gatherer) kernel() {
	f := g.facts
	loaded, err := g.m.Kernel.Modules()
	g.problem("kernel modules", err)
	for _, name := range loaded {
		if slices.Contains(modules, name) {
			f.Modules = append(f.Modules, name)
		}
	}
	f.Sysctls = map[string]string{}
	for _, name := range sysctls {
		value, err := g.m.Kernel.Sysctl(name)
		g.problem("kernel parameter "+name, err)
		if value != "" {
			f.Sysctls[name] = value
		}
	}
}

// health asks the kubelet whether it is well, where its configuration says.
func (g *gatherer) health(ctx context.Context) {
	url := "http://127.0.0.1:10248/healthz"
	if view, err := kubelet.Analyze(g.facts); err == nil && view.Healthz != "" {
		url = view.Healthz
	}
	if g.facts.Kubelet.PID == 0 {
		return
	}
	err := g.m.HTTP.Healthz(ctx, url)
	g.facts.Kubelet.Healthy = err == nil
	if stranger := new(host.StrangerError); errors.As(err, &stranger) {
		g.problem("the kubelet's health", err)
	}
}

// filesystems looks at what the stores, the kubelet and the agent lie on.
func (g *gatherer) filesystems() {
	paths := []string{journal.Dir, "/var/lib/kubelet", "/"}
	if view, err := kubelet.Analyze(g.facts); err == nil && view.RootDir != "" {
		paths = append(paths, view.RootDir)
	}
	for _, d := range runtimes.All() {
		s, _ := d.ReadSettings(g.facts)
		paths = append(paths, d.Store, s.StoreRoot)
	}
	for _, r := range g.facts.Runtimes {
		paths = append(paths, r.StorePath)
	}
	slices.Sort(paths)
	for _, p := range slices.Compact(paths) {
		if !path.IsAbs(p) {
			continue
		}
		fs, err := g.m.Files.Filesystem(p)
		if err != nil {
			g.problem("file system of "+p, err)
			continue
		}
		g.facts.Filesystems = append(g.facts.Filesystems, fs)
	}
}

// writable are the directories below which plans write.
var writable = []string{"/etc", "/var/lib/kubelet", journal.Dir}

// mounts looks for what is mounted there, and above. What the kubelet mounts for pods isn't ours.
func (g *gatherer) mounts() {
	list, err := g.m.Kernel.Mounts()
	g.problem("mounts", err)
	for _, m := range list {
		near := func(dir string) bool { return within(m.Path, dir) || within(dir, m.Path) }
		if slices.ContainsFunc(writable, near) && !within(m.Path, "/var/lib/kubelet/pods") && !within(m.Path, "/var/lib/kubelet/plugins") {
			g.facts.Mounts = append(g.facts.Mounts, m)
		}
	}
}

// within reports whether a path is dir, or below it.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// sort makes two looks at the same node equal.
func (g *gatherer) sort() {
	f := g.facts
	slices.SortFunc(f.Files, func(a, b v1alpha1.File) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortFunc(f.Dirs, func(a, b v1alpha1.Dir) int { return cmp.Compare(a.Path, b.Path) })
	slices.SortFunc(f.Units, func(a, b v1alpha1.Unit) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(f.Networks, func(a, b v1alpha1.Network) int { return cmp.Compare(a.Path, b.Path) })
	slices.Sort(f.Modules)
	slices.Sort(f.Problems)
}

// maskArgs and maskEnviron copy, since what comes from the host may be shared.
func maskArgs(argv []string) []string { return edit.MaskArgs(slices.Clone(argv)) }

func maskEnviron(words []string) []string {
	out := make([]string, 0, len(words))
	for _, w := range words {
		out = append(out, edit.MaskEnviron(w))
	}
	return out
}

func maskProcesses(list []v1alpha1.Process) []v1alpha1.Process {
	for i := range list {
		list[i].Argv = maskArgs(list[i].Argv)
	}
	return list
}
