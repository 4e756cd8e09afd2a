package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/until"
)

// Restart bounds when a node's kubelet was away, by the node's own clock, and says what must serve it since.
type Restart struct {
	Stopped time.Time
	Started time.Time
	// Scheme starts containerRuntimeVersion and container IDs: containerd, cri-o, docker.
	Scheme string
}

// WaitRenewed waits until the node's kubelet has renewed its own Lease after it was started again. That is the first
// sign of it: a kubelet that was away for less than the grace period never shows as not Ready.
func WaitRenewed(ctx context.Context, client kubernetes.Interface, node string, r Restart) error {
	src := until.Lease(client, corev1.NamespaceNodeLease, node)
	src.Patient = true
	err := until.Set(ctx, src, func(items map[types.UID]*coordinationv1.Lease) (bool, error) {
		for _, lease := range items {
			if t := lease.Spec.RenewTime; t != nil && t.After(r.Started) {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("the kubelet of node %s has not renewed its Lease since its restart: %w", node, err)
	}
	return nil
}

// WaitReady waits until the node is Ready with a heartbeat of the restarted kubelet and the new runtime's version.
func WaitReady(ctx context.Context, client kubernetes.Interface, node string, r Restart, report func(string)) (*corev1.Node, error) {
	var last *corev1.Node
	var why string
	src := until.Node(client, node)
	src.Patient = true
	err := until.Set(ctx, src, func(items map[types.UID]*corev1.Node) (bool, error) {
		for _, n := range items {
			last = n
		}
		if last == nil || len(items) == 0 {
			return false, fmt.Errorf("node %s was deleted", node)
		}
		now := unready(last, r)
		if now != why && now != "" {
			report("waiting: " + now)
		}
		why = now
		return why == "", nil
	})
	if err != nil && why != "" {
		return last, fmt.Errorf("%w: %s", err, why)
	}
	return last, err
}

// unready says what is missing; empty when nothing is.
func unready(n *corev1.Node, r Restart) string {
	version := n.Status.NodeInfo.ContainerRuntimeVersion
	if !strings.HasPrefix(version, r.Scheme+"://") {
		return fmt.Sprintf("the node still reports %s", version)
	}
	for _, c := range n.Status.Conditions {
		if c.Type != corev1.NodeReady {
			continue
		}
		switch {
		// Heartbeats have whole seconds. The version above is already of the new runtime, so a heartbeat in the very
		// second of the stop isn't the old kubelet's.
		case c.LastHeartbeatTime.Time.Before(r.Stopped.Truncate(time.Second)):
			return "the node's status is older than the restart"
		case c.Status != corev1.ConditionTrue:
			return fmt.Sprintf("the node isn't Ready: %s", joinNonEmpty(c.Reason, c.Message))
		}
		return ""
	}
	return "the node has no Ready condition"
}

// Describe says in a few words what the API server knows of a node: its runtime, Ready or not, schedulable or not.
func Describe(n *corev1.Node) string {
	state := "not Ready"
	for _, c := range n.Status.Conditions {
		if c.Type != corev1.NodeReady {
			continue
		}
		switch c.Status {
		case corev1.ConditionTrue:
			state = "Ready"
		case corev1.ConditionUnknown:
			state = "not heard of since " + c.LastHeartbeatTime.Local().Format(time.TimeOnly)
		}
	}
	schedulable := "schedulable"
	if n.Spec.Unschedulable {
		schedulable = "cordoned"
	}
	return fmt.Sprintf("%s, %s, %s", strings.Replace(n.Status.NodeInfo.ContainerRuntimeVersion, "://", " ", 1), state, schedulable)
}

func joinNonEmpty(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, ": ")
}
