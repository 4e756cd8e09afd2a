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
	claims, moved, classes := map[string]bool{}, map[string]bool{}, false
	for i := range pods {
		p := pods[i].DeepCopy()
		named(p)
		for v := range p.Spec.Volumes {
			if p.Spec.Volumes[v].PersistentVolumeClaim != nil || p.Spec.Volumes[v].Ephemeral != nil {
				claims[p.Namespace] = true
			}
		}
		classes = classes || p.Spec.RuntimeClassName != nil
		// A drain leaves the others where they are.
		if owner := metav1.GetControllerOf(p); owner != nil && owner.Kind != "DaemonSet" && owner.Kind != "Node" {
			moved[p.Namespace] = true
		}
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
	for _, ns := range few(moved) {
		kinds = append(kinds, r.budgets(ns))
	}
	if classes {
		kinds = append(kinds, r.classes())
	}
	wanted, services, namespaces := map[workload.Key]bool{}, map[workload.Key]bool{}, map[string]bool{}
	remote := false
	for i := range r.inv.Workloads {
		w := &r.inv.Workloads[i]
		references(w, wanted)
		daemons(w, services)
		remote = remote || dials(w)
	}
	kinds = append(kinds, r.services(services)...)
	for key := range wanted {
		namespaces[key.Namespace] = true
	}
	for _, ns := range few(namespaces) {
		kinds = append(kinds, r.configMaps(ns, wanted))
	}
	if err := r.all(ctx, kinds); err != nil {
		return nil, err
	}
	kinds = r.backing()
	if remote || r.dialledBySettings() {
		kinds = append(kinds, r.addresses())
	}
	if err := r.all(ctx, kinds); err != nil {
		return nil, err
	}
	r.inv.Unread = slices.Compact(slices.Sorted(slices.Values(r.inv.Unread)))
	return r.inv, nil
}

// addresses reads how nodes are called and reached: what a pod dials may be a node, and may be something else.
func (r *reader) addresses() kind {
	return wide(listed(r, "Nodes", "whether an address is a node's is not known", r.c.Kube.CoreV1().Nodes().List, func(l *corev1.NodeList) {
		for i := range l.Items {
			n := r.node(&l.Items[i])
			r.inv.Addresses = append(append(r.inv.Addresses, n.Name), n.Addresses...)
		}
	}))
}

// dialledBySettings reports whether a ConfigMap holds the address of a Docker that is reached by TCP.
func (r *reader) dialledBySettings() bool {
	for _, data := range r.inv.ConfigMaps {
		for _, text := range data {
			if strings.Contains(text, "tcp://") {
				return true
			}
		}
	}
	return false
}

// backing asks for one pod behind each Service that was read: pods of other nodes are none of the inventory's.
func (r *reader) backing() []kind {
	var out []kind
	for key, selector := range r.inv.Services {
		if len(selector) == 0 {
			continue
		}
		one := metav1.ListOptions{Limit: 1, LabelSelector: labels.SelectorFromSet(selector).String()}
		out = append(out, kind{what: "Pods", loses: "the pods behind a DOCKER_HOST are not known", list: func(ctx context.Context) error {
			l, err := r.c.Kube.CoreV1().Pods(key.Namespace).List(ctx, one)
			if err == nil && len(l.Items) > 0 {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.inv.Backed[key] = true
			}
			return err
		}})
	}
	return out
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
