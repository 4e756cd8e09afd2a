package facts

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

const (
	// askTimeout bounds what is asked of one daemon: a hanging one must not hide the others.
	askTimeout = 5 * time.Second
	// runTimeout bounds a program that says its version; on a busy node loading a large one takes seconds.
	runTimeout = 20 * time.Second
)

// supervisors run a kubelet inside themselves or as their child; without a kubelet process of its own they stand for it.
var supervisors = []string{"k3s", "k3s-server", "k3s-agent", "rke2", "k0s", "kubelite"}

// kubelet finds the running kubelet and, from its cgroup, the unit that runs it.
func (g *gatherer) kubelet(ctx context.Context) v1alpha1.KubeletInfo {
	out := v1alpha1.KubeletInfo{Unit: kubeletUnit}
	p, main, ok := g.kubeletProcess(ctx)
	if !ok {
		return out
	}
	out.PID, out.Exe, out.Argv, out.Started = p.PID, p.Exe, maskArgs(p.Argv), p.Started
	switch {
	case path.Base(p.Exe) != "kubelet":
	case main || g.runs(p):
		// Of the unit's own process an upgrade may have replaced the file: what stands there is what the next start runs.
		b := g.binary(ctx, "kubelet", p.Exe)
		out.Version, out.Untrusted = b.Version, b.Untrusted
	default:
		g.problem("version of "+p.Exe, fmt.Errorf("process %d runs another file than the one at that path, and is no unit's main process", p.PID))
	}
	out.Replaced = g.replaced(p)
	out.Unit = ""
	if strings.HasSuffix(p.Unit, ".service") {
		out.Unit = p.Unit
	}
	environ, err := g.m.Procs.Environ(p.PID)
	g.problem("environment of the kubelet", err)
	g.environ = environ
	for _, word := range environ {
		if !strings.HasPrefix(word, "KUBELET_") {
			continue
		}
		name, value, _ := strings.Cut(edit.MaskEnviron(word), "=")
		if out.Env == nil {
			out.Env = map[string]string{}
		}
		out.Env[name] = value
	}
	return out
}

const kubeletUnit = "kubelet.service"

// kubeletProcess is the kubelet's process, and whether it is the main process of its unit.
func (g *gatherer) kubeletProcess(ctx context.Context) (p v1alpha1.Process, main, found bool) {
	for _, names := range [][]string{{"kubelet"}, supervisors} {
		list, err := g.m.Procs.Find(names...)
		g.problem("processes", err)
		if len(list) == 0 {
			continue
		}
		// A second one (a cluster inside a pod) is told apart by what PID 1 calls the unit's main process.
		for _, p := range list {
			if p.Unit == "" {
				continue
			}
			if u, err := g.m.Units.Show(ctx, p.Unit); err == nil && u.MainPID == p.PID {
				return p, true, true
			}
		}
		return list[0], false, true
	}
	return v1alpha1.Process{}, false, false
}

// runs reports whether the file at the path of a process's program is the one that it runs. A process in a container or a root of
// its own has a path that is another file here, and after an upgrade another file stands there, or none.
func (g *gatherer) runs(p v1alpha1.Process) bool {
	runs, err := g.m.Procs.Runs(p.PID, p.Exe)
	g.problem("program of process "+strconv.Itoa(p.PID), err)
	return err == nil && runs
}

// replaced reports whether a start would start another file than the one that runs. The name by which a process was started
// may be a link that leads to another version by now.
func (g *gatherer) replaced(p v1alpha1.Process) bool {
	file := p.Exe
	if len(p.Argv) > 0 && path.IsAbs(p.Argv[0]) {
		file = p.Argv[0]
	}
	runs, err := g.m.Procs.Runs(p.PID, file)
	g.problem("program of process "+strconv.Itoa(p.PID), err)
	return err == nil && !runs
}

