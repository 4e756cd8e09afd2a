package inventory

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// entry is a workload that is being put together.
type entry struct {
	namespace string
	w         workload.Workload
	// selected says that the selector matches the template's labels.
	selected bool
	// template says that Spec is a controller's. One without is what its pods are, put together.
	template bool
	// more counts what pods added to Spec.
	more int
}

// templates are the kinds that everybody has and that make pods.
func (r *reader) templates() []kind {
	apps, batch, core, ns := r.c.Kube.AppsV1(), r.c.Kube.BatchV1(), r.c.Kube.CoreV1(), r.o.Namespace
	return []kind{
		templated("Deployments", "what they ask for is known of those with pods only", apps.Deployments(ns).List, func(l *appsv1.DeploymentList) {
			for i := range l.Items {
				x := &l.Items[i]
				r.template(&x.ObjectMeta, "apps/v1", "Deployment", &x.Spec.Template, x.Spec.Replicas)
			}
		}),
		templated("ReplicaSets", "pods can't be told to be of one Deployment", apps.ReplicaSets(ns).List, func(l *appsv1.ReplicaSetList) {
			for i := range l.Items {
				r.replicaSet(&l.Items[i])
			}
		}),
		templated("StatefulSets", "what they ask for is known of those with pods only", apps.StatefulSets(ns).List, func(l *appsv1.StatefulSetList) {
			for i := range l.Items {
				x := &l.Items[i]
				r.template(&x.ObjectMeta, "apps/v1", "StatefulSet", &x.Spec.Template, x.Spec.Replicas)
			}
		}),
		templated("DaemonSets", "what they ask for is known of those with pods only", apps.DaemonSets(ns).List, func(l *appsv1.DaemonSetList) {
			for i := range l.Items {
				x := &l.Items[i]
				r.template(&x.ObjectMeta, "apps/v1", "DaemonSet", &x.Spec.Template, nil)
			}
		}),
		templated("Jobs", "what they ask for is known of those with pods only", batch.Jobs(ns).List, func(l *batchv1.JobList) {
			for i := range l.Items {
				r.job(&l.Items[i])
			}
		}),
		templated("CronJobs", "what they ask for is known of those with pods only", batch.CronJobs(ns).List, func(l *batchv1.CronJobList) {
			for i := range l.Items {
				x := &l.Items[i]
				r.template(&x.ObjectMeta, "batch/v1", "CronJob", &x.Spec.JobTemplate.Spec.Template, nil)
			}
		}),
		templated("PodTemplates", "nothing is known of them", core.PodTemplates(ns).List, func(l *corev1.PodTemplateList) {
			for i := range l.Items {
				x := &l.Items[i]
				r.template(&x.ObjectMeta, "v1", "PodTemplate", &x.Template, nil)
			}
		}),
		templated("ReplicationControllers", "what they ask for is known of those with pods only", core.ReplicationControllers(ns).List, func(l *corev1.ReplicationControllerList) {
			for i := range l.Items {
				if x := &l.Items[i]; x.Spec.Template != nil {
					r.template(&x.ObjectMeta, "v1", "ReplicationController", x.Spec.Template, x.Spec.Replicas)
				}
			}
		}),
	}
}

func templated[L metav1.ListInterface](what, loses string, list lister[L], take func(L)) kind {
	return kind{what: what, loses: loses, makesPods: true, list: func(ctx context.Context) error { return pages(ctx, list, take) }}
}

// replicaSet takes in a ReplicaSet. A Deployment's is a revision of it: the Deployment's template counts, and the pods of old
// revisions add what they have. One of another controller stands for that controller's template while it has replicas.
func (r *reader) replicaSet(x *appsv1.ReplicaSet) {
	c := metav1.GetControllerOf(x)
	if c == nil {
		r.template(&x.ObjectMeta, "apps/v1", "ReplicaSet", &x.Spec.Template, x.Spec.Replicas)
		return
	}
	r.mu.Lock()
	parent := r.link(&x.ObjectMeta)
	r.mu.Unlock()
	if c.Kind == "Deployment" || x.Spec.Replicas != nil && *x.Spec.Replicas == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(parent, x.Namespace, &x.Spec.Template.ObjectMeta, &x.Spec.Template.Spec, false)
}

// job takes in a Job. A CronJob's is one of its runs.
func (r *reader) job(x *batchv1.Job) {
	if c := metav1.GetControllerOf(x); c != nil && c.Kind == "CronJob" {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.link(&x.ObjectMeta)
		return
	}
	r.template(&x.ObjectMeta, "batch/v1", "Job", &x.Spec.Template, nil)
}

// link notes what controls an object.
func (r *reader) link(meta *metav1.ObjectMeta) uid {
	parent := r.tree.refer(meta.Namespace, meta.OwnerReferences, r.words)
	r.tree.parents[shorten(meta.UID)] = parent
	return parent
}

// template takes in an object with a pod template.
func (r *reader) template(meta *metav1.ObjectMeta, apiVersion, kind string, t *corev1.PodTemplateSpec, replicas *int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := shorten(meta.UID)
	r.link(meta)
	r.tree.objects[id] = &controller{
		object: workload.Object{APIVersion: apiVersion, Kind: kind, Namespace: r.words.one(meta.Namespace), Name: meta.Name},
		listed: true, ignore: meta.Annotations[workload.IgnoreAnnotation], selected: r.selects(meta.Labels),
	}
	e := r.add(id, meta.Namespace, &t.ObjectMeta, &t.Spec, true)
	e.w.Replicas = replicas
}

// add makes the workload of an owner, or adds to it what it doesn't have. The caller holds the lock.
func (r *reader) add(id uid, namespace string, meta *metav1.ObjectMeta, spec *corev1.PodSpec, template bool) *entry {
	e := r.entries[id]
	if e != nil {
		r.grow(e, spec, meta.Name)
		return e
	}
	e = &entry{namespace: r.words.one(namespace), template: template, selected: r.selects(meta.Labels), w: workload.Workload{
		Spec: r.reduce(spec), PodAnnotations: r.annotations(meta.Annotations), Labels: r.labels(meta.Labels), Finalizers: meta.Finalizers,
	}}
	r.entries[id] = e
	return e
}

func (r *reader) selects(set map[string]string) bool { return r.o.Selector.Matches(labels.Set(set)) }

// labels keeps a set of labels. The hash that tells a Deployment's revisions apart is no budget's selector.
func (r *reader) labels(set map[string]string) map[string]string {
	out := make(map[string]string, len(set))
	for k, v := range set {
		if k != "pod-template-hash" && k != "controller-revision-hash" {
			out[r.words.one(k)] = r.words.one(v)
		}
	}
	return out
}

// annotations keeps a pod's annotations but for long ones, which are documents of other tools.
func (r *reader) annotations(set map[string]string) map[string]string {
	var out map[string]string
	for k, v := range set {
		if len(v) > longest {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[r.words.one(k)] = r.words.one(v)
	}
	return out
}

// longest is up to how many bytes annotations are kept.
const longest = 512
