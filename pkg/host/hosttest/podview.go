package hosttest

import (
	"context"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// pods is host.Pods for one process.
type pods struct{ p *Process }

var monitors = map[v1alpha1.RuntimeName]string{
	v1alpha1.Containerd: "/usr/bin/containerd-shim-runc-v2",
	v1alpha1.Docker:     "/usr/bin/containerd-shim-runc-v2",
	v1alpha1.CRIO:       "/usr/bin/conmon",
}

func (v pods) Processes(context.Context) ([]v1alpha1.Process, error) {
	leave, err := v.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []v1alpha1.Process
	for _, r := range sortedKeys(v.p.n.stores) {
		for _, b := range v.p.n.stores[r].sandboxes {
			if !b.alive {
				continue
			}
			out = append(out, v1alpha1.Process{PID: b.pid, Exe: monitors[r]}, v1alpha1.Process{PID: b.pid + 1, Exe: "/pause"})
			for _, c := range b.pod.Containers {
				if b.running[c] {
					out = append(out, v1alpha1.Process{PID: b.pid + 2, Exe: "/" + c})
				}
			}
		}
	}
	for _, pid := range v.p.n.strays {
		out = append(out, v1alpha1.Process{PID: pid, Exe: monitors[v1alpha1.Containerd]})
	}
	return out, nil
}

// change is an act on the sandboxes of some runtimes.
func (v pods) change(what string, do func(v1alpha1.RuntimeName, *sandbox)) error {
	leave, err := v.p.enter()
	if err != nil {
		return err
	}
	defer leave()
	n := v.p.n
	return n.act(v.p, what, func() error {
		for r, s := range n.stores {
			for _, b := range s.sandboxes {
				do(r, b)
			}
		}
		return nil
	})
}

func (v pods) Kill(ctx context.Context, grace time.Duration) error {
	v.p.n.mu.Lock()
	stubborn := false
	for _, s := range v.p.n.stores {
		stubborn = stubborn || slices.ContainsFunc(s.sandboxes, func(b *sandbox) bool { return b.alive && b.pod.Stubborn })
	}
	v.p.n.mu.Unlock()
	if stubborn {
		if err := processClock(v).Sleep(ctx, grace); err != nil {
			return err
		}
	}
	if err := v.change("kill pods", func(_ v1alpha1.RuntimeName, b *sandbox) { b.kill() }); err != nil {
		return err
	}
	v.p.n.mu.Lock()
	v.p.n.strays = nil
	v.p.n.mu.Unlock()
	left, err := v.Uninterruptible(ctx)
	if len(left) > 0 {
		err = fmt.Errorf("killing what is left of pods: %s (%d) still runs", left[0].Program, left[0].PID)
	}
	return err
}

func (v pods) Uninterruptible(context.Context) ([]v1alpha1.UninterruptibleProcess, error) {
	leave, err := v.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []v1alpha1.UninterruptibleProcess
	for _, r := range sortedKeys(v.p.n.stores) {
		for _, b := range v.p.n.stores[r].sandboxes {
			if b.alive && b.pod.Uninterruptible {
				out = append(out, v1alpha1.UninterruptibleProcess{PID: b.pid + 2, Program: b.pod.Containers[0], PodUID: b.pod.UID})
			}
		}
	}
	return out, nil
}

func (v pods) EndStrays(context.Context) (int, error) {
	leave, err := v.p.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	n := v.p.n
	if len(n.strays) == 0 {
		return 0, nil
	}
	ended := len(n.strays)
	return ended, n.act(v.p, "end strays", func() error { n.strays = nil; return nil })
}

// Attaching is never so: what this node's runtimes start is there at once.
func (v pods) Attaching(context.Context) (bool, error) { return false, nil }

func (v pods) Detach(context.Context) error {
	return v.change("detach pods", func(_ v1alpha1.RuntimeName, b *sandbox) {
		if !b.alive {
			b.attached = false
		}
	})
}

func (v pods) Volumes(context.Context) (map[string]string, error) {
	leave, err := v.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	out := map[string]string{}
	for _, p := range v.p.n.pods {
		for _, name := range p.Volumes {
			out["/var/lib/kubelet/pods/"+p.UID+"/volumes/kubernetes.io~nfs/"+name] = "nfs4"
		}
	}
	return out, nil
}

func (v pods) Unmount(_ context.Context, r v1alpha1.RuntimeName) error {
	if monitors[r] == "" {
		return fmt.Errorf("unknown runtime %q", r)
	}
	return v.change("unmount pods of "+string(r), func(of v1alpha1.RuntimeName, b *sandbox) {
		if of == r && !b.alive {
			b.mounted = false
		}
	})
}

// procs is host.Procs for one process.
type procs struct{ p *Process }

func (v procs) Find(names ...string) ([]v1alpha1.Process, error) {
	leave, err := v.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	var out []v1alpha1.Process
	for _, p := range v.p.n.others {
		if slices.Contains(names, path.Base(p.Exe)) {
			out = append(out, p)
		}
	}
	for _, p := range v.p.n.procs() {
		if p.program != nil && slices.Contains(names, path.Base(p.program.Path)) {
			out = append(out, v1alpha1.Process{PID: p.pid, Exe: p.program.Path, Argv: slices.Clone(p.argv), Started: p.started, Unit: p.unit})
		}
	}
	return out, nil
}

func (v procs) OfRoot() ([]v1alpha1.Process, error) {
	leave, err := v.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	out := slices.Clone(v.p.n.others)
	for _, p := range v.p.n.procs() {
		if p.program != nil {
			out = append(out, v1alpha1.Process{PID: p.pid, Exe: p.program.Path, Argv: slices.Clone(p.argv), Started: p.started, Unit: p.unit})
		}
	}
	return out, nil
}

func (v procs) Runs(pid int, path string) (bool, error) {
	leave, err := v.p.enter()
	if err != nil {
		return false, err
	}
	defer leave()
	for _, p := range v.p.n.procs() {
		if p.pid == pid && p.program != nil {
			return v.p.n.find(path) == p.program, nil
		}
	}
	for _, p := range v.p.n.others {
		if p.PID == pid {
			return v.p.n.find(path) != nil && p.Exe == path, nil
		}
	}
	return false, fmt.Errorf("process %d: no such process", pid)
}

func (v procs) Environ(pid int) ([]string, error) {
	leave, err := v.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	for _, p := range v.p.n.procs() {
		if p.pid == pid {
			return slices.Clone(p.env), nil
		}
	}
	if slices.ContainsFunc(v.p.n.others, func(p v1alpha1.Process) bool { return p.PID == pid }) {
		return nil, nil
	}
	return nil, fmt.Errorf("process %d: no such process", pid)
}
