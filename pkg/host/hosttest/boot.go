package hosttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Boot switches the machine on and returns when what is enabled has been started.
func (n *Node) Boot() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.life != nil {
		panic("hosttest: the machine is on")
	}
	n.boots++
	n.Info.Boot = fmt.Sprintf("boot-%d", n.boots)
	if n.boots > 1 {
		n.clock.booted()
	}
	n.life, n.end = context.WithCancel(context.Background())
	n.pid1 = newManager(n)
	n.kernelBoot()
	life := n.life
	if n.clock.real {
		go n.tick(life)
	}
	n.pid1.boot(life)
	n.settle()
}

// Animate makes the clock of a machine that runs that of package time, as RealTime does from the start.
func (n *Node) Animate() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clock.animate()
	go n.tick(n.life)
}

// tick lets time pass for what nobody calls: timers and automatic restarts.
func (n *Node) tick(life context.Context) {
	for n.clock.sleep(life, 250*time.Millisecond) == nil {
		n.mu.Lock()
		if life.Err() == nil {
			n.settle()
		}
		n.mu.Unlock()
	}
}

// PowerOff cuts the power: processes and pods are gone; of what no fsync confirmed the disk has what keep says (nil: all
// of it).
func (n *Node) PowerOff(keep func() bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.off()
	if keep == nil {
		keep = func() bool { return true }
	}
	n.fs.lose(keep)
}

// off ends everything that runs. What the disk lost is decided later.
func (n *Node) off() {
	if n.life == nil {
		return
	}
	n.end()
	n.life = nil
	for _, u := range n.pid1.units {
		for _, p := range u.procs {
			if p.main != nil {
				n.kill(p.main)
			}
		}
	}
	n.pid1 = newManager(n)
	for _, s := range n.stores {
		s.reboot()
	}
	clear(n.locks)
	n.strays = nil
	n.unmake()
	n.cond.Broadcast()
}

// On reports whether the machine runs.
func (n *Node) On() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.life != nil
}

// boot starts what the targets want, each after what it is ordered after. The list is made before anything runs; a
// unit's conditions and files are those of the moment when its turn comes.
func (m *manager) boot(life context.Context) {
	var names []string
	var pull func(name string)
	pull = func(name string) {
		if slices.Contains(names, name) {
			return
		}
		u := m.load(name)
		if u == nil || u.def.masked {
			return
		}
		names = append(names, name)
		for _, kind := range []string{"Wants", "Requires", "BindsTo"} {
			for _, dep := range u.def.deps(kind) {
				pull(dep)
			}
		}
	}
	for _, target := range []string{"sysinit", "sockets", "timers", "basic", "multi-user", "graphical"} {
		for _, dir := range unitDirs {
			for _, name := range m.n.fs.children(dir + "/" + target + ".target.wants") {
				pull(name)
			}
		}
	}
	m.jobs = m.order(names)
	for len(m.jobs) > 0 && life.Err() == nil {
		name := m.jobs[0]
		m.jobs = m.jobs[1:]
		u := m.load(name)
		if u == nil || u.active == "active" || !m.required(u) {
			continue
		}
		_ = m.run(life, u)
	}
}

// required reports whether what the unit requires is there.
func (m *manager) required(u *unitState) bool {
	for _, dep := range u.def.deps("Requires") {
		if d := m.load(dep); d == nil || d.active == "failed" {
			return false
		}
	}
	for _, dep := range u.def.deps("BindsTo") {
		if d := m.load(dep); d == nil || d.active != "active" {
			return false
		}
	}
	return true
}

// order sorts jobs so that each comes after what it is ordered after; circles are broken anywhere.
func (m *manager) order(names []string) []string {
	var out []string
	state := map[string]int{}
	var visit func(name string)
	visit = func(name string) {
		if state[name] != 0 {
			return
		}
		state[name] = 1
		for _, dep := range m.before(name, names) {
			visit(dep)
		}
		out = append(out, name)
	}
	// Sockets and timers come up before services: basic.target.
	slices.SortStableFunc(names, func(a, b string) int { return strings.Compare(rank(a), rank(b)) })
	for _, name := range names {
		visit(name)
	}
	return out
}

func rank(name string) string {
	if strings.HasSuffix(name, ".service") {
		return "1"
	}
	return "0"
}

// before are the names among all that must come before name.
func (m *manager) before(name string, all []string) []string {
	var out []string
	after := m.units[name].def.words("Unit.After")
	for _, other := range all {
		if slices.Contains(after, other) || slices.Contains(m.units[other].def.words("Unit.Before"), name) {
			out = append(out, other)
		}
	}
	return out
}

// settle lets the machine do what it does by itself: automatic restarts, timers, and the kubelet running its pods.
func (n *Node) settle() {
	if n.life == nil {
		return
	}
	now, m := n.clock.now(), n.pid1
	for _, name := range sortedKeys(m.units) {
		u := m.units[name]
		if u == nil || u.due.IsZero() || u.due.After(now) {
			continue
		}
		switch {
		case u.sub == "auto-restart":
			u.due = time.Time{}
			m.restart(u)
		case u.active == "active" && strings.HasSuffix(name, ".timer"):
			u.due = time.Time{}
			service := strings.TrimSuffix(name, ".timer") + ".service"
			life := n.life
			go func() {
				n.mu.Lock()
				defer n.mu.Unlock()
				if life.Err() == nil {
					_ = m.start(life, service, map[string]bool{})
				}
			}()
		}
	}
	m.bark(now)
	n.runPods()
}

func (m *manager) restart(u *unitState) {
	if u.transient == nil {
		go func(life context.Context) {
			m.n.mu.Lock()
			defer m.n.mu.Unlock()
			if life.Err() == nil && u.sub == "auto-restart" {
				_ = m.run(life, u)
			}
		}(m.n.life)
		return
	}
	// The process finds its standard input read to its end.
	_ = m.exec(m.n.life, u, u.transient.Argv, u.transient.Env, nil)
}

// runPods is the kubelet: it runs its pods in the runtime that it talks to.
func (n *Node) runPods() {
	k := n.kubelet()
	if k == nil {
		return
	}
	server := n.serving(k.endpoint)
	if server == nil {
		return
	}
	s := n.store(server.program.Runtime)
	for _, p := range n.pods {
		if s.find(p.UID) != nil {
			continue
		}
		for name, other := range n.stores {
			if name != server.program.Runtime && other.find(p.UID) != nil {
				n.violation("pod %s/%s runs in %s and in %s", p.Namespace, p.Name, name, server.program.Runtime)
			}
		}
		n.mount(p)
		s.run(p)
	}
	s.collect()
}

// kubelet is the running kubelet's process.
func (n *Node) kubelet() *proc {
	for _, u := range n.pid1.units {
		for _, p := range u.procs {
			if p.program != nil && p.program.Kubelet {
				return p
			}
		}
	}
	return nil
}

// besides records a runtime that starts while another one's pods live: it would collect their network.
func (n *Node) besides(p *proc) {
	if strings.HasPrefix(p.unit, "kubectl-runtime-") {
		return
	}
	for name, s := range n.stores {
		if name != p.program.Runtime && s.living() > 0 && p.program.Runtime == v1alpha1.CRIO {
			n.violation("%s started while %d pods of %s live", p.unit, s.living(), name)
		}
	}
}
