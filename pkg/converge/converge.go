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

// The bounds of what converge waits for.
const (
	graceDefault    = 30 * time.Second // a pod's own grace, at most
	dialTimeout     = 3 * time.Second
	callTimeout     = 20 * time.Second // one CRI call, grace not counted
	idleTimeout     = 5 * time.Second  // a network plugin's work
	endRounds       = 5                // of listing a runtime's pods and ending them
	goneTimeout     = 3 * time.Second  // shims end a moment after their sandbox
	releaseTimeout  = time.Minute      // all pods' networks, one after the other
	killTimeout     = 15 * time.Second // what SIGKILL takes, in D state perhaps for ever
	stopTimeout     = 3 * time.Minute  // systemd's own patience with a daemon is less
	startTimeout    = 2 * time.Minute
	readyTimeout    = 90 * time.Second
	networkPatience = 1500 * time.Millisecond
	healthyTimeout  = 2 * time.Minute
	poll            = 25 * time.Millisecond
)

// actor is one pass towards a photograph.
type actor struct {
	m        host.Machine
	plan     *v1alpha1.Plan
	want     v1alpha1.State
	blobs    func(sha string) ([]byte, error)
	telling  sync.Mutex // guards report
	report   func(v1alpha1.Progress)
	contents map[string][]byte // of want, by path
	// around leaves alone what is neither before nor after, instead of stopping there.
	around bool
}

// To takes the machine to want, which is p.Before or p.After. It may be called in any state that an earlier call left,
// and always stops everything that the plan touches before it starts it again: a process that runs proves nothing about
// the configuration it would start with. A *NeitherError means that no file was written.
func To(ctx context.Context, m host.Machine, p *v1alpha1.Plan, want v1alpha1.State, blobs func(sha string) ([]byte, error),
	report func(v1alpha1.Progress),
) error {
	a := &actor{m: m, plan: p, want: want, blobs: blobs, report: report}
	return a.pass(ctx)
}

// Around is To for a node that somebody else has changed meanwhile: what is neither before nor after stays as it is, and
// everything else comes to want, so that the node may serve until a person has decided.
func Around(ctx context.Context, m host.Machine, p *v1alpha1.Plan, want v1alpha1.State, blobs func(sha string) ([]byte, error),
	report func(v1alpha1.Progress),
) error {
	a := &actor{m: m, plan: p, want: want, blobs: blobs, report: report, around: true}
	return a.pass(ctx)
}

// step is one thing that a pass does, under the name that progress tells.
type step struct {
	name, detail string
	do           func(context.Context) error
}

func (a *actor) pass(ctx context.Context) error {
	p, want, kubelet := a.plan, a.want, a.plan.Kubelet.Unit
	first := []step{
		{"check files", "", a.prepare}, // everything that can fail without an outage
		{StepStopKubelet, kubelet, func(ctx context.Context) error { return a.stopUnits(ctx, kubelet) }},
	}
	evacuation := []step{{"evacuate", "", a.evacuate}} // through the CRI with grace, else by force
	files := []step{{"write files", "", a.write}, {"reload systemd", "", a.reload}}
	last := []step{
		{"stop runtimes", "", a.stopRuntimes}, // the old one and the new one, whatever they run with
		{"set kernel", "", a.kernel},          // going forward only
		{"start runtime", string(want.Runtime.Name), a.startRuntimes},
		{"wait for the runtime", want.Runtime.Endpoint, a.ready},
		{StepStartKubelet, kubelet, func(ctx context.Context) error { return a.start(ctx, kubelet) }},
		{"wait for the kubelet", p.Kubelet.Healthz, a.healthy},
	}
	if err := a.steps(ctx, first); err != nil {
		return err
	}
	// While pods take their time to end: what runs has read its files long ago, and is stopped before anything starts.
	var writing error
	var work sync.WaitGroup
	work.Go(func() { writing = a.steps(ctx, files) })
	ending := a.steps(ctx, evacuation)
	work.Wait()
	if err := errors.Join(ending, writing); err != nil {
		return err
	}
	return a.steps(ctx, last)
}

// steps does one after the other, until one fails.
func (a *actor) steps(ctx context.Context, list []step) error {
	for _, s := range list {
		if err := a.step(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// step tells of a step's beginning and end.
func (a *actor) step(ctx context.Context, s step) error {
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

func (a *actor) tell(p v1alpha1.Progress) {
	a.telling.Lock()
	defer a.telling.Unlock()
	if a.report != nil {
		a.report(p)
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
