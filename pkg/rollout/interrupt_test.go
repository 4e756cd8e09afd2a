package rollout

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// moments counts everything that a run asks of the node and of the API server, and calls f at the one of that number.
type moments struct {
	mu    sync.Mutex
	count int
	at    int
	f     func()
}

func (c *moments) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	if c.count == c.at {
		c.f()
	}
}

func (c *moments) watch(m *machine) {
	m.before = func(v1alpha1.Verb) error { c.tick(); return nil }
	m.after = func(v1alpha1.Verb) error { c.tick(); return nil }
	m.onRequest(func(string) error { c.tick(); return nil })
}

// TestInterruptAnywhere interrupts a switch at every request to the node, before and after it has its effect, and at
// every request to the API server.
func TestInterruptAnywhere(t *testing.T) {
	all := &moments{}
	m := newMachine(t)
	all.watch(m)
	if r, err := switchOne(t.Context(), m.engine(Options{}, nil)); err != nil || r.Outcome != Switched {
		t.Fatalf("got %+v, %v", r, err)
	}
	for at := 1; at <= all.count; at++ {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			m := newMachine(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			(&moments{at: at, f: cancel}).watch(m)
			r, err := switchOne(ctx, m.engine(Options{}, nil))
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("preparing or closing: %v", err)
			}
			m.nothingLeft(t, false)
			if r.Node == "" {
				return // interrupted while preparing
			}
			switch confirmed := m.run != nil && m.run.Phase == v1alpha1.PhaseConfirmed; {
			case confirmed && r.Outcome != Switched:
				t.Errorf("the node was switched, the result is %s: %v", r.Outcome, r.Err)
			case !confirmed && r.Outcome != Interrupted:
				t.Errorf("the node wasn't switched, the result is %s: %v", r.Outcome, r.Err)
			case !confirmed && !errors.Is(r.Err, ErrInterrupted):
				t.Errorf("the reason is %v", r.Err)
			}
		})
	}
}

// TestInterruptWhileStagingBegins interrupts while the node hasn't answered the question that begins the run: cut off, it
// would begin behind our back.
func TestInterruptWhileStagingBegins(t *testing.T) {
	m := newMachine(t)
	m.slow = 200 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m.before = func(v v1alpha1.Verb) error {
		if v == v1alpha1.VerbStage {
			time.AfterFunc(m.slow/4, cancel)
		}
		return nil
	}
	r, err := switchOne(ctx, m.engine(Options{}, nil))
	if err != nil || r.Outcome != Interrupted {
		t.Errorf("got %s: %v, %v", r.Outcome, r.Err, err)
	}
	if m.run == nil {
		t.Error("the question never had its effect: this shows nothing")
	}
	m.nothingLeft(t, false)
}

// TestLostAnswers loses the answer of every call to the agent in turn. hostpod asks again after that; here the question
// comes twice, its first effect done.
func TestLostAnswers(t *testing.T) {
	all := &moments{}
	m := newMachine(t)
	m.after = func(v1alpha1.Verb) error { all.tick(); return nil }
	if _, err := switchOne(t.Context(), m.engine(Options{}, nil)); err != nil {
		t.Fatal(err)
	}
	for at := 1; at <= all.count; at++ {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			m := newMachine(t)
			m.twice = at
			r, err := switchOne(t.Context(), m.engine(Options{}, nil))
			if err != nil || r.Outcome != Switched || r.Err != nil {
				t.Errorf("got %s: %v, %v", r.Outcome, r.Err, err)
			}
			m.nothingLeft(t, false)
		})
	}
}

// TestAbortAnywhere ends everything at once at every moment. Nobody can promise then that nothing is left, but it must
// end soon, and a node that went on must be able to go back alone.
func TestAbortAnywhere(t *testing.T) {
	all := &moments{}
	m := newMachine(t)
	all.watch(m)
	if _, err := switchOne(t.Context(), m.engine(Options{}, nil)); err != nil {
		t.Fatal(err)
	}
	for at := 1; at <= all.count; at++ {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			m := newMachine(t)
			abort := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			(&moments{at: at, f: func() { cancel(); close(abort) }}).watch(m)
			began := time.Now()
			r, _ := switchOne(ctx, m.engine(Options{Abort: abort}, nil))
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %s to end", took)
			}
			if m.pods != 0 {
				t.Error("the pod wasn't deleted")
			}
			if m.run == nil || !m.run.Phase.Open() || m.run.Phase == v1alpha1.PhaseStaging || m.run.Phase == v1alpha1.PhaseStaged {
				return
			}
			if !m.run.Restore.Uncordon {
				t.Error("the node would stay cordoned after going back alone")
			}
			if r.Node != "" && r.Next == "" {
				t.Errorf("no next command: %+v", r)
			}
		})
	}
}

// TestResume kills a run's plugin at every moment — nothing of it is executed any more — and runs the same command
// again: it must end as if nothing had happened, once the first one's Lease has ended.
func TestResume(t *testing.T) {
	for _, phase := range []v1alpha1.Phase{v1alpha1.PhaseStaging, v1alpha1.PhaseStaged, v1alpha1.PhaseApplying, v1alpha1.PhaseApplied, v1alpha1.PhaseRollingBack} {
		t.Run(string(phase), func(t *testing.T) {
			m := newMachine(t)
			// The first plugin cordoned the node, wrote that down for the node, and died.
			p, err := m.engine(Options{}, nil).Prepare(t.Context(), worker, v1alpha1.CRIO)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			node := m.node()
			node.Spec.Unschedulable = true
			m.api.Put("nodes", node)
			m.plan = p.Plan()
			m.run = &v1alpha1.Run{
				ID: p.run, From: v1alpha1.Docker, To: v1alpha1.CRIO, Phase: phase, By: "bob@desk",
				Restore: v1alpha1.APIRestore{Uncordon: true}, DeadlineIn: m.deadline,
			}
			want := Switched
			switch phase {
			case v1alpha1.PhaseApplied:
				m.change(crio)
			case v1alpha1.PhaseRollingBack:
				m.rolling = true
				want = RolledBack
			}
			r, err := switchOne(t.Context(), m.engine(Options{}, nil))
			if err != nil || r.Outcome != want {
				t.Errorf("got %s: %v, %v", r.Outcome, r.Err, err)
			}
			m.nothingLeft(t, false)
		})
	}
}
