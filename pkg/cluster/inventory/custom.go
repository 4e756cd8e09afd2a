package inventory

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// customOwners follows controllers of kinds that not everybody has up to the topmost, by one list of each kind's metadata.
func (r *reader) customOwners(ctx context.Context) error {
	done := map[schema.GroupVersionKind]bool{}
	for {
		var unknown []schema.GroupVersionKind
		for id := range r.entries {
			top := r.tree.objects[r.tree.top(id)]
			if top == nil || top.listed {
				continue
			}
			gvk := schema.FromAPIVersionAndKind(top.object.APIVersion, top.object.Kind)
			if !done[gvk] {
				done[gvk] = true
				unknown = append(unknown, gvk)
			}
		}
		if len(unknown) == 0 {
			return nil
		}
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(parallel)
		for _, gvk := range unknown {
			group.Go(func() error { return r.customKind(ctx, gvk) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
}

// ours are the kinds that were listed already: what isn't among them is gone.
var ours = []string{"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicationController", "Pod"}

func isOurs(gvk schema.GroupVersionKind) bool {
	return slices.Contains(ours, gvk.Kind) && slices.Contains([]string{"", "apps", "batch"}, gvk.Group)
}

// customKind lists one kind. What can't be listed leaves its objects the topmost, by the names that references have.
func (r *reader) customKind(ctx context.Context, gvk schema.GroupVersionKind) error {
	if isOurs(gvk) {
		return nil
	}
	resource, namespaced, err := r.resource(gvk)
	if err == nil {
		getter := r.c.Meta.Resource(resource)
		list := getter.List
		if namespaced && r.o.Namespace != "" {
			list = getter.Namespace(r.o.Namespace).List
		}
		err = pages(ctx, list, func(l *metav1.PartialObjectMetadataList) {
			r.mu.Lock()
			defer r.mu.Unlock()
			for i := range l.Items {
				r.customOwner(gvk, &l.Items[i])
			}
		})
	}
	switch {
	case err == nil:
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
		r.mu.Lock()
		defer r.mu.Unlock()
		r.inv.Unread = append(r.inv.Unread, fmt.Sprintf("%s (%s) may not be read with these credentials: what controls them, and what their annotations ignore, is not known", gvk.Kind, gvk.GroupVersion()))
	default:
		return fmt.Errorf("listing %s (%s): %w", gvk.Kind, gvk.GroupVersion(), err)
	}
	return nil
}

// customOwner notes an object that something points to.
func (r *reader) customOwner(gvk schema.GroupVersionKind, x *metav1.PartialObjectMetadata) {
	id := shorten(x.UID)
	if r.tree.objects[id] == nil {
		return
	}
	r.link(&x.ObjectMeta)
	r.tree.objects[id] = &controller{
		object: workload.Object{APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Namespace: x.Namespace, Name: x.Name},
		listed: true, ignore: x.Annotations[workload.IgnoreAnnotation], selected: r.selects(x.Labels),
	}
}

// resource asks how the API server calls a kind.
func (r *reader) resource(gvk schema.GroupVersionKind) (schema.GroupVersionResource, bool, error) {
	known, err := r.c.Kube.Discovery().ServerResourcesForGroupVersion(gvk.GroupVersion().String())
	if err != nil {
		return schema.GroupVersionResource{}, false, err
	}
	for _, k := range known.APIResources {
		if k.Kind == gvk.Kind && slices.Contains(k.Verbs, "list") {
			return gvk.GroupVersion().WithResource(k.Name), k.Namespaced, nil
		}
	}
	return schema.GroupVersionResource{}, false, apierrors.NewNotFound(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, "")
}
