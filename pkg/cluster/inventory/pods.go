package inventory

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// pods lists the pods. It comes behind the templates.
func (r *reader) pods() kind {
	return templated("Pods", "what runs, and where, is not known", r.c.Kube.CoreV1().Pods(r.o.Namespace).List, func(l *corev1.PodList) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for i := range l.Items {
			r.pod(&l.Items[i])
		}
	})
}

// pod takes in a pod. One that has ended starts under no runtime any more, and those of Own matter to nobody. The caller
// holds the lock.
func (r *reader) pod(p *corev1.Pod) {
	if p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed || r.o.Own != nil && r.o.Own.Matches(labels.Set(p.Labels)) {
		return
	}
	owner := r.tree.refer(p.Namespace, p.OwnerReferences, r.words)
	id := owner
	if owner == (uid{}) {
		id = shorten(p.UID)
		r.tree.objects[id] = &controller{
			object: workload.Object{APIVersion: "v1", Kind: "Pod", Namespace: r.words.one(p.Namespace), Name: p.Name},
			listed: true, ignore: p.Annotations[workload.IgnoreAnnotation], selected: r.selects(p.Labels),
		}
	}
	// The nearest owner with a template; without any the topmost that is known.
	for range 32 {
		if r.entries[id] != nil {
			break
		}
		up := r.tree.parents[id]
		if up == (uid{}) {
			break
		}
		id = up
	}
	e := r.add(id, p.Namespace, &p.ObjectMeta, &p.Spec, false)
	e.selected = e.selected || r.selects(p.Labels)
	_, mirror := p.Annotations[corev1.MirrorPodAnnotationKey]
	e.w.Pods = append(e.w.Pods, workload.Placed{Name: p.Name, Node: r.words.one(p.Spec.NodeName), Mirror: mirror})
	for _, f := range p.Finalizers {
		if !slices.Contains(e.w.Finalizers, f) {
			e.w.Finalizers = append(e.w.Finalizers, f)
		}
	}
}

// finish names every workload after its topmost owner and leaves out what wasn't asked for.
func (r *reader) finish() {
	list := make([]workload.Workload, 0, len(r.entries))
	for id, e := range r.entries {
		top := r.tree.objects[r.tree.top(id)]
		own := r.tree.objects[id]
		if top == nil {
			top = own
		}
		if top == nil { // only where references go in circles
			continue
		}
		if !e.selected && !top.selected && (own == nil || !own.selected) {
			continue
		}
		e.w.Object = top.object
		ignore := top.ignore
		if ignore == "" && own != nil {
			ignore = own.ignore
		}
		if ignore != "" {
			e.w.Annotations = map[string]string{workload.IgnoreAnnotation: ignore}
		}
		e.w.Pods = slices.Clip(e.w.Pods)
		slices.SortFunc(e.w.Pods, func(a, b workload.Placed) int { return cmp.Compare(a.Name, b.Name) })
		list = append(list, e.w)
	}
	r.entries, r.words = nil, words{}
	slices.SortFunc(list, func(a, b workload.Workload) int {
		return cmp.Or(cmp.Compare(a.Object.Namespace, b.Object.Namespace), cmp.Compare(a.Object.Kind, b.Object.Kind), cmp.Compare(a.Object.Name, b.Object.Name))
	})
	r.inv.Workloads = list
}
