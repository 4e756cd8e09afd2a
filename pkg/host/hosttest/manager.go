package hosttest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// manager is PID 1. It knows units as it loaded them, not as their files are now.
type manager struct {
	n     *Node
	units map[string]*unitState
	jobs  []string // queued starts of the boot that is under way
}

type unitState struct {
	def       *definition
	transient *host.Transient
	active    string // inactive, active, activating, failed
	sub       string
	since     time.Time
	procs     []*proc
	log       []string
	due       time.Time // of an automatic restart, or of a timer
	silent    time.Time // when it counts as hung
}

// proc is a program that runs.
type proc struct {
	program  *Program
	unit     string
	pid      int
	argv     []string
	env      []string
	conf     string // digest of everything that it was started with
	endpoint string
	started  time.Time
	main     *Process
	ended    bool
	err      error
}

var errKilled = errors.New("killed")

func newManager(n *Node) *manager { return &manager{n: n, units: map[string]*unitState{}} }

// load returns the unit as PID 1 knows it; what it never heard of it reads now.
func (m *manager) load(name string) *unitState {
	if u := m.units[name]; u != nil {
		return u
	}
	d, err := m.n.fs.read(name)
	if err != nil || d == nil {
		return nil
	}
	u := &unitState{def: d, active: "inactive", sub: "dead"}
	m.units[name] = u
	return u
}

// reload reads all unit files again.
func (m *manager) reload() {
	for name, u := range m.units {
		if u.transient != nil {
			continue
		}
		d, err := m.n.fs.read(name)
		if err == nil && d != nil {
			u.def = d
			continue
		}
		if u.active == "inactive" || u.active == "failed" {
			delete(m.units, name)
		}
	}
}

func (u *unitState) set(n *Node, active, sub string) {
	u.active, u.sub, u.since = active, sub, n.clock.now()
	n.cond.Broadcast()
}

func (u *unitState) say(format string, args ...any) {
	u.log = append(u.log, fmt.Sprintf(format, args...))
}

// start starts a unit and what it pulls in. seen breaks circles.
func (m *manager) start(ctx context.Context, name string, seen map[string]bool) error {
	if seen[name] {
		return nil
	}
	seen[name] = true
	u := m.load(name)
	switch {
	case u == nil:
		return fmt.Errorf("unit %s not found", name)
	case u.def.masked:
		return fmt.Errorf("unit %s is masked", name)
	case u.active == "active":
		return nil
	}
	after := u.def.words("Unit.After")
	for _, dep := range u.def.deps("Wants") {
		_ = m.start(ctx, dep, seen)
	}
	for _, kind := range []string{"Requires", "BindsTo"} {
		for _, dep := range u.def.deps(kind) {
			err := m.start(ctx, dep, seen)
			d := m.units[dep]
			skipped := d == nil || d.active != "active" && !seen[dep]
			if err != nil || kind == "BindsTo" && slices.Contains(after, dep) && (skipped || d.active != "active") {
				return fmt.Errorf("a dependency job for %s failed: %s", name, dep)
			}
		}
	}
	return m.run(ctx, u)
}

// run is the job itself: conditions are looked at now.
func (m *manager) run(ctx context.Context, u *unitState) error {
	name := u.def.name
	if !m.n.fs.conditions(u.def) {
		u.say("%s was skipped because of an unmet condition check", name)
		return nil
	}
	switch path.Ext(name) {
	case ".service":
		return m.service(ctx, u)
	case ".timer":
		u.due = m.n.clock.now().Add(delay(u.def, "Timer.OnActiveSec"))
		u.set(m.n, "active", "waiting")
	case ".socket":
		for _, l := range u.def.all("Socket.ListenStream") {
			if err := m.n.blocked(l); err != nil {
				u.say("%v", err)
				u.set(m.n, "failed", "failed")
				return fmt.Errorf("job for %s failed: %w", name, err)
			}
		}
		u.set(m.n, "active", "listening")
	default:
		u.set(m.n, "active", "active")
	}
	return nil
}

