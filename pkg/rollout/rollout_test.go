package rollout

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
)

// switchOne is what the command does with one node.
func switchOne(ctx context.Context, e *Engine) (Result, error) {
	p, err := e.Prepare(ctx, worker, v1alpha1.CRIO)
	if err != nil {
		return Result{}, err
	}
	r := p.Execute(ctx)
	return r, p.Close(ctx)
}

func TestSwitch(t *testing.T) {
	m := newMachine(t)
	var events []Event
	r, err := switchOne(t.Context(), m.engine(Options{}, &events))
	if err != nil || r.Outcome != Switched || r.Err != nil {
		t.Fatalf("got %+v, %v", r, err)
	}
	m.nothingLeft(t, false)
	want := []v1alpha1.WantedImage{
		{Ref: "registry.k8s.io/pause:3.10", Required: true, For: "the pod that proves the switch"},
		{Ref: "registry.example/broken:1", For: "kube-system/broken"},
		{Ref: "registry.example/kube-proxy:1", Required: true, For: "kube-system/proxy"},
	}
	if diff := cmp.Diff(want, m.wanted); diff != "" {
		t.Errorf("images, -want +got:\n%s", diff)
	}
	var node corev1.Node
	m.api.Get("nodes", "", worker, &node)
	if last := cluster.LastRun(&node); last == nil || last.Phase != v1alpha1.PhaseConfirmed || last.By != "ana@laptop" || last.Run != r.Run {
		t.Errorf("last run: %+v", last)
	}
	if names := m.api.Names("events"); len(names) != 2 {
		t.Errorf("Events: %v, want two", names)
	}
	steps := map[int]bool{}
	for _, e := range events {
		steps[e.Step] = true
	}
	for step := stepReach; step <= stepEnd; step++ {
		if step != stepCheck && !steps[step] {
			t.Errorf("nothing was told of step %d", step)
		}
	}
	// What one node costs the API server, its pods left out. The review of rights comes once, however many nodes.
	// Evictions and the watch for their end run side by side, so their number may differ by one.
	var reviews, others int
	for _, what := range m.api.Requests() {
		if strings.HasSuffix(what, "selfsubjectaccessreviews") {
			reviews++
		} else {
			others++
		}
	}
	if reviews != 25 || others < 31 || others > 33 {
		t.Errorf("%d reviews and %d other requests, want 25 and about 32:\n%s", reviews, others, strings.Join(m.api.Requests(), "\n"))
	}
}

// TestCanaryUnderTheOldRuntime: what the old runtime can't start is no reason to keep it, but is told.
func TestCanaryUnderTheOldRuntime(t *testing.T) {
	m := newMachine(t)
	m.unstarted = true
	var events []Event
	r, err := switchOne(t.Context(), m.engine(Options{}, &events))
	if err != nil || r.Outcome != Switched {
		t.Errorf("%+v, %v", r, err)
	}
	if !slices.ContainsFunc(events, func(e Event) bool { return e.Warning && strings.Contains(e.Text, "which it has now: the canary pod") }) {
		t.Error("nobody was told")
	}
	m.nothingLeft(t, false)
}

// TestCanaryWhoseTimeIsOver: staging or the drain took longer than a canary lives, or it took until the proof.
func TestCanaryWhoseTimeIsOver(t *testing.T) {
	for outlived := 1; outlived <= 3; outlived++ {
		m := newMachine(t)
		m.outlived = outlived
		var events []Event
		r, err := switchOne(t.Context(), m.engine(Options{}, &events))
		if err != nil || r.Outcome != Switched || m.canaries != outlived+1 {
			t.Errorf("%d: %+v, %v, after %d canaries", outlived, r, err, m.canaries)
		}
		told := slices.ContainsFunc(events, func(e Event) bool { return e.Warning })
		if told != (outlived > 1) {
			t.Errorf("%d: warned: %v", outlived, told)
		}
		m.nothingLeft(t, false)
	}
}

