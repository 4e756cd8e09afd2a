package hosttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// units is host.Units for one process.
type units struct{ p *Process }

func (v units) Show(_ context.Context, name string) (v1alpha1.Unit, error) {
	leave, err := v.p.enter()
	if err != nil {
		return v1alpha1.Unit{}, err
	}
	defer leave()
	if err := v.p.n.running(); err != nil {
		return v1alpha1.Unit{}, err
	}
	return v.p.n.pid1.show(name), nil
}

func (n *Node) running() error {
	if n.life == nil {
		return fmt.Errorf("hosttest: the machine is off: Boot it first")
	}
	return nil
}

func (m *manager) show(name string) v1alpha1.Unit {
	u := m.load(name)
	if u == nil {
		return v1alpha1.Unit{Name: name, LoadState: "not-found", ActiveState: "inactive", SubState: "dead"}
	}
	d := u.def
	out := v1alpha1.Unit{
		Name: name, LoadState: "loaded", ActiveState: u.active, SubState: u.sub, Fragment: d.fragment,
		DropIns: slices.Clone(d.dropIns), EnvironmentFiles: d.all("Service.EnvironmentFile"),
		KillMode: orElse(d.last("Service.KillMode"), "control-group"), Type: orElse(d.last("Service.Type"), "simple"),
		Wants: d.deps("Wants"), Requires: d.deps("Requires"), BindsTo: d.deps("BindsTo"),
	}
	if d.masked {
		out.LoadState = "masked"
	}
	for _, line := range d.all("Service.Environment") {
		out.Environment = append(out.Environment, splitWords(line)...)
	}
	if u.active == "active" {
		out.ActiveSince = u.since
	}
	if len(u.procs) > 0 {
		out.MainPID = u.procs[0].pid
	}
	if u.transient != nil {
		out.FileState = "transient"
		return out
	}
	out.FileState = m.n.fs.fileState(d)
	if now, err := m.n.fs.read(name); err != nil || now == nil || now.text != d.text {
		out.NeedDaemonReload = true
	}
	for _, dir := range unitDirs {
		for p := range m.n.fs.now {
			if path.Base(p) == name && path.Dir(path.Dir(p)) == dir && strings.HasSuffix(path.Dir(p), ".wants") {
				out.WantedBy = append(out.WantedBy, strings.TrimSuffix(path.Base(path.Dir(p)), ".wants"))
			}
		}
	}
	slices.Sort(out.WantedBy)
	out.WantedBy = slices.Compact(out.WantedBy)
	return out
}

func orElse(s, or string) string {
	if s == "" {
		return or
	}
	return s
}

// job runs an act of PID 1 on behalf of the process. The process may die while PID 1 goes on.
func (v units) job(what string, do func(m *manager) error) error {
	leave, err := v.p.enter()
	if err != nil {
		return err
	}
	defer leave()
	if err := v.p.n.running(); err != nil {
		return err
	}
	return v.p.n.act(v.p, what, func() error { return do(v.p.n.pid1) })
}

func (v units) Start(ctx context.Context, name string) error {
	return v.job("start "+name, func(m *manager) error { return m.start(ctx, name, map[string]bool{}) })
}

func (v units) Stop(ctx context.Context, name string) error {
	n := v.p.n
	n.mu.Lock()
	err := n.wait(ctx, func() bool { return !n.hung[stopping(name)] || v.p.dead })
	n.mu.Unlock()
	if err != nil {
		return err
	}
	return v.job("stop "+name, func(m *manager) error { m.stop(name, map[string]bool{}); return nil })
}

func (v units) Kill(_ context.Context, name string) error {
	return v.job("kill "+name, func(*manager) error { delete(v.p.n.hung, stopping(name)); v.p.n.cond.Broadcast(); return nil })
}

// HangStop makes a unit's processes ignore that they are to stop, until they are killed.
func (n *Node) HangStop(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hung == nil {
		n.hung = map[string]bool{}
	}
	n.hung[stopping(name)] = true
}

// stopping is a hanging stop's place among what hangs.
func stopping(unit string) string { return "stop " + unit }

func (v units) Reload(context.Context) error {
	return v.job("reload", func(m *manager) error {
		m.reload()
		return nil
	})
}

