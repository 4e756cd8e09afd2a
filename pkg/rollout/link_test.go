package rollout

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod"
)

// TestHostPodIsLostAnywhere loses the host pod at every question, in every way: the switch goes on through another one.
func TestHostPodIsLostAnywhere(t *testing.T) {
	m := newMachine(t)
	if r, err := switchOne(t.Context(), m.engine(Options{}, nil)); err != nil || r.Outcome != Switched {
		t.Fatalf("got %+v, %v", r, err)
	}
	for _, how := range []error{hostpod.ErrGone, hostpod.ErrMute, hostpod.ErrUnheard} {
		for at := 1; at <= m.asked; at++ {
			t.Run(fmt.Sprintf("%v/%d", how, at), func(t *testing.T) {
				m := newMachine(t)
				m.loses, m.losesAt = how, at
				var events []Event
				r, err := switchOne(t.Context(), m.engine(Options{}, &events))
				if err != nil || r.Outcome != Switched || r.Err != nil {
					t.Errorf("got %s: %v, %v", r.Outcome, r.Err, err)
				}
				m.nothingLeft(t, false)
				if len(m.ours) > 2 {
					t.Errorf("%d host pods were started", len(m.ours))
				}
				told := 0
				for _, e := range events {
					if strings.Contains(e.Text, how.Error()) {
						told++
					}
				}
				if told != len(m.ours)-1 {
					t.Errorf("told %d times of %d lost host pods", told, len(m.ours)-1)
				}
			})
		}
	}
}

// TestEveryHostPodIsMute: after a second one in a row the run ends, with what is known of the node.
func TestEveryHostPodIsMute(t *testing.T) {
	m := newMachine(t)
	if _, err := switchOne(t.Context(), m.engine(Options{}, nil)); err != nil {
		t.Fatal(err)
	}
	for at := 1; at <= m.asked; at++ {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			m := newMachine(t)
			m.loses, m.losesAt, m.losesAll = hostpod.ErrMute, at, true
			r, err := switchOne(t.Context(), m.engine(Options{}, nil))
			if len(m.ours) > lossLimit || m.pods != 0 {
				t.Errorf("%d host pods were started, %d are left", len(m.ours), m.pods)
			}
			switch _, lost := errors.AsType[*LostError](errors.Join(err, r.Err)); {
			case r.Outcome == Switched:
				// Nothing but the tidying was left to ask.
				if m.run.Phase != v1alpha1.PhaseConfirmed {
					t.Errorf("the run is %s", m.run.Phase)
				}
			case !lost:
				t.Errorf("got %s: %v, %v", r.Outcome, r.Err, err)
			case r.Node != "" && !strings.Contains(r.State, "Ready"):
				t.Errorf("its state is %q", r.State)
			case m.run != nil && m.run.Phase == v1alpha1.PhaseApplied && r.Outcome != Unknown:
				t.Errorf("it goes back by itself, the result is %s", r.Outcome)
			}
		})
	}
}

// TestGatherThroughAnotherHostPod: looking at a node survives the loss of its pod, too.
func TestGatherThroughAnotherHostPod(t *testing.T) {
	m := newMachine(t)
	m.loses, m.losesAt = hostpod.ErrMute, 1
	m.api.Put("pods", &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "left", Labels: map[string]string{hostpod.LabelManagedBy: hostpod.ManagedBy}},
		Spec:       corev1.PodSpec{NodeName: worker}, Status: corev1.PodStatus{Phase: corev1.PodSucceeded},
	})
	got := m.engine(Options{}, nil).Gather(t.Context(), []string{worker})
	if len(got) != 1 || got[0].Err != nil || got[0].Facts == nil || len(m.ours) != 2 {
		t.Errorf("got %+v through %d host pods", got, len(m.ours))
	}
	if slices.Contains(m.api.Names("pods"), "kube-system/left") {
		t.Error("a pod that ended by itself is still there")
	}
	m.nothingLeft(t, false)
}

// TestHostPodEndsWhileItIsWaitedFor: the API server was away for so long that the pod ended by itself.
func TestHostPodEndsWhileItIsWaitedFor(t *testing.T) {
	m := newMachine(t)
	m.endsWaiting = true
	r, err := switchOne(t.Context(), m.engine(Options{}, nil))
	if err != nil || r.Outcome != Switched || len(m.ours) != 2 {
		t.Errorf("got %s: %v, %v, through %d host pods", r.Outcome, r.Err, err, len(m.ours))
	}
}

// TestDrainEndsWithTheRun: a node that has given the run up isn't drained to the end in vain.
func TestDrainEndsWithTheRun(t *testing.T) {
	m := newMachine(t)
	m.api.Put("pods", &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "held", Annotations: map[string]string{"test/held": "the budget needs 1 healthy pod"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "held-5d", Controller: new(true)}},
		},
		Spec: corev1.PodSpec{NodeName: worker},
	})
	m.onRequest(func(what string) error {
		if what == "patch nodes" && m.run.Phase == v1alpha1.PhaseStaged {
			m.to(v1alpha1.PhaseRemoved, "the node was rebooted")
		}
		return nil
	})
	began := time.Now()
	r, err := switchOne(t.Context(), m.engine(Options{}, nil))
	if err != nil || r.Outcome != Refused || !strings.Contains(r.Err.Error(), "the node was rebooted") {
		t.Errorf("got %s: %v, %v", r.Outcome, r.Err, err)
	}
	if took := time.Since(began); took > attendPause {
		t.Errorf("after %s", took)
	}
	m.nothingLeft(t, false)
}
