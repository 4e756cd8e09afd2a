// Package converge is the one actor: it takes a machine to one of a plan's two photographs. Applying, rolling back and
// recovering are the same act with another photograph. It reaches the machine through host only.
package converge

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// The names of the steps as progress tells them. Others read the outage from these two.
const (
	StepStopKubelet  = "stop kubelet"
	StepStartKubelet = "start kubelet"
)

// warningStep is no step: its line tells what a person should know of a node that serves all the same.
const warningStep = "warning"

// The bounds of what converge waits for.
const (
	graceDefault    = 30 * time.Second // of a pod whose own isn't known
	dialTimeout     = 3 * time.Second
	callTimeout     = 20 * time.Second // one CRI call, grace not counted
	idleTimeout     = 5 * time.Second  // a network plugin's work
	endRounds       = 5                // of listing a runtime's pods and ending them
	goneTimeout     = 3 * time.Second  // shims end a moment after their sandbox
	releaseTimeout  = time.Minute      // all pods' networks, one after the other
	killTimeout     = 15 * time.Second // what SIGKILL takes, in D state perhaps forever
	stopTimeout     = 3 * time.Minute  // systemd's own patience with a daemon is less
	startTimeout    = 2 * time.Minute
	readyTimeout    = 90 * time.Second
	networkPatience = 1500 * time.Millisecond
	healthyTimeout  = 2 * time.Minute
	poll            = 25 * time.Millisecond

	// How long a step may take, its own bounds added up, until this process counts as hung.
	slack           = time.Minute
	filesLimit      = 2 * time.Minute
	stopLimit       = stopTimeout + slack
	evacuationLimit = 5 * time.Minute
)

// Options are what a pass is asked to do beside reaching its state.
type Options struct {
	// Report hears of every step's beginning and end; nil drops that.
	Report func(v1alpha1.Progress)
	// Stopping is called before the first runtime is stopped, and may refuse that; nil never does.
	Stopping func() error
	// KubeletStopped is called once the kubelet has stopped, before it is started again, with the way that the pass goes: the kubelet's own
	// records are only changed while none runs. nil does nothing.
	KubeletStopped func(forward bool) error
	// Around leaves alone what is neither before nor after, instead of stopping there: for a node that somebody else has changed
	// meanwhile, so that it serves until a person has decided.
	Around bool
}

// actor is one pass towards a state.
type actor struct {
	m        host.Machine
	plan     *v1alpha1.Plan
	want     v1alpha1.State
	blobs    func(sha string) ([]byte, error)
	opts     Options
	telling  sync.Mutex               // guards opts.Report and running
	running  map[string]time.Duration // when each step that is under way counts as hung, by the clock since boot
	contents map[string][]byte        // of want, by path
	ended    int                      // how many listeners at the kubelet's ports
	left     map[int]bool             // processes of pods that can't be killed, by PID
}

// To takes the machine to want, which is p.Before or p.After. It may be called in any state that an earlier call left,
// and always stops everything that the plan touches before it starts it again: a process that runs proves nothing about
// the configuration it would start with. A *NeitherError means that no file was written.
func To(ctx context.Context, m host.Machine, p *v1alpha1.Plan, want v1alpha1.State, blobs func(sha string) ([]byte, error), o Options) error {
	a := &actor{m: m, plan: p, want: want, blobs: blobs, opts: o}
	return a.pass(ctx)
}

// ErrStopped says that a runtime was stopped already, so that only To leads back.
var ErrStopped = errors.New("a runtime was stopped already")