func (v units) Forgive(_ context.Context, names ...string) error {
	return v.job("forgive "+strings.Join(names, " "), func(m *manager) error {
		for _, name := range names {
			if u := m.units[name]; u != nil && u.active == "failed" {
				u.set(m.n, "inactive", "dead")
			}
		}
		return nil
	})
}

func (v units) StartTransient(ctx context.Context, t host.Transient) error {
	return v.job("start transient "+t.Name, func(m *manager) error {
		if u := m.units[t.Name]; u != nil && u.active != "inactive" && u.active != "failed" {
			return fmt.Errorf("unit %s was already loaded or has a fragment file", t.Name)
		}
		if !strings.HasSuffix(t.Name, ".service") {
			return fmt.Errorf("%s is no service", t.Name)
		}
		var untrusted *host.UntrustedError
		if err := m.n.runnable(t.Argv[0]); errors.As(err, &untrusted) {
			return fmt.Errorf("starting %s: %w", t.Name, err)
		}
		d := &definition{name: t.Name, options: map[string][]string{}, links: map[string][]string{}}
		if t.RestartOnFailure {
			d.options["Service.Restart"] = []string{"on-failure"}
			d.options["Service.RestartSec"] = []string{"1s"}
		}
		u := &unitState{def: d, transient: &t}
		m.units[t.Name] = u
		return m.exec(ctx, u, t.Argv, t.Env, bytes.NewReader(t.Stdin))
	})
}

func (v units) Log(_ context.Context, name string, lines int) string {
	leave, err := v.p.enter()
	if err != nil {
		return ""
	}
	defer leave()
	u := v.p.n.pid1.units[name]
	if u == nil {
		return ""
	}
	return strings.Join(u.log[max(0, len(u.log)-lines):], "\n")
}

// Start starts units, as an operator does.
func (n *Node) Start(names ...string) error {
	for _, name := range names {
		if err := n.Machine().Units.Start(context.Background(), name); err != nil {
			return err
		}
	}
	return nil
}

// Stop stops units, as an operator does.
func (n *Node) Stop(names ...string) {
	for _, name := range names {
		_ = n.Machine().Units.Stop(context.Background(), name)
	}
}

// Dial connects to a socket, which wakes the service behind a listening one; it fails where nobody listens.
func (n *Node) Dial(socket string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dial(context.Background(), socket)
}

func (n *Node) dial(ctx context.Context, socket string) error {
	socket = socketPath(socket)
	if n.serving(socket) != nil {
		return nil
	}
	for _, name := range sortedKeys(n.pid1.units) {
		u := n.pid1.units[name]
		if u.sub != "listening" || !slices.ContainsFunc(u.def.all("Socket.ListenStream"), func(l string) bool { return socketPath(l) == socket }) {
			continue
		}
		service := orElse(u.def.last("Socket.Service"), strings.TrimSuffix(name, ".socket")+".service")
		return n.pid1.start(ctx, service, map[string]bool{})
	}
	return fmt.Errorf("dial unix %s: connect: connection refused", socket)
}

// socketPath is the path behind an endpoint, in one spelling.
func socketPath(endpoint string) string {
	p := strings.TrimPrefix(endpoint, "unix://")
	if rest, ok := strings.CutPrefix(p, "/var/run/"); ok {
		p = "/run/" + rest
	}
	return p
}

// Loaded returns, by unit, the digest of the configuration with which its process was started.
func (n *Node) Loaded() map[string]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[string]string{}
	for name, u := range n.pid1.units {
		for _, p := range u.procs {
			if p.main == nil {
				out[name] = p.conf
			}
		}
	}
	return out
}

// Active returns the active state of every unit that isn't inactive.
func (n *Node) Active() map[string]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[string]string{}
	for name, u := range n.pid1.units {
		if u.active != "inactive" {
			out[name] = u.active
		}
	}
	return out
}

// Kill ends a unit's processes as SIGKILL does; PID 1 does with the unit what it says.
func (n *Node) Kill(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	u := n.pid1.units[name]
	if u == nil || len(u.procs) == 0 {
		return
	}
	for _, p := range u.procs {
		if p.main != nil {
			n.kill(p.main)
		}
		p.ended = true
	}
	u.say("main process killed")
	n.pid1.ended(u, errKilled)
}