func (m *manager) service(ctx context.Context, u *unitState) error {
	env, err := m.n.fs.environment(u.def)
	if err != nil {
		u.say("%v", err)
		u.set(m.n, "failed", "failed")
		return fmt.Errorf("job for %s failed: %w", u.def.name, err)
	}
	return m.exec(ctx, u, command(u.def, env), env, nil)
}

// exec starts the unit's process and waits as long as its type asks for.
func (m *manager) exec(ctx context.Context, u *unitState, argv, env []string, stdin io.Reader) error {
	n, name := m.n, u.def.name
	kind := u.def.last("Service.Type")
	p, err := n.spawn(name, argv, env, stdin)
	if err != nil {
		u.say("%v", err)
		m.ended(u, err)
		if kind == "notify" || kind == "oneshot" || p == nil {
			return fmt.Errorf("job for %s failed: %w", name, err)
		}
		return nil
	}
	u.procs = []*proc{p}
	if u.watched() {
		u.silent = n.clock.now().Add(u.watchdog())
	}
	if kind != "oneshot" {
		u.set(n, "active", "running")
		n.settle()
		return nil
	}
	if p.main == nil {
		return fmt.Errorf("hosttest: %s is a oneshot of a program without Main", name)
	}
	u.set(n, "activating", "start")
	if err := n.wait(ctx, func() bool { return p.ended || p.main.dead }); err != nil {
		return err
	}
	if !p.ended {
		return fmt.Errorf("job for %s failed: killed", name)
	}
	if p.err != nil {
		return fmt.Errorf("job for %s failed: %w", name, p.err)
	}
	return nil
}

// ended is what PID 1 does when the unit's process is no more.
func (m *manager) ended(u *unitState, err error) {
	u.procs = nil
	restart := u.def.last("Service.Restart")
	switch {
	case restart == "always" || err != nil && restart == "on-failure":
		u.set(m.n, "activating", "auto-restart")
		u.due = m.n.clock.now().Add(max(delay(u.def, "Service.RestartSec"), 100*time.Millisecond))
	case err != nil && u.transient != nil:
		delete(m.units, u.def.name) // CollectMode=inactive-or-failed
	case err != nil:
		u.set(m.n, "failed", "failed")
	case u.def.last("Service.RemainAfterExit") == "yes":
		u.set(m.n, "active", "exited")
	default:
		u.set(m.n, "inactive", "dead")
	}
	m.rearm(u.def.name)
}

// rearm sets the timer whose service has ended.
func (m *manager) rearm(service string) {
	timer := m.units[strings.TrimSuffix(service, ".service")+".timer"]
	if timer != nil && timer.active == "active" {
		timer.due = m.n.clock.now().Add(delay(timer.def, "Timer.OnUnitInactiveSec"))
	}
}

func delay(d *definition, key string) time.Duration {
	v := d.last(key)
	if v == "" {
		return 0
	}
	if t, err := time.ParseDuration(v); err == nil {
		return t
	}
	t, _ := time.ParseDuration(v + "s")
	return t
}

// died is what PID 1 does when a process of the test was killed.
func (m *manager) died(p *Process) {
	for _, u := range m.units {
		for _, pr := range u.procs {
			if pr.main == p {
				u.say("main process killed")
				m.ended(u, errKilled)
				return
			}
		}
	}
}

// stop stops a unit and what requires it; queued starts are cancelled.
func (m *manager) stop(name string, seen map[string]bool) {
	if seen[name] {
		return
	}
	seen[name] = true
	m.jobs = slices.DeleteFunc(m.jobs, func(j string) bool { return j == name })
	for _, other := range sortedKeys(m.units) {
		d := m.units[other].def
		if slices.Contains(d.deps("Requires"), name) || slices.Contains(d.deps("BindsTo"), name) ||
			slices.Contains(d.words("Unit.PartOf"), name) {
			m.stop(other, seen)
		}
	}
	u := m.units[name]
	if u == nil {
		return
	}
	for _, p := range u.procs {
		if p.main != nil {
			m.n.kill(p.main)
		}
		p.ended = true
		if p.program != nil && p.program.StopsPods {
			m.n.store(p.program.Runtime).stopAll()
		}
	}
	u.procs = nil
	if u.active != "inactive" {
		u.set(m.n, "inactive", "dead")
	}
	m.rearm(name)
	if u.transient != nil {
		delete(m.units, name)
	}
}

