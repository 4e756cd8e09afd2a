package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
)

// QuorumError says that etcd would lose its majority while a control plane is away.
type QuorumError struct {
	Node           string
	Members, Ready int // Ready counts the others
}

// Error implements error.
func (e *QuorumError) Error() string {
	return fmt.Sprintf("etcd would lose its majority without node %s: of the other %d members %d are Ready", e.Node, e.Members-1, e.Ready)
}

func etcdLabels() labels.Set { return labels.Set{"component": "etcd", "tier": "control-plane"} }

// IsEtcd reports whether a pod is a member of the cluster's etcd, as kubeadm labels them.
func IsEtcd(pod corev1.Pod) bool {
	return pod.Namespace == metav1.NamespaceSystem && labels.SelectorFromSet(etcdLabels()).Matches(labels.Set(pod.Labels))
}

// EtcdQuorum refuses to take a control plane away whose etcd is needed for a majority. A cluster where every other
// member is Ready passes whatever their number: one or two members have no majority to spare at any time.
func EtcdQuorum(ctx context.Context, client kubernetes.Interface, node string) error {
	list, err := client.CoreV1().Pods(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(etcdLabels()).String()})
	if err != nil {
		return fmt.Errorf("looking at etcd's members: %w", err)
	}
	mine, ready := false, 0
	for i := range list.Items {
		switch pod := &list.Items[i]; {
		case pod.Spec.NodeName == node:
			mine = true
		case isReady(pod):
			ready++
		}
	}
	members := len(list.Items)
	if !mine || ready == members-1 || ready > members/2 {
		return nil
	}
	return &QuorumError{Node: node, Members: members, Ready: ready}
}
