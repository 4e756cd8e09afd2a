package converge

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

const (
	// steadyFor is how long a kubelet that can't be asked for its health has to run: one that doesn't get on ends within seconds.
	steadyFor = 10 * time.Second
	// lookEvery is how often a kubelet that can't be asked is looked at, and who is in its way: that costs more than to ask.
	lookEvery = time.Second
	// toldListeners is how many of those that were ended are told: somebody may start them again and again.
	toldListeners = 5
)

// HealthError says that the units are active, that the runtime is ready and the kubelet connected to it, and that only the kubelet's
// health check failed. Nothing that ends pods mends that.
type HealthError struct {
	Runtime v1alpha1.RuntimeName
	Err     error
}

// Error implements error.
func (e *HealthError) Error() string { return e.Err.Error() }

// Unwrap returns what the health check said.
func (e *HealthError) Unwrap() error { return e.Err }

// health asks the kubelet whether it is well. Any user may listen at its ports while it is stopped, and then it can't be asked: it
// is judged by what no user can forge.
type health struct {
	a        *actor
	stranger error         // who was seen in the kubelet's place
	seen     time.Duration // when
	pid      int           // of the kubelet
	since    time.Duration // when it was seen first
	next     time.Duration // when it is looked at again
	last     error         // what was seen then
}

// look returns an error unless the kubelet is well. warning says why it was judged without being asked.
func (h *health) look(ctx context.Context) (warning string, err error) {
	err = h.a.m.HTTP.Healthz(ctx, h.a.plan.Kubelet.Healthz)
	if err == nil {
		return "", nil
	}
	now := h.a.m.Clock.SinceBoot()
	if stranger := new(host.StrangerError); errors.As(err, &stranger) {
		h.stranger, h.seen = err, now
	}
	if h.stranger == nil || now-h.seen > steadyFor {
		*h = health{a: h.a} // whoever it was is gone: the kubelet can speak for itself
		return "", fmt.Errorf("the kubelet doesn't answer at %s", h.a.plan.Kubelet.Healthz)
	}
	if h.last == nil || now >= h.next {
		h.next = now + lookEvery
		h.last = h.steady(ctx, now)
	}
	if h.last != nil {
		return "", fmt.Errorf("%w; %w", h.stranger, h.last)
	}
	return fmt.Sprintf("the kubelet could not be asked for its health: %s; it has run for %s as process %d and is connected to %s",
		h.stranger, (now - h.since).Round(time.Second), h.pid, h.a.want.Runtime.Name), nil
}

// steady returns an error unless the kubelet's unit has been active with the same process for a while, and that process has a
// connection to the runtime.
func (h *health) steady(ctx context.Context, now time.Duration) error {
	name := h.a.plan.Kubelet.Unit
	u, err := h.a.m.Units.Show(ctx, name)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", name, err)
	}
	if u.ActiveState != "active" || u.MainPID == 0 {
		h.pid = 0
		return fmt.Errorf("%s is %s (%s)", name, u.ActiveState, u.SubState)
	}
	if u.MainPID != h.pid {
		h.pid, h.since = u.MainPID, now
	}
	if now-h.since < steadyFor {
		return fmt.Errorf("%s has not run for %s as yet", name, steadyFor)
	}
	return h.a.connected(ctx, h.pid)
}

// connected returns an error unless a process of the kubelet's unit has a connection to the runtime.
func (a *actor) connected(ctx context.Context, pid int) error {
	ref := a.want.Runtime
	socket, _ := strings.CutPrefix(ref.Endpoint, "unix://")
	if strings.HasSuffix(socket, "/dockershim.sock") {
		socket = "/var/run/docker.sock" // the kubelet serves the other one itself
	}
	clients, err := a.m.Clients.Unix(ctx, []string{socket})
	if slices.ContainsFunc(clients, func(c v1alpha1.Client) bool {
		return c.Process.PID == pid || c.Process.Unit == a.plan.Kubelet.Unit
	}) {
		return nil
	}
	return errors.Join(fmt.Errorf("the kubelet has no connection to %s at %s", ref.Name, socket), err)
}

