package inventory

import (
	"context"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// OfPods makes an inventory of pods that were read already, of one node's. Only what they refer to is listed, and nothing where they
// refer to nothing. Owners are known by the pods' references alone: Annotate asks for more where it matters.
func OfPods(ctx context.Context, c Clients, pods []corev1.Pod) (*workload.Inventory, error) {
	r := newReader(c, Options{Selector: labels.Everything()})
	claims, classes := map[string]bool{}, false
	for i := range pods {
		p := pods[i].DeepCopy()
		named(p)
		for v := range p.Spec.Volumes {
			if p.Spec.Volumes[v].PersistentVolumeClaim != nil {
				claims[p.Namespace] = true
			}
		}
		classes = classes || p.Spec.RuntimeClassName != nil
		r.pod(p)
	}
	r.finish()
	var kinds []kind
	if len(claims) > 0 {
		kinds = append(kinds, r.volumes())
		for _, ns := range few(claims) {
			kinds = append(kinds, r.claims(ns))
		}
	}
	if classes {
		kinds = append(kinds, r.classes())
	}
	wanted, namespaces := map[workload.Key]bool{}, map[string]bool{}
	for i := range r.inv.Workloads {
		references(&r.inv.Workloads[i], wanted)
	}
	for key := range wanted {
		namespaces[key.Namespace] = true
	}
	for _, ns := range few(namespaces) {
		kinds = append(kinds, r.configMaps(ns, wanted))
	}
	if err := r.all(ctx, kinds); err != nil {
		return nil, err
	}
	r.inv.Unread = slices.Compact(slices.Sorted(slices.Values(r.inv.Unread)))
	return r.inv, nil
}

// few are the namespaces to list one by one, or all of them at once where they are many.
func few(namespaces map[string]bool) []string {
	if len(namespaces) > fewNamespaces {
		return []string{metav1.NamespaceAll}
	}
	return slices.Sorted(maps.Keys(namespaces))
}

// named puts in a ReplicaSet's place the Deployment that made it, or the Rollout, by the hash that both write on their pods and
// put behind their names. Nothing is asked for it.
func named(p *corev1.Pod) {
	for label, owner := range map[string]metav1.OwnerReference{
		"pod-template-hash":          {APIVersion: "apps/v1", Kind: "Deployment"},
		"rollouts-pod-template-hash": {APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout"},
	} {
		hash := p.Labels[label]
		for i := range p.OwnerReferences {
			ref := &p.OwnerReferences[i]
			if name, ok := strings.CutSuffix(ref.Name, "-"+hash); ok && hash != "" && ref.Kind == "ReplicaSet" {
				ref.APIVersion, ref.Kind, ref.Name = owner.APIVersion, owner.Kind, name
			}
		}
	}
}

// Annotate reads the annotations of some owners, which may suppress findings about them: one request for each. What can't be read
// stays as it is.
func Annotate(ctx context.Context, c Clients, inv *workload.Inventory, objects map[string]bool) {
	r := newReader(c, Options{})
	known := map[workload.Object]map[string]string{}
	for i := range inv.Workloads {
		w := &inv.Workloads[i]
		if !objects[w.Object.String()] || w.Object.Kind == "Pod" {
			continue
		}
		if _, asked := known[w.Object]; !asked {
			known[w.Object] = r.annotationsOf(ctx, w.Object)
		}
		if text := known[w.Object][workload.IgnoreAnnotation]; text != "" {
			w.Annotations = map[string]string{workload.IgnoreAnnotation: text}
		}
	}
}

func (r *reader) annotationsOf(ctx context.Context, o workload.Object) map[string]string {
	gvk := schema.FromAPIVersionAndKind(o.APIVersion, o.Kind)
	resource := gvk.GroupVersion().WithResource(strings.ToLower(gvk.Kind) + "s")
	if !isOurs(gvk) {
		var err error
		if resource, _, err = r.resource(gvk); err != nil {
			return nil
		}
	}
	x, err := r.c.Meta.Resource(resource).Namespace(o.Namespace).Get(ctx, o.Name, metav1.GetOptions{})
	if err != nil {
		return nil
	}
	return x.Annotations
}
