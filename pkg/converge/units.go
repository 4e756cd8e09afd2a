package converge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/redact"
)

const logLines = 8

// names are the runtimes' units of both photographs, in start order.
func (a *actor) names() []string {
	var out []string
	for _, s := range []v1alpha1.State{a.plan.Before, a.plan.After} {
		for _, u := range s.Units {
			if !slices.Contains(out, u.Name) {
				out = append(out, u.Name)
			}
		}
	}
	return out
}

// reload makes PID 1 read the unit files.
func (a *actor) reload(ctx context.Context) error {
	if err := a.m.Units.Reload(ctx); err != nil {
		return fmt.Errorf("reloading systemd: %w", err)
	}
	return nil
}

// stopRuntimes stops all of them, sockets first: whoever dials one would wake its service again.
func (a *actor) stopRuntimes(ctx context.Context) error {
	if a.opts.Stopping != nil {
		if err := a.opts.Stopping(); err != nil {
			return fmt.Errorf("noting that runtimes are stopped: %w", err)
		}
	}
	names := a.names()
	slices.Reverse(names)
	slices.SortStableFunc(names, func(x, y string) int { return rank(x) - rank(y) })
	if err := a.stopUnits(ctx, names...); err != nil {
		return err
	}
	return a.sweep(ctx)
}

func rank(name string) int {
	if strings.HasSuffix(name, ".service") {
		return 1
	}
	return 0
}

// stopUnits stops units in that order until all of them are down at once, and forgives them earlier failures.
func (a *actor) stopUnits(ctx context.Context, names ...string) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	var up []string
	for range 20 {
		for _, name := range names {
			if err := a.stop(ctx, name); err != nil {
				return fmt.Errorf("stopping %s: %w%s", name, err, a.log(ctx, name))
			}
		}
		up = up[:0]
		for _, name := range names {
			u, err := a.m.Units.Show(ctx, name)
			if err != nil {
				return fmt.Errorf("asking for %s: %w", name, err)
			}
			if u.ActiveState != "inactive" && u.ActiveState != "failed" {
				up = append(up, name+" ("+u.ActiveState+")")
			}
		}
		if len(up) == 0 {
			return a.m.Units.Forgive(ctx, names...)
		}
		if err := a.m.Clock.Sleep(ctx, 2*poll); err != nil {
			return err
		}
	}
	return fmt.Errorf("stopped, but something starts it again: %s", strings.Join(up, ", "))
}

// stopPatience is how long a daemon that was asked to stop may take, before it is killed: CRI-O 1.34 hangs at that now and
// then (seen), and systemd would wait for 90 seconds while the node has no kubelet. It is longer than dockerd waits for a
// container.
const stopPatience = 20 * time.Second

// stop stops a unit, by force if it doesn't end. A runtime's pods are gone by then; the kubelet's are ended by the runtime next.
func (a *actor) stop(ctx context.Context, name string) error {
	patient, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	err := a.m.Units.Stop(patient, name)
	if err == nil || ctx.Err() != nil || patient.Err() == nil {
		return err
	}
	a.tell(v1alpha1.Progress{Step: "kill", Detail: fmt.Sprintf("%s, which did not stop within %s", name, stopPatience)})
	if err := a.m.Units.Kill(ctx, name); err != nil {
		return fmt.Errorf("killing it, as it doesn't end: %w", err)
	}
	return a.m.Units.Stop(ctx, name)
}

// startRuntimes starts what the state shows running, once nothing is in the way of its sockets. Until the kubelet's pods were
// gone, the runtime that ended them might have put it there again.
func (a *actor) startRuntimes(ctx context.Context) error {
	a.clearSockets()
	err := a.startUnits(ctx)
	if err != nil && a.clearSockets() {
		a.tell(v1alpha1.Progress{Step: "start runtime", Detail: "once more, as the way is clear now", Error: err.Error()})
		return a.restart(ctx)
	}
	return err
}

func (a *actor) startUnits(ctx context.Context) error {
	for _, u := range a.want.Units {
		if !u.Active {
			continue
		}
		if err := a.start(ctx, u.Name); err != nil {
			return err
		}
	}
	return nil
}

// restart stops what has been started in vain, and starts it again.
func (a *actor) restart(ctx context.Context) error {
	names := a.names()
	slices.Reverse(names)
	if err := a.stopUnits(ctx, names...); err != nil {
		return err
	}
	a.clearSockets()
	return a.startUnits(ctx)
}

// clearSockets makes way for the sockets of both runtimes, and reports whether anything was in the way. What can't be moved is
// told: the start that follows says whether it matters.
func (a *actor) clearSockets() (cleared bool) {
	for _, p := range Sockets(a.plan) {
		found, aside, err := a.m.Files.ClearSocket(p)
		line := v1alpha1.Progress{Step: "clear sockets"}
		switch {
		case err != nil:
			line.Detail, line.Error = p+" is in the way of a runtime's socket", err.Error()
		case found == "":
			continue
		case aside == "":
			line.Detail, cleared = fmt.Sprintf("removed the empty directory %s, where a runtime's socket belongs", p), true
		default:
			line.Detail, cleared = fmt.Sprintf("moved the %s %s, where a runtime's socket belongs, to %s", found, p, aside), true
		}
		a.tell(line)
	}
	return cleared
}

