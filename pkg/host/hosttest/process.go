package hosttest

import (
	"context"
	"errors"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// errDead is what a process gets from every call after its death. A real process gets nothing any more: what it does with
// this error has no effect.
var errDead = errors.New("hosttest: this process is dead")

// Process is a running process of the test's own code.
type Process struct {
	n      *Node
	pid    int
	unit   string
	dead   bool
	ctx    context.Context
	cancel context.CancelFunc
}

func (n *Node) newProcess(unit string) *Process {
	n.lastPID++
	p := &Process{n: n, pid: n.lastPID, unit: unit}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if n.life == nil && n.boots > 0 {
		p.dead = true // nothing runs on a machine that is off
		p.cancel()
	}
	return p
}

// Machine is the node as the process reaches it.
func (p *Process) Machine() host.Machine {
	return host.Machine{
		Files: files{p}, Units: units{p}, CRI: cri{p}, Pods: pods{p}, Procs: procs{p}, Kernel: kernel{p},
		Commands: commands{p}, HTTP: web{p}, Stores: stores{p}, Clients: clients{p}, Clock: processClock{p},
	}
}

// Context ends with the process.
func (p *Process) Context() context.Context { return p.ctx }

// Kill ends the process at once, as SIGKILL does.
func (p *Process) Kill() {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.n.kill(p)
}

func (n *Node) kill(p *Process) {
	if p.dead {
		return
	}
	p.dead = true
	p.cancel()
	for path, owner := range n.locks {
		if owner == p {
			delete(n.locks, path)
		}
	}
	n.cond.Broadcast()
}

func (p *Process) alive() error {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	if p.dead {
		return errDead
	}
	return nil
}

// CrashKind is how a crash comes.
type CrashKind int

// The crashes.
const (
	ProcessDeath CrashKind = iota // the acting process dies, the machine goes on
	PowerLoss                     // the machine goes off; Boot brings it back
)

type crash struct {
	at     int
	before bool
	kind   CrashKind
	hit    bool
	what   string
	acts   int
	fault  func(act string) error
}

// CrashAt makes the at-th act (from 1, counted from now) crash, before or after it is done.
func (n *Node) CrashAt(at int, before bool, kind CrashKind) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.crash = crash{at: at, before: before, kind: kind, fault: n.crash.fault}
}

// Acts returns how many acts were counted since CrashAt (or the start), and the one that crashed.
func (n *Node) Acts() (count int, crashed string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.crash.acts, n.crash.what
}

// Fault is asked before every act; what it returns the act fails with. Acts are named like "start crio.service",
// "rename /etc/crictl.yaml", "stop sandbox kube-system/kube-proxy".
func (n *Node) Fault(f func(act string) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.crash.fault = f
}

// act does something that changes the machine, on behalf of p. The node must be locked.
func (n *Node) act(p *Process, what string, do func() error) error {
	if p.dead {
		return errDead
	}
	n.crash.acts++
	now := !n.crash.hit && n.crash.acts == n.crash.at
	if now {
		n.crash.hit, n.crash.what = true, what
		if n.crash.before {
			n.strike(p)
			return errDead
		}
	}
	n.freeze(p, what)
	if p.dead {
		return errDead
	}
	var err error
	if n.crash.fault != nil {
		err = n.crash.fault(what)
	}
	if err == nil {
		err = do()
	}
	if now {
		n.strike(p)
		return errDead
	}
	if p.dead {
		return errDead
	}
	return err
}

func (n *Node) strike(p *Process) {
	if n.crash.kind == PowerLoss {
		n.off()
		return
	}
	n.kill(p)
	n.pid1.died(p)
	// Seen of containerd: whose client goes while it ends a pod, it may lose the monitor.
	if !n.crash.before && (strings.HasPrefix(n.crash.what, "stop sandbox ") || strings.HasPrefix(n.crash.what, "remove sandbox ")) {
		n.lastPID++
		n.strays = append(n.strays, n.lastPID)
	}
}

// wait waits until done, with the node unlocked meanwhile.
func (n *Node) wait(ctx context.Context, done func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.cond.Broadcast()
	})
	defer stop()
	for !done() {
		if err := ctx.Err(); err != nil {
			return err
		}
		n.cond.Wait()
	}
	return nil
}
