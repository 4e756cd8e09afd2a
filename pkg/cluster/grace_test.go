package cluster

import (
	"math"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestLongestGrace: only pods count that a drain leaves on the node.
func TestLongestGrace(t *testing.T) {
	of := func(kind string, seconds int64) corev1.Pod {
		p := corev1.Pod{Spec: corev1.PodSpec{TerminationGracePeriodSeconds: &seconds}}
		switch kind {
		case "static":
			p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
		case "":
		default:
			p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: "x", Controller: new(true)}}
		}
		return p
	}
	ended, unset := of("DaemonSet", 900), of("DaemonSet", 0)
	ended.Status.Phase, unset.Spec.TerminationGracePeriodSeconds = corev1.PodSucceeded, nil
	for name, tt := range map[string]struct {
		pods []corev1.Pod
		want time.Duration
	}{
		"none":         {},
		"the longest":  {[]corev1.Pod{of("DaemonSet", 30), of("DaemonSet", 90), of("static", 45)}, 90 * time.Second},
		"a static pod": {[]corev1.Pod{of("DaemonSet", 30), of("static", 600)}, 10 * time.Minute},
		"drained":      {[]corev1.Pod{of("ReplicaSet", 3600), of("", 3600), of("StatefulSet", 3600), of("DaemonSet", 1)}, time.Second},
		"no wait":      {[]corev1.Pod{ended, unset, of("DaemonSet", 0), of("static", -1)}, 0},
		"beyond":       {[]corev1.Pod{of("DaemonSet", math.MaxInt64)}, mostGrace},
	} {
		t.Run(name, func(t *testing.T) {
			if have := LongestGrace(tt.pods); have != tt.want {
				t.Errorf("%s, want %s", have, tt.want)
			}
		})
	}
}