// spawn starts a program with the files as they are now.
func (n *Node) spawn(unit string, argv, env []string, stdin io.Reader) (*proc, error) {
	if len(argv) == 0 {
		return nil, fmt.Errorf("there is nothing to execute")
	}
	_, at, err := n.fs.follow(argv[0])
	if err != nil {
		return nil, fmt.Errorf("failed to execute %s: no such file or directory", argv[0])
	}
	program := n.programs[at]
	if program == nil {
		return nil, fmt.Errorf("failed to execute %s: hosttest knows no such program", argv[0])
	}
	p := &proc{program: program, unit: unit, argv: argv, env: env, started: n.clock.now()}
	read := func(path string) (string, bool) {
		i, _, err := n.fs.follow(path)
		if err != nil || i.kind != v1alpha1.Regular {
			return "", false
		}
		return string(i.data), true
	}
	if program.Check != nil {
		if err := program.Check(argv, read); err != nil {
			return p, fmt.Errorf("%s: %w", path.Base(at), err)
		}
	}
	if program.Serves != nil {
		p.endpoint = socketPath(program.Serves(argv, read))
	}
	if program.Runtime != "" && p.endpoint != "" {
		if err := n.blocked(p.endpoint); err != nil {
			return p, fmt.Errorf("%s: %w", path.Base(at), err)
		}
	}
	if program.Kubelet && n.squatted(KubeletPort) {
		return p, fmt.Errorf("%s: listen tcp 0.0.0.0:%d: bind: address already in use", path.Base(at), KubeletPort)
	}
	n.squat()
	p.conf = n.loaded(program, argv, env)
	if program.Main == nil {
		n.lastPID++
		p.pid = n.lastPID
		if program.Runtime != "" && p.endpoint != "" {
			n.besides(p)
		}
		return p, nil
	}
	p.main = n.newProcess(unit)
	p.pid = p.main.pid
	go n.mainLoop(p, stdin)
	return p, nil
}

func (n *Node) mainLoop(p *proc, stdin io.Reader) {
	if stdin == nil {
		stdin = strings.NewReader("")
	}
	err := p.program.Main(p.main.ctx, p.main.Machine(), p.argv, stdin)
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.main.dead {
		return
	}
	n.kill(p.main)
	p.ended, p.err = true, err
	if u := n.pid1.units[p.unit]; u != nil && slices.Contains(u.procs, p) {
		if err != nil {
			u.say("%v", err)
		}
		n.pid1.ended(u, err)
		if u.transient != nil && u.active == "inactive" {
			delete(n.pid1.units, p.unit)
		}
	}
	n.cond.Broadcast()
}

// loaded is the digest of what a program is started with.
func (n *Node) loaded(program *Program, argv, env []string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q\n", argv, env)
	for _, file := range n.glob(program.Reads) {
		fmt.Fprintf(h, "%s %q\n", file, n.fs.now[file].data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// glob returns the regular files that match, links resolved.
func (n *Node) glob(patterns []string) []string {
	var out []string
	for _, p := range patterns {
		if i, at, err := n.fs.follow(p); err == nil && i.kind == v1alpha1.Regular {
			out = append(out, at)
			continue
		}
		for q, i := range n.fs.now {
			if ok, _ := path.Match(p, q); !ok {
				continue
			}
			if i.kind == v1alpha1.Symlink {
				var err error
				if i, q, err = n.fs.follow(q); err != nil {
					continue
				}
			}
			if i.kind == v1alpha1.Regular {
				out = append(out, q)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