// ClearSockets makes way for the sockets of the plan's runtimes as a pass does before it starts them; nil drops the report.
func ClearSockets(m host.Machine, p *v1alpha1.Plan, report func(v1alpha1.Progress)) {
	(&actor{m: m, plan: p, opts: Options{Report: report}}).clearSockets()
}

// Sockets are the paths where the plan's runtimes bind. Plans of the first format name their endpoints alone.
func Sockets(p *v1alpha1.Plan) []string {
	out := slices.Clone(p.Sockets)
	for _, ref := range []v1alpha1.RuntimeRef{p.Before.Runtime, p.After.Runtime} {
		if file, ok := strings.CutPrefix(ref.Endpoint, "unix://"); ok && !slices.Contains(out, file) {
			out = append(out, file)
		}
	}
	return out
}

func (a *actor) start(ctx context.Context, name string) error {
	limited, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := a.m.Units.Start(limited, name); err != nil {
		return fmt.Errorf("starting %s: %w%s", name, err, a.log(ctx, name))
	}
	u, err := a.m.Units.Show(ctx, name)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", name, err)
	}
	if u.ActiveState == "inactive" || u.ActiveState == "failed" {
		return fmt.Errorf("%s was started and is %s%s", name, u.ActiveState, a.log(ctx, name))
	}
	return nil
}

// log is the end of a unit's log, without secrets, to stand behind an error.
func (a *actor) log(ctx context.Context, name string) string {
	text := redact.Text(strings.TrimSpace(a.m.Units.Log(ctx, name, logLines)))
	if text == "" {
		return ""
	}
	return "; its last log lines:\n" + text
}

// faller watches a unit while something is awaited of it: one that failed, or that died twice, is not waited for.
type faller struct {
	name  string
	falls int
	down  bool
}

func (f *faller) look(ctx context.Context, a *actor) error {
	u, err := a.m.Units.Show(ctx, f.name)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", f.name, err)
	}
	if u.ActiveState == "failed" {
		return fmt.Errorf("%s failed%s", f.name, a.log(ctx, f.name))
	}
	down := u.SubState == "auto-restart"
	if down && !f.down {
		f.falls++
	}
	f.down = down
	if f.falls > 1 {
		return fmt.Errorf("%s keeps dying%s", f.name, a.log(ctx, f.name))
	}
	return nil
}

// ready waits until the runtime says that it is, and a moment for its network: a kubelet that starts before that tells the
// API server "not ready", and next speaks to it ten seconds later. Where the network comes from a pod it comes later.
func (a *actor) ready(ctx context.Context) error {
	ref := a.want.Runtime
	if strings.HasSuffix(ref.Endpoint, "/dockershim.sock") {
		return nil // the kubelet itself will serve it
	}
	var watch []*faller
	for _, u := range a.want.Units {
		if u.Active && strings.HasSuffix(u.Name, ".service") {
			watch = append(watch, &faller{name: u.Name})
		}
	}
	last := errors.New("it was never asked")
	var since time.Duration // when it said so first
	done := func() (bool, error) {
		var network bool
		if network, last = a.ask(ctx, ref); last == nil {
			now := a.m.Clock.SinceBoot()
			since = cmp.Or(since, now)
			return network || now-since >= networkPatience, nil
		}
		for _, f := range watch {
			if err := f.look(ctx, a); err != nil {
				return false, err
			}
		}
		return false, nil
	}
	wait := func() error {
		return a.waitFor(ctx, readyTimeout, done, func() error {
			logs := ""
			for _, f := range watch {
				logs += a.log(ctx, f.name)
			}
			return fmt.Errorf("%s did not get ready at %s within %s: %w%s", ref.Name, ref.Endpoint, readyTimeout, last, logs)
		})
	}
	err := wait()
	if err == nil || ctx.Err() != nil || !a.clearSockets() {
		return err
	}
	// A daemon that isn't told when it binds fails only here.
	a.tell(v1alpha1.Progress{Step: "start runtime", Detail: "once more, as the way is clear now", Error: err.Error()})
	if err := a.restart(ctx); err != nil {
		return err
	}
	for _, f := range watch {
		*f = faller{name: f.name}
	}
	since = 0
	return wait()
}

// servesWithin is how long a runtime and a kubelet that are busy may take to answer.
const servesWithin = 15 * time.Second

// Serves returns an error unless the plan's new runtime and the kubelet answer now. A kubelet that can't be asked, as somebody else
// listens in its place, has to run on for a moment instead.
func Serves(ctx context.Context, m host.Machine, p *v1alpha1.Plan) error {
	a := &actor{m: m, plan: p, want: p.After}
	kubelet := &health{a: a}
	var last error
	done := func() (bool, error) {
		_, last = a.ask(ctx, p.After.Runtime)
		if last == nil {
			_, last = kubelet.look(ctx)
		}
		return last == nil, nil
	}
	return a.waitFor(ctx, servesWithin, done, func() error { return fmt.Errorf("%s doesn't serve: %w", p.After.Runtime.Name, last) })
}

// ask asks a runtime whether it is ready; network says whether its pod network is, too.
func (a *actor) ask(ctx context.Context, ref v1alpha1.RuntimeRef) (network bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := a.m.CRI.Dial(ctx, ref.Endpoint, ref.CRIVersion)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	info, err := conn.Info(ctx)
	if err != nil {
		return false, err
	}
	if !info.RuntimeReady {
		return false, errors.New("it says that it isn't ready")
	}
	return info.NetworkReady, nil
}