// TestNodeKnowsOurPods: from the run's first moment on the node can delete our pods itself when nobody does.
func TestNodeKnowsOurPods(t *testing.T) {
	m := newMachine(t)
	want := []v1alpha1.PodRef{
		{Namespace: "kube-system", Name: "kubectl-runtime-x", UID: "pod-0"},
		{Namespace: "kube-system", Name: "kubectl-runtime-x-canary", UID: "canary-1"},
	}
	seen := 0
	m.after = func(v1alpha1.Verb) error {
		if m.run == nil {
			return nil
		}
		seen++
		if diff := cmp.Diff(want, m.run.Restore.Pods); diff != "" {
			t.Errorf("%s, -want +got:\n%s", m.run.Phase, diff)
		}
		return nil
	}
	if r, err := switchOne(t.Context(), m.engine(Options{}, nil)); err != nil || r.Outcome != Switched || seen == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestCanaryThatIsBarred ends a run before anything is staged: it could not be proved.
func TestCanaryThatIsBarred(t *testing.T) {
	m := newMachine(t)
	m.barred = true
	r, err := switchOne(t.Context(), m.engine(Options{}, nil))
	if err != nil || r.Outcome != Refused || !strings.Contains(r.Err.Error(), "exceeded quota") || slices.Contains(m.verbs, v1alpha1.VerbStage) {
		t.Errorf("%+v, %v, after %v", r, err, m.verbs)
	}
	m.nothingLeft(t, false)
}

func TestNodeThatWasCordonedStaysCordoned(t *testing.T) {
	m := newMachine(t)
	node := m.node()
	node.Spec.Unschedulable = true
	m.api.Put("nodes", node)
	r, err := switchOne(t.Context(), m.engine(Options{}, nil))
	if err != nil || r.Outcome != Switched {
		t.Fatalf("got %+v, %v", r, err)
	}
	m.nothingLeft(t, true)
	if m.run.Restore.Uncordon {
		t.Error("the node would uncordon itself after going back")
	}
}

func TestFailures(t *testing.T) {
	tests := map[string]struct {
		set     func(*machine)
		outcome Outcome
		err     string
		state   string
		next    string
	}{
		"staging fails": {
			set: func(m *machine) { m.stageFails = "the image x is nowhere" }, outcome: Refused,
			err: "the image x is nowhere", state: "nothing that serves was changed: docker 28.5.2, Ready, schedulable",
		},
		"the node changed since": {
			set: func(m *machine) { m.stale = true }, outcome: Refused,
			err: "/etc/crictl.yaml changed", state: "nothing that serves was changed: docker 28.5.2, Ready, schedulable",
		},
		"applying fails": {
			set: func(m *machine) { m.applyFails = "cri-o didn't answer" }, outcome: RolledBack,
			err: "cri-o didn't answer", state: "rolled back: docker 28.5.2, Ready, schedulable", next: "kubectl runtime status worker-1 --deep",
		},
		"not proved": {
			set: func(m *machine) { m.unproved, m.deadline = true, proofMargin+100*time.Millisecond }, outcome: RolledBack,
			err: "didn't prove itself", state: "rolled back: docker 28.5.2, Ready, schedulable", next: "kubectl runtime status worker-1 --deep",
		},
		"the deadline is faster than the confirmation": {
			set: func(m *machine) {
				m.before = func(v v1alpha1.Verb) error {
					if v == v1alpha1.VerbConfirm {
						m.goBack("no confirmation came")
					}
					return nil
				}
			},
			outcome: RolledBack, err: "no confirmation came", state: "rolled back: docker 28.5.2, Ready, schedulable", next: "kubectl runtime status worker-1 --deep",
		},
		"drain is forbidden to move a pod": {
			set: func(m *machine) {
				m.api.Put("pods", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "bare"}, Spec: corev1.PodSpec{NodeName: worker}})
			},
			outcome: Refused, err: "--force", state: "nothing that serves was changed: docker 28.5.2, Ready, schedulable",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			tt.set(m)
			r, err := switchOne(t.Context(), m.engine(Options{}, nil))
			if err != nil {
				t.Fatal(err)
			}
			if r.Outcome != tt.outcome || r.Err == nil || !strings.Contains(r.Err.Error(), tt.err) || r.State != tt.state || r.Next != tt.next {
				t.Errorf("got %s: %v\nstate: %s\nnext: %s", r.Outcome, r.Err, r.State, r.Next)
			}
			m.nothingLeft(t, false)
		})
	}
}

