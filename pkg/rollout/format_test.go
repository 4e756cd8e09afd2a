package rollout

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestOpenRunOfAnotherAgent: who was upgraded meanwhile sees a run to its end with the agent that began it, and brings his own
// once that run is over.
func TestOpenRunOfAnotherAgent(t *testing.T) {
	for name, c := range map[string]struct {
		phase   v1alpha1.Phase
		agent   string
		verbs   []v1alpha1.Verb // up to the plan
		brought int
		outcome Outcome
	}{
		"staged by another": {
			v1alpha1.PhaseStaged, "theirs", []v1alpha1.Verb{v1alpha1.VerbGather, v1alpha1.VerbDiscard, v1alpha1.VerbGather}, 1, Switched,
		},
		"staged by ours": {
			v1alpha1.PhaseStaged, "abc", []v1alpha1.Verb{v1alpha1.VerbGather, v1alpha1.VerbDiscard, v1alpha1.VerbGather}, 0, Switched,
		},
		"applied by another": {v1alpha1.PhaseApplied, "theirs", []v1alpha1.Verb{v1alpha1.VerbGather, v1alpha1.VerbShow}, 0, Switched},
		"rolled back by another": {
			v1alpha1.PhaseRollingBack, "theirs", []v1alpha1.Verb{v1alpha1.VerbGather, v1alpha1.VerbShow}, 0, RolledBack,
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.rolling = true
			m.run = &v1alpha1.Run{
				APIVersion: v1alpha1.APIVersionAlpha1, ID: "r-00000001", From: v1alpha1.Docker, To: v1alpha1.CRIO, Phase: c.phase, By: "bob@desk",
				Agent: c.agent, Created: time.Now(), DeadlineIn: time.Minute,
			}
			m.plan = &v1alpha1.Plan{
				Node: worker, Run: "r-00000001", From: v1alpha1.RuntimeRef{Name: v1alpha1.Docker}, To: v1alpha1.RuntimeRef{Name: v1alpha1.CRIO},
				KubeadmSocketBefore: "unix:///var/run/dockershim.sock", KubeadmSocket: "unix:///var/run/crio/crio.sock",
			}
			if c.phase == v1alpha1.PhaseApplied {
				m.change(crio)
			}
			e := m.engine(Options{Version: "v0.5.0"}, nil)
			p, err := e.Prepare(t.Context(), worker, v1alpha1.CRIO)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.verbs, m.verbs); diff != "" || m.brought != c.brought {
				t.Errorf("brought ours %d times, asked (-want +got):\n%s", m.brought, diff)
			}
			if made := p.Resumes() == nil; made && p.Plan().Version != "v0.5.0" || !made && p.Plan().Version != "" {
				t.Errorf("the plan is of version %q", p.Plan().Version)
			}
			if r := p.Execute(t.Context()); r.Outcome != c.outcome {
				t.Errorf("got %s: %v", r.Outcome, r.Err)
			}
			if err := p.Close(t.Context()); err != nil {
				t.Error(err)
			}
			m.nothingLeft(t, false)
		})
	}
}

// TestUnreadableRun: a record that can't be read says itself what is to be done.
func TestUnreadableRun(t *testing.T) {
	m := newMachine(t)
	m.run = &v1alpha1.Run{ID: "r-00000001", Phase: v1alpha1.PhaseStuck, Reason: "the record of run r-00000001 was written by a later kubectl runtime"}
	_, err := m.engine(Options{}, nil).Prepare(t.Context(), worker, v1alpha1.CRIO)
	if busy, ok := errors.AsType[*BusyError](err); !ok || busy.Error() != "node worker-1: the record of run r-00000001 was written by a later kubectl runtime" {
		t.Errorf("got %v", err)
	}
}