// Retreat takes the machine back to p.Before from a pass to p.After that ended before it stopped a runtime: the files, systemd's
// view of them and the kubelet. The pods that live on are left alone, even where a process of theirs can't be killed. It returns
// ErrStopped, and has done nothing, where the units aren't those of p.Before.
func Retreat(ctx context.Context, m host.Machine, p *v1alpha1.Plan, blobs func(sha string) ([]byte, error), o Options) error {
	a := &actor{m: m, plan: p, want: p.Before, blobs: blobs, opts: o}
	for _, u := range p.Before.Units {
		is, err := m.Units.Show(ctx, u.Name)
		if err != nil {
			return fmt.Errorf("asking for %s: %w", u.Name, err)
		}
		if (is.ActiveState == "active") != u.Active {
			return ErrStopped
		}
	}
	return a.steps(ctx, []step{
		a.checkFiles(), a.stopKubelet(), a.writeFiles(), a.recordPulls(), a.reloadUnits(),
		{"remove ended pods", "", 2*callTimeout + slack, a.removeEnded},
		a.startKubelet(), a.waitKubelet(),
		{"end strays", "", filesLimit, a.endStrays},
	})
}

// step is one thing that a pass does, under the name that progress tells.
type step struct {
	name, detail string
	// limit is after how long the step hangs: everything in it that waits has a bound of its own below that.
	limit time.Duration
	do    func(context.Context) error
}

func (a *actor) checkFiles() step { return step{"check files", "", filesLimit, a.prepare} }

func (a *actor) stopKubelet() step {
	unit := a.plan.Kubelet.Unit
	return step{StepStopKubelet, unit, stopLimit, func(ctx context.Context) error { return a.stopUnits(ctx, unit) }}
}

// recordPulls has no name where there is nothing to do.
func (a *actor) recordPulls() step {
	if a.opts.KubeletStopped == nil {
		return step{}
	}
	return step{"update pull records", "", filesLimit, func(context.Context) error { return a.opts.KubeletStopped(a.forward()) }}
}

func (a *actor) writeFiles() step  { return step{"write files", "", filesLimit, a.write} }
func (a *actor) reloadUnits() step { return step{"reload systemd", "", filesLimit, a.reload} }

func (a *actor) startKubelet() step {
	unit := a.plan.Kubelet.Unit
	return step{StepStartKubelet, unit, 2*startTimeout + slack, a.beginKubelet}
}

func (a *actor) waitKubelet() step {
	return step{"wait for the kubelet", a.plan.Kubelet.Healthz, healthyTimeout + slack, a.healthy}
}

func (a *actor) pass(ctx context.Context) error {
	want := a.want
	first := []step{a.checkFiles(), a.stopKubelet()}                        // everything that can fail without an outage comes before it
	evacuation := []step{{"evacuate", "", a.evacuationLimit(), a.evacuate}} // through the CRI with grace, else by force
	beside := []step{a.writeFiles(), a.recordPulls(), a.reloadUnits()}
	last := []step{
		{"stop runtimes", "", 2*stopLimit + releaseTimeout, a.stopRuntimes}, // source and target, whatever they run with
		{"set kernel", "", filesLimit, a.kernel},                            // going forward only
		{"start runtime", string(want.Runtime.Name), startTimeout*time.Duration(len(want.Units)) + slack, a.startRuntimes},
		{"wait for the runtime", want.Runtime.Endpoint, 2*(readyTimeout+startTimeout) + slack, a.ready},
		a.startKubelet(), a.waitKubelet(),
	}
	if !a.forward() {
		// A disk that is full refuses while the node still serves, as often as it must be asked.
		first = []step{a.checkFiles(), a.writeFirst(), a.stopKubelet()}
		beside = beside[1:]
	}
	if err := a.steps(ctx, first); err != nil {
		return err
	}
	// While pods take their time to end: what runs has read its files long ago, and is stopped before anything starts.
	var writing error
	var work sync.WaitGroup
	work.Go(func() { writing = a.steps(ctx, beside) })
	ending := a.steps(ctx, evacuation)
	work.Wait()
	if err := errors.Join(ending, writing); err != nil {
		return err
	}
	return a.steps(ctx, last)
}