// runtime looks at one runtime's traces. A daemon that doesn't run is never dialled: its socket may be one by which PID 1
// would start it.
func (g *gatherer) runtime(ctx context.Context, d runtimes.Description) v1alpha1.RuntimeInfo {
	out := v1alpha1.RuntimeInfo{Name: d.Name}
	processes, err := g.m.Procs.Find(d.Daemons...)
	g.problem("processes", err)
	out.Processes = maskProcesses(slices.Clone(processes))
	for i, p := range out.Processes {
		out.Processes[i].Replaced = g.replaced(p)
	}
	for _, socket := range d.Sockets {
		if f, err := g.end(socket); err == nil && f.Type == v1alpha1.Socket {
			out.Sockets = append(out.Sockets, socket)
		}
	}
	var group errgroup.Group
	group.Go(func() error {
		out.Binaries = g.versions(ctx, g.installed(d, processes))
		return nil
	})
	group.Go(func() error {
		for _, socket := range out.Sockets {
			if listens(socket, processes) && g.ask(ctx, socket, &out) {
				break
			}
		}
		return nil
	})
	group.Go(func() error {
		// CRI-O's store may hold containers of others while it is down; other daemons must run to be asked.
		if len(processes) == 0 && d.Name != v1alpha1.CRIO {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		foreign, err := g.m.Stores.Foreign(ctx, d.Name)
		g.problem("containers of "+string(d.Name), err)
		out.Foreign = foreign
		return nil
	})
	group.Go(func() error {
		// One that dockerd started for itself listens elsewhere.
		if len(processes) > 0 && len(out.Sockets) > 0 {
			ctx, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			announced, err := g.m.Stores.Deprecations(ctx, d.Name)
			g.problem("deprecation warnings of "+string(d.Name), err)
			out.Deprecations = announced
		}
		return nil
	})
	_ = group.Wait() // failures are problems, not errors
	return out
}

// listens reports whether the socket's own daemon runs: cri-dockerd's socket is there without it.
func listens(socket string, processes []v1alpha1.Process) bool {
	if !strings.Contains(path.Base(socket), "cri-docker") {
		return len(processes) > 0
	}
	return slices.ContainsFunc(processes, func(p v1alpha1.Process) bool { return path.Base(p.Exe) == "cri-dockerd" })
}

// ask asks a CRI endpoint for everything and reports whether it answered.
func (g *gatherer) ask(ctx context.Context, socket string, out *v1alpha1.RuntimeInfo) bool {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r, err := g.m.CRI.Dial(ctx, "unix://"+socket, "")
	if err != nil {
		g.problem("CRI of "+string(out.Name), err)
		return false
	}
	defer func() { _ = r.Close() }()
	info, err := r.Info(ctx)
	if err != nil {
		g.problem("CRI of "+string(out.Name), err)
		return false
	}
	if info.APIVersion == "" {
		return false // something answered in place of CRI
	}
	out.CRI = &info
	g.contents(ctx, r, out)
	return true
}

func (g *gatherer) contents(ctx context.Context, r host.Runtime, out *v1alpha1.RuntimeInfo) {
	images, err := r.Images(ctx)
	g.problem("images of "+string(out.Name), err)
	out.CRI.Images = images
	slices.SortFunc(out.CRI.Images, func(a, b v1alpha1.Image) int { return strings.Compare(a.ID, b.ID) })
	pods, err := r.Sandboxes(ctx)
	g.problem("pods of "+string(out.Name), err)
	for _, p := range pods {
		g.pod(p)
		if p.Ready {
			out.CRI.Sandboxes++
		}
		for _, c := range p.Containers {
			if c.Running {
				out.CRI.Containers++
			}
		}
	}
	store, err := r.ImageFs(ctx)
	out.StorePath, out.StoreBytes, out.StoreInodes = store.Path, store.Bytes, store.Inodes
	g.problem("image store of "+string(out.Name), err)
}

// pod remembers the name of a pod.
func (g *gatherer) pod(p host.Sandbox) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pods[p.UID] = p.Namespace + "/" + p.Name
}
