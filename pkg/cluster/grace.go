package cluster

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// mostGrace keeps a grace period within what a time.Duration holds, by far.
const mostGrace = 365 * 24 * time.Hour

// LongestGrace returns the longest termination grace period of the static and DaemonSet pods among those of a node: they stay on it
// through a drain.
func LongestGrace(pods []corev1.Pod) time.Duration {
	var longest time.Duration
	for i := range pods {
		if s := pods[i].Spec.TerminationGracePeriodSeconds; s != nil && resident(&pods[i]) != "" {
			longest = max(longest, time.Duration(min(*s, int64(mostGrace/time.Second)))*time.Second)
		}
	}
	return longest
}
