package cmd

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// kubeadmSocket is the annotation in which kubeadm up to 1.33 keeps a node's endpoint.
const kubeadmSocket = "kubeadm.alpha.kubernetes.io/cri-socket"

// nodeStatus says what a Node object tells about its runtime.
func nodeStatus(node *corev1.Node, now time.Time) v1alpha1.NodeStatus {
	info := node.Status.NodeInfo
	s := v1alpha1.NodeStatus{
		APIVersion:     v1alpha1.APIVersion,
		Kind:           v1alpha1.KindNodeStatus,
		Metadata:       v1alpha1.ObjectName{Name: node.Name, Labels: node.Labels},
		KubeletVersion: strings.TrimPrefix(info.KubeletVersion, "v"),
		Schedulable:    !node.Spec.Unschedulable,
		OSImage:        info.OSImage,
		Kernel:         info.KernelVersion,
		Architecture:   info.Architecture,
	}
	name, version, _ := strings.Cut(info.ContainerRuntimeVersion, "://")
	s.Runtime, s.RuntimeVersion = v1alpha1.RuntimeName(name), strings.TrimPrefix(version, "v")
	s.KubeadmSocket = node.Annotations[kubeadmSocket]
	s.Endpoint = endpoint(s.KubeadmSocket)
	_, s.ControlPlane = node.Labels["node-role.kubernetes.io/control-plane"]
	if _, master := node.Labels["node-role.kubernetes.io/master"]; master {
		s.ControlPlane = true
	}
	notReady := readiness(node)
	s.Ready = notReady == ""
	s.State, s.Reason = v1alpha1.StateSettled, ""
	if !s.Ready {
		s.State, s.Reason = v1alpha1.StateNotReady, notReady
	}
	if text, ok := node.Annotations[v1alpha1.LastRunAnnotation]; ok {
		lastRun(&s, text, node, now)
	}
	return s
}

// endpoint gives old records of kubeadm their scheme.
func endpoint(socket string) string {
	if strings.HasPrefix(socket, "/") {
		return "unix://" + socket
	}
	return socket
}

// readiness says why a node isn't Ready; empty when it is.
func readiness(node *corev1.Node) string {
	for _, c := range node.Status.Conditions {
		if c.Type != corev1.NodeReady {
			continue
		}
		switch c.Status {
		case corev1.ConditionTrue:
			return ""
		case corev1.ConditionUnknown:
			return notHeard(c)
		}
		if c.Message != "" {
			return c.Message
		}
		return c.Reason
	}
	return "the kubelet never reported"
}

// notHeard says since when a node isn't heard of.
func notHeard(c corev1.NodeCondition) string {
	since := c.LastHeartbeatTime
	if since.IsZero() {
		since = c.LastTransitionTime
	}
	if since.IsZero() {
		return "not heard of"
	}
	return "not heard of since " + since.Local().Format(time.DateTime)
}

// staleAfter is three times what a kubelet lets pass between two reports where nothing changes: who marks a node as unknown may
// be away itself.
const staleAfter = 15 * time.Minute

// unheard says since when a node isn't heard of; empty where it is.
func unheard(node *corev1.Node, now time.Time) string {
	for _, c := range node.Status.Conditions {
		if c.Type != corev1.NodeReady {
			continue
		}
		stale := !c.LastHeartbeatTime.IsZero() && now.Sub(c.LastHeartbeatTime.Time) > staleAfter
		if c.Status == corev1.ConditionUnknown || stale {
			return notHeard(c)
		}
	}
	return ""
}

// lastRun adds what the annotation tells. Anybody may write an annotation: what can't be read is said, and nothing is
// decided on it.
func lastRun(s *v1alpha1.NodeStatus, text string, node *corev1.Node, now time.Time) {
	run, err := v1alpha1.ReadLastRun(text)
	if err != nil {
		s.Reason = fmt.Sprintf("annotation %s can't be read", v1alpha1.LastRunAnnotation)
		return
	}
	s.LastRun = run
	reason := run.Reason
	switch run.Phase {
	case v1alpha1.PhaseStaging, v1alpha1.PhaseStaged, v1alpha1.PhaseApplying, v1alpha1.PhaseApplied:
		s.State = v1alpha1.StateSwitching
		if reason == "" {
			reason = fmt.Sprintf("to %s: %s", run.To, run.Phase)
		}
	case v1alpha1.PhaseRollingBack:
		s.State = v1alpha1.StateRollingBack
		if reason == "" {
			reason = fmt.Sprintf("to %s", run.From)
		}
	case v1alpha1.PhaseRolledBack:
		s.State = v1alpha1.StateRolledBack
	case v1alpha1.PhaseRemoved:
		if reason != "" {
			reason = fmt.Sprintf("not moved to %s: %s", run.To, reason)
		}
	case v1alpha1.PhaseStuck:
		s.State = v1alpha1.StateStuck
	case v1alpha1.PhaseConfirmed:
		reason = ""
		if s.Runtime != "" && run.To != s.Runtime {
			reason = fmt.Sprintf("run %s left it on %s: changed by something else since", run.Run, run.To)
		}
	default:
		reason = ""
	}
	if reason != "" {
		s.Reason = reason
	}
	if run.Phase.Open() && run.Phase != v1alpha1.PhaseStuck {
		lateRun(s, *run, node, now)
	}
}

// lateRun says what a node is whose run can't be under way as it was last told: nobody hears of the node, or the run's own time is
// over. What became of it the node will tell, or can be asked.
func lateRun(s *v1alpha1.NodeStatus, run v1alpha1.LastRun, node *corev1.Node, now time.Time) {
	told := fmt.Sprintf("run %s to %s was last known to be %s", run.Run, run.To, run.Phase)
	silent := unheard(node, now)
	switch {
	case silent != "":
		s.Ready, s.State, s.Reason = false, v1alpha1.StateNotReady, silent+"; "+told
	case run.Until.IsZero() || now.Before(run.Until):
	case s.Ready:
		s.State, s.Reason = v1alpha1.StateSettled, fmt.Sprintf("%s, and has not told its end, which was due at %s", told, run.Until.Local().Format(time.DateTime))
	default:
		s.State, s.Reason = v1alpha1.StateNotReady, readiness(node)+"; "+told
	}
}