// endListeners ends the processes of users that listen at the kubelet's ports, and reports whether there were any: they can do so
// only because the kubelet was stopped, and it doesn't start where they are. What can't be ended is told: the start says whether it
// matters.
func (a *actor) endListeners(ctx context.Context) (ended bool) {
	for _, at := range kubeletAddresses(a.plan) {
		found, err := a.m.Procs.EndListeners(ctx, at)
		for _, l := range found {
			if a.ended++; a.ended <= toldListeners {
				a.tell(v1alpha1.Progress{Step: warningStep, Detail: fmt.Sprintf("ended %s, who had taken the kubelet's place while it was stopped", l)})
			}
		}
		if err != nil && ctx.Err() == nil {
			a.tell(v1alpha1.Progress{Step: "clear ports", Detail: fmt.Sprintf("%s may not be free for the kubelet", at), Error: err.Error()})
		}
		ended = ended || len(found) > 0
	}
	return ended
}

// kubeletAddress is where a kubelet serves that isn't told another address.
const kubeletAddress = "0.0.0.0:10250"

// kubeletAddresses are where the kubelet listens, that of its health check first.
func kubeletAddresses(p *v1alpha1.Plan) []netip.AddrPort {
	var names []string
	if u, err := url.Parse(p.Kubelet.Healthz); err == nil {
		names = append(names, strings.Replace(u.Host, "localhost", "127.0.0.1", 1))
	}
	if names = append(names, p.Kubelet.Listens...); len(p.Kubelet.Listens) == 0 {
		names = append(names, kubeletAddress)
	}
	var out []netip.AddrPort
	for _, name := range names {
		if at, err := netip.ParseAddrPort(name); err == nil {
			out = append(out, at)
		}
	}
	return out
}

// beginKubelet starts the kubelet where nobody is in its place, and once more where somebody came meanwhile.
func (a *actor) beginKubelet(ctx context.Context) error {
	a.endListeners(ctx)
	err := a.start(ctx, a.plan.Kubelet.Unit)
	if err == nil || !a.endListeners(ctx) {
		return err
	}
	a.tell(v1alpha1.Progress{Step: StepStartKubelet, Detail: "once more, as its ports are free now", Error: err.Error()})
	if err := a.m.Units.Forgive(ctx, a.plan.Kubelet.Unit); err != nil {
		return err
	}
	return a.start(ctx, a.plan.Kubelet.Unit)
}

// healthy waits for the kubelet's own word, or until it has proved itself without one. That the node is Ready is for others to prove.
func (a *actor) healthy(ctx context.Context) error {
	watch := &faller{name: a.plan.Kubelet.Unit}
	began := a.m.Clock.SinceBoot()
	h := &health{a: a}
	var last error
	var swept time.Duration
	done := func() (bool, error) {
		var warning string
		if warning, last = h.look(ctx); last == nil {
			if warning != "" {
				a.tell(v1alpha1.Progress{Step: warningStep, Detail: warning})
			}
			return true, nil
		}
		if now := a.m.Clock.SinceBoot(); now >= swept {
			swept = now + lookEvery
			if a.endListeners(ctx) {
				watch.falls = 0 // it fell over them
			}
		}
		return false, watch.look(ctx, a)
	}
	return a.waitFor(ctx, healthyTimeout, done, func() error {
		waited := (a.m.Clock.SinceBoot() - began).Round(time.Second)
		late := fmt.Errorf("the kubelet did not answer at %s within %s%s", a.plan.Kubelet.Healthz, waited, a.log(ctx, watch.name))
		if h.stranger != nil {
			late = fmt.Errorf("the kubelet could not be asked for its health within %s: %w", waited, last)
		}
		if a.unasked(ctx) {
			return &HealthError{Runtime: a.want.Runtime.Name, Err: late}
		}
		return late
	})
}

// unasked reports whether all serves as it should but for the kubelet's health check: its unit and those of the state are active,
// the runtime is ready, and the kubelet uses it.
func (a *actor) unasked(ctx context.Context) bool {
	kubelet, err := a.m.Units.Show(ctx, a.plan.Kubelet.Unit)
	if err != nil || kubelet.ActiveState != "active" || a.connected(ctx, kubelet.MainPID) != nil {
		return false
	}
	for _, u := range a.want.Units {
		if is, err := a.m.Units.Show(ctx, u.Name); u.Active && (err != nil || is.ActiveState != "active") {
			return false
		}
	}
	if strings.HasSuffix(a.want.Runtime.Endpoint, "/dockershim.sock") {
		return true // the kubelet itself serves it
	}
	_, err = a.ask(ctx, a.want.Runtime)
	return err == nil
}

// Await waits for the kubelet of a state that an earlier call has reached all but for its health, and stops nothing.
func Await(ctx context.Context, m host.Machine, p *v1alpha1.Plan, want v1alpha1.State, o Options) error {
	a := &actor{m: m, plan: p, want: want, opts: o}
	return a.steps(ctx, []step{a.waitKubelet()})
}
