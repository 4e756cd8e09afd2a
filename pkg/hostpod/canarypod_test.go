package hostpod

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestReadyUnder: what is Ready by the word of the runtime that goes proves nothing, and what ended under the new one has failed.
func TestReadyUnder(t *testing.T) {
	ended := func(id string) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ContainerID: id, ExitCode: 137}}
	}
	for name, c := range map[string]struct {
		id     string
		last   corev1.ContainerState
		ready  corev1.ConditionStatus
		proved bool
		failed bool
	}{
		"nothing yet":                   {ready: corev1.ConditionFalse},
		"under the old one":             {id: "containerd://a", ready: corev1.ConditionTrue},
		"under the new one":             {id: "cri-o://b", ready: corev1.ConditionTrue, proved: true},
		"not Ready yet":                 {id: "cri-o://b", ready: corev1.ConditionFalse},
		"it ended with the old one":     {id: "cri-o://b", last: ended("containerd://a"), ready: corev1.ConditionTrue, proved: true},
		"it ended under the new one":    {id: "cri-o://c", last: ended("cri-o://b"), ready: corev1.ConditionTrue, failed: true},
		"a name that begins like it is": {id: "cri-o-next://b", ready: corev1.ConditionTrue},
	} {
		pod := &corev1.Pod{Status: corev1.PodStatus{
			Conditions:        []corev1.PodCondition{{Type: corev1.PodReady, Status: c.ready}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: Container, ContainerID: c.id, LastTerminationState: c.last}},
		}}
		if proved, err := readyUnder(pod, "cri-o"); proved != c.proved || (err != nil) != c.failed {
			t.Errorf("%s: %v, %v", name, proved, err)
		}
	}
}