func TestStuckStaysAsItIs(t *testing.T) {
	m := newMachine(t)
	m.stuck = true
	r, err := switchOne(t.Context(), m.engine(Options{}, nil))
	if err != nil || r.Outcome != Stuck || !strings.Contains(r.Err.Error(), "somebody else") {
		t.Fatalf("got %+v, %v", r, err)
	}
	if !m.node().Spec.Unschedulable {
		t.Error("a stuck node takes pods")
	}
	if m.pods != 0 {
		t.Error("a pod is left")
	}
	if !strings.HasPrefix(r.Next, "kubectl runtime rollback worker-1") {
		t.Errorf("next: %s", r.Next)
	}

	// A person has looked: rolling back closes the run and takes the cordon back, which its record knows of.
	p, err := m.engine(Options{}, nil).PrepareRollback(t.Context(), worker, "")
	if err != nil {
		t.Fatal(err)
	}
	if p.Resumes() == nil {
		t.Fatal("the stuck run wasn't found")
	}
	if r = p.Execute(t.Context()); r.Outcome != RolledBack || r.Err != nil {
		t.Errorf("got %s: %v", r.Outcome, r.Err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	m.nothingLeft(t, false)
}

func TestDryRunStagesAndRemoves(t *testing.T) {
	m := newMachine(t)
	p, err := m.engine(Options{}, nil).Prepare(t.Context(), worker, v1alpha1.CRIO)
	if err != nil {
		t.Fatal(err)
	}
	if r := p.Validate(t.Context()); r.Outcome != Validated || r.Err != nil {
		t.Errorf("got %+v", r)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	m.nothingLeft(t, false)
	if m.run.Phase != v1alpha1.PhaseRemoved {
		t.Errorf("the staged run is %s", m.run.Phase)
	}
}

func TestNothingToDo(t *testing.T) {
	m := newMachine(t)
	e := m.engine(Options{}, nil)
	if _, err := switchOne(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	r, err := switchOne(t.Context(), e)
	if err != nil || r.Outcome != NothingToDo {
		t.Errorf("got %+v, %v", r, err)
	}
	m.nothingLeft(t, false)
}

func TestAnotherOperator(t *testing.T) {
	t.Run("who works on the node", func(t *testing.T) {
		m := newMachine(t)
		p, err := m.engine(Options{}, nil).Prepare(t.Context(), worker, v1alpha1.CRIO)
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.engine(Options{}, nil).Prepare(t.Context(), worker, v1alpha1.CRIO)
		if locked, ok := errors.AsType[*cluster.LockedError](err); !ok || !strings.HasPrefix(locked.Holder, "ana@laptop/r-") {
			t.Errorf("got %v", err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		m.nothingLeft(t, false)
	})
	t.Run("a run for another runtime is open", func(t *testing.T) {
		m := newMachine(t)
		m.run = &v1alpha1.Run{ID: "r-00000001", From: v1alpha1.Docker, To: v1alpha1.Containerd, Phase: v1alpha1.PhaseApplied, By: "bob@desk"}
		_, err := m.engine(Options{}, nil).Prepare(t.Context(), worker, v1alpha1.CRIO)
		if busy, ok := errors.AsType[*BusyError](err); !ok || busy.Run.By != "bob@desk" {
			t.Errorf("got %v", err)
		}
		m.run = nil
		m.nothingLeft(t, false)
	})
	t.Run("the journal is faster", func(t *testing.T) {
		m := newMachine(t)
		p, err := m.engine(Options{}, nil).Prepare(t.Context(), worker, v1alpha1.CRIO)
		if err != nil {
			t.Fatal(err)
		}
		m.run = &v1alpha1.Run{ID: "r-00000001", Phase: v1alpha1.PhaseStaging, By: "bob@desk"}
		r := p.Execute(t.Context())
		if busy, ok := errors.AsType[*BusyError](r.Err); r.Outcome != Refused || !ok || busy.Run.By != "bob@desk" {
			t.Errorf("got %s: %v", r.Outcome, r.Err)
		}
		if m.run.Phase != v1alpha1.PhaseStaging {
			t.Error("the other's run was touched")
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestMissingRights(t *testing.T) {
	m := newMachine(t)
	m.api.Deny("create pods/exec")
	m.api.Deny("patch nodes")
	_, err := m.engine(Options{}, nil).Prepare(t.Context(), worker, v1alpha1.CRIO)
	denied, ok := errors.AsType[*cluster.DeniedError](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	want := []cluster.Right{{Verb: "create", Resource: "pods/exec", Namespace: "kube-system"}, {Verb: "patch", Resource: "nodes"}}
	if diff := cmp.Diff(want, denied.Missing); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	m.nothingLeft(t, false)
}

func TestRolloutStopsAtTheFirstFailure(t *testing.T) {
	m := newMachine(t)
	m.applyFails = "cri-o didn't answer"
	e := m.engine(Options{}, nil)
	results, err := e.Rollout(t.Context(), []string{worker, "worker-2"},
		func(ctx context.Context, node string) (*Prepared, error) { return e.Prepare(ctx, node, v1alpha1.CRIO) },
		func(context.Context, *Prepared) (bool, error) { return true, nil })
	if len(results) != 1 || results[0].Outcome != RolledBack || !errors.Is(err, ErrStopped) {
		t.Errorf("got %+v, %v", results, err)
	}
	m.nothingLeft(t, false)
}
