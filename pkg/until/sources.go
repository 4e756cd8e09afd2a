package until

import (
	"context"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// Named selects the one object of that name.
func Named(name string) string { return fields.OneTermEqualSelector("metadata.name", name).String() }

// Pods are the pods of a namespace ("" for all) that a field selector selects.
func Pods(client kubernetes.Interface, namespace, selector string) Source[*corev1.Pod] {
	pods := client.CoreV1().Pods(namespace)
	return Source[*corev1.Pod]{
		List: func(ctx context.Context, o metav1.ListOptions) ([]*corev1.Pod, string, error) {
			o.FieldSelector = selector
			list, err := pods.List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return pointers(list.Items), list.ResourceVersion, nil
		},
		Watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = selector
			return pods.Watch(ctx, o)
		},
	}
}

// Node is the one node of that name.
func Node(client kubernetes.Interface, name string) Source[*corev1.Node] {
	nodes := client.CoreV1().Nodes()
	return Source[*corev1.Node]{
		List: func(ctx context.Context, o metav1.ListOptions) ([]*corev1.Node, string, error) {
			o.FieldSelector = Named(name)
			list, err := nodes.List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return pointers(list.Items), list.ResourceVersion, nil
		},
		Watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = Named(name)
			return nodes.Watch(ctx, o)
		},
	}
}

// Lease is the one Lease of that name.
func Lease(client kubernetes.Interface, namespace, name string) Source[*coordinationv1.Lease] {
	leases := client.CoordinationV1().Leases(namespace)
	return Source[*coordinationv1.Lease]{
		List: func(ctx context.Context, o metav1.ListOptions) ([]*coordinationv1.Lease, string, error) {
			o.FieldSelector = Named(name)
			list, err := leases.List(ctx, o)
			if err != nil {
				return nil, "", err
			}
			return pointers(list.Items), list.ResourceVersion, nil
		},
		Watch: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = Named(name)
			return leases.Watch(ctx, o)
		},
	}
}

func pointers[T any](items []T) []*T {
	out := make([]*T, len(items))
	for i := range items {
		out[i] = &items[i]
	}
	return out
}
