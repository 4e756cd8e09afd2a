package hosttest

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Immutable makes what stands at a path refuse to be replaced or removed, as chattr +i does.
func (n *Node) Immutable(p string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.immutable[p] = true
}

// fixed is what a change at a path meets there.
func (n *Node) fixed(at string) error {
	if n.immutable[at] {
		return fmt.Errorf("%s: operation not permitted", at)
	}
	return nil
}

func (f files) Replaceable(p string) error {
	leave, err := f.p.enter()
	if err != nil {
		return err
	}
	defer leave()
	at, err := f.p.n.fs.locate(p)
	if err != nil {
		return err
	}
	if err := writable(p); err != nil {
		return err
	}
	if err := f.p.n.act(f.p, "probe "+at, func() error { return f.p.n.fixed(at) }); err != nil {
		return fmt.Errorf("%s can't be replaced: %w", p, err)
	}
	return nil
}

// SyncFS is an act alone: what Images puts into a store is on the disk at once.
func (f files) SyncFS(p string) error {
	leave, err := f.p.enter()
	if err != nil {
		return err
	}
	defer leave()
	return f.p.n.act(f.p, "syncfs "+p, func() error { return nil })
}

func (f files) ClearSocket(p string) (v1alpha1.FileType, string, error) {
	leave, err := f.p.enter()
	if err != nil {
		return "", "", err
	}
	defer leave()
	n := f.p.n
	at, err := n.fs.locate(p)
	if err != nil {
		return "", "", err
	}
	i := n.fs.now[at]
	if i == nil {
		return "", "", nil
	}
	if i.kind == v1alpha1.Directory && len(n.fs.children(at)) == 0 {
		err := n.act(f.p, "remove "+at, func() error { delete(n.fs.now, at); return nil })
		return i.kind, "", err
	}
	aside := at + ".aside-1"
	err = n.act(f.p, "rename "+at, func() error {
		for q, j := range n.fs.now {
			if rest, ok := strings.CutPrefix(q, at); ok && (rest == "" || rest[0] == '/') {
				n.fs.now[aside+rest] = j
				delete(n.fs.now, q)
			}
		}
		return nil
	})
	return i.kind, aside, err
}

// blocked returns what keeps a daemon or PID 1 from binding a socket.
func (n *Node) blocked(socket string) error {
	at, err := n.fs.locate(socketPath(socket))
	if err != nil {
		return err
	}
	if i := n.fs.now[at]; i != nil && i.kind == v1alpha1.Directory {
		return fmt.Errorf("failed to create unix socket on %s: is a directory", socket)
	}
	return nil
}

// mount makes what a runtime makes of a pod's hostPath volumes without a type: a directory where there is nothing.
func (n *Node) mount(p Pod) {
	for _, file := range p.HostPaths {
		at, err := n.fs.locate(file)
		if err != nil || n.fs.now[at] != nil || n.listens(socketPath(file)) {
			continue
		}
		for d := at; n.fs.now[d] == nil; d = path.Dir(d) {
			n.fs.now[d] = &inode{kind: v1alpha1.Directory, mode: 0o755, mtime: n.clock.now()}
			n.mountMade[d] = true
		}
	}
}

// unmake empties what lies in memory, as a boot does.
func (n *Node) unmake() {
	for d := range n.mountMade {
		delete(n.fs.now, d)
	}
	clear(n.mountMade)
}

// Freeze makes the next act whose name begins so hang, until its process is killed.
func (n *Node) Freeze(act string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.frozen = act
}

// freeze holds a process that comes to the act that hangs.
func (n *Node) freeze(p *Process, act string) {
	if n.frozen == "" || !strings.HasPrefix(act, n.frozen) {
		return
	}
	n.frozen = ""
	for !p.dead {
		n.cond.Wait()
	}
}

// Beat is the unit's sign of life.
func (v units) Beat(limit time.Duration) {
	leave, err := v.p.enter()
	if err != nil {
		return
	}
	defer leave()
	if u := v.p.n.pid1.units[v.p.unit]; u != nil && u.watched() {
		u.silent = v.p.n.clock.now().Add(limit)
	}
}

// watched reports whether PID 1 looks after the unit's signs of life.
func (u *unitState) watched() bool {
	return u.transient != nil && u.transient.Watchdog > 0 || u.def != nil && u.def.last("Service.WatchdogSec") != ""
}

// watchdog is how long the unit may be silent after its start.
func (u *unitState) watchdog() time.Duration {
	if u.transient != nil {
		return u.transient.Watchdog
	}
	return delay(u.def, "Service.WatchdogSec")
}

// bark kills what has been silent for too long.
func (m *manager) bark(now time.Time) {
	for _, name := range sortedKeys(m.units) {
		u := m.units[name]
		if u == nil || u.silent.IsZero() || u.silent.After(now) || len(u.procs) == 0 {
			continue
		}
		u.silent = time.Time{}
		for _, p := range slices.Clone(u.procs) {
			if p.main != nil {
				m.n.kill(p.main)
			}
			p.ended = true
		}
		u.say("watchdog timeout")
		m.ended(u, errKilled)
	}
}
