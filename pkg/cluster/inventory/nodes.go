package inventory

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// AddNode adds to an inventory of a node's pods what tells who takes care of the node: its own marks, those of the Machine behind it, and
// the status of cluster-autoscaler. What may not be read stays out, as most clusters have none of it.
func AddNode(ctx context.Context, c Clients, inv *workload.Inventory, n *corev1.Node) error {
	r := newReader(c, Options{})
	r.inv = inv
	// Nothing else of it: other rules about nodes compare all of them.
	whole := r.node(n)
	inv.Nodes = []workload.Node{{Name: whole.Name, ControlPlane: whole.ControlPlane, Windows: whole.Windows, Labels: whole.Labels, Annotations: whole.Annotations}}
	r.machines(ctx)
	status := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, workload.AutoscalerStatus.Name).String()}
	list, err := c.Kube.CoreV1().ConfigMaps(workload.AutoscalerStatus.Namespace).List(ctx, status)
	switch {
	case apierrors.IsForbidden(err):
	case err != nil:
		return fmt.Errorf("listing ConfigMap %s: %w", workload.AutoscalerStatus, err)
	case len(list.Items) == 1 && current(&list.Items[0]):
		inv.ConfigMaps[workload.AutoscalerStatus] = list.Items[0].Data
	}
	return nil
}

// autoscalerSilent is for how long a status stands for a cluster-autoscaler that runs: it writes one every few seconds, and leaves the last
// one behind when it is removed.
const autoscalerSilent = time.Hour

// current reports whether the status of cluster-autoscaler was written lately; one that doesn't say when counts.
func current(c *corev1.ConfigMap) bool {
	written, err := time.Parse("2006-01-02 15:04:05.999999999 -0700 MST", c.Annotations["cluster-autoscaler.kubernetes.io/last-updated"])
	return err != nil || time.Since(written) < autoscalerSilent
}

// machines reads the annotations of the Machines that nodes were made from. They are often in the cluster that manages this one: what this
// API server doesn't serve, or doesn't let us read, stays unknown.
func (r *reader) machines(ctx context.Context) {
	of := map[workload.Key]*workload.Node{}
	namespaces := map[string]bool{}
	for i := range r.inv.Nodes {
		n := &r.inv.Nodes[i]
		if name := n.Annotations[workload.MachineAnnotation]; name != "" {
			key := workload.Key{Namespace: n.Annotations[workload.MachineNamespaceAnnotation], Name: name}
			of[key], namespaces[key.Namespace] = n, true
		}
	}
	for _, version := range []string{"v1beta2", "v1beta1"} {
		if len(of) == 0 {
			return
		}
		resource, _, err := r.resource(schema.GroupVersionKind{Group: "cluster.x-k8s.io", Version: version, Kind: "Machine"})
		if err != nil {
			continue
		}
		for _, ns := range few(namespaces) {
			_ = pages(ctx, r.c.Meta.Resource(resource).Namespace(ns).List, func(l *metav1.PartialObjectMetadataList) {
				for i := range l.Items {
					if n := of[workload.Key{Namespace: l.Items[i].Namespace, Name: l.Items[i].Name}]; n != nil {
						n.MachineAnnotations = workload.Marks(l.Items[i].Annotations)
					}
				}
			})
		}
		return
	}
}