// writeFirst is writeFiles before anything is stopped. Where it fails halfway the other state's files come back as far as that
// goes, so that a kubelet that is started meanwhile finds those it ran with.
func (a *actor) writeFirst() step {
	s := a.writeFiles()
	s.do = func(ctx context.Context) error {
		err := a.write(ctx)
		if err == nil {
			return nil
		}
		other := &actor{m: a.m, plan: a.plan, want: a.plan.After, blobs: a.blobs, opts: Options{Around: a.opts.Around}}
		if back := errors.Join(other.prepare(ctx), other.write(ctx)); back != nil && ctx.Err() == nil {
			err = fmt.Errorf("%w; the files of %s could not be put back either: %w", err, a.plan.After.Runtime.Name, back)
		}
		return err
	}
	return s
}

// evacuationLimit is how long pods may take to end by the graces that they have, and by force after that.
func (a *actor) evacuationLimit() time.Duration {
	return 2*a.plan.Grace() + evacuationLimit
}

// steps does one after the other, until one fails.
func (a *actor) steps(ctx context.Context, list []step) error {
	for _, s := range list {
		if s.do == nil {
			continue
		}
		if err := a.step(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// step tells of a step's beginning and end.
func (a *actor) step(ctx context.Context, s step) error {
	a.beat(s.name, s.limit)
	defer a.beat(s.name, 0)
	a.tell(v1alpha1.Progress{Step: s.name, Detail: s.detail})
	began := a.m.Clock.SinceBoot()
	err := s.do(ctx)
	line := v1alpha1.Progress{Step: s.name, Detail: s.detail, Took: max(a.m.Clock.SinceBoot()-began, time.Nanosecond)}
	if err != nil {
		line.Error = err.Error()
	}
	a.tell(line)
	return err
}

// beat tells PID 1 how long this process may be silent now that a step has begun or, with a limit of 0, ended: as long as the
// longest of those under way.
func (a *actor) beat(name string, limit time.Duration) {
	a.telling.Lock()
	defer a.telling.Unlock()
	now := a.m.Clock.SinceBoot()
	if a.running == nil {
		a.running = map[string]time.Duration{}
	}
	if a.running[name] = now + limit; limit == 0 {
		delete(a.running, name)
	}
	longest := slack
	for _, end := range a.running {
		longest = max(longest, end-now)
	}
	a.m.Units.Beat(longest)
}

func (a *actor) tell(p v1alpha1.Progress) {
	a.telling.Lock()
	defer a.telling.Unlock()
	if a.opts.Report != nil {
		a.opts.Report(p)
	}
}

// forward reports whether this is the way to After.
func (a *actor) forward() bool { return reflect.DeepEqual(a.want, a.plan.After) }

// kernel loads modules and sets parameters. Nothing is ever unset: others may rely on it by now.
func (a *actor) kernel(ctx context.Context) error {
	if !a.forward() {
		return nil
	}
	for _, name := range a.plan.Modules {
		if err := a.m.Kernel.LoadModule(ctx, name); err != nil {
			return fmt.Errorf("loading the kernel module %s: %w", name, err)
		}
	}
	for _, s := range a.plan.Sysctls {
		now, err := a.m.Kernel.Sysctl(s.Name)
		if err == nil && now == s.Value {
			continue
		}
		if err := a.m.Kernel.SetSysctl(s.Name, s.Value); err != nil {
			return fmt.Errorf("setting %s to %s: %w", s.Name, s.Value, err)
		}
	}
	return nil
}

// waitFor polls until done says so, an error comes, or the time is over; then it returns late's error.
func (a *actor) waitFor(ctx context.Context, limit time.Duration, done func() (bool, error), late func() error) error {
	end := a.m.Clock.SinceBoot() + limit
	for {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		if a.m.Clock.SinceBoot() >= end {
			return late()
		}
		if err := a.m.Clock.Sleep(ctx, poll); err != nil {
			return err
		}
	}
}
