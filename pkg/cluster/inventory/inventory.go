// Package inventory reads from the API server everything that rules about workloads look at. It lists, in pages, and asks for no
// single object; what it has no use for it drops page by page, so that a hundred thousand pods fit into a laptop's memory.
package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// Clients reach the API server: Kube for the kinds that everybody has, Meta for the owners of other kinds.
type Clients struct {
	Kube kubernetes.Interface
	Meta metadata.Interface
}

// Options narrow what is read.
type Options struct {
	// Namespace is the only one that is looked at; empty means all.
	Namespace string
	// Selector leaves out workloads unless it matches their own labels or those of their pods; nil matches all.
	Selector labels.Selector
	// Own matches the labels of pods that go before a runtime does, as the tool's own; nil matches none.
	Own labels.Selector
}

// GCPercent is by how many percent the heap of a program that reads a cluster should grow before it is collected (debug.SetGCPercent):
// most of what is read is dropped at once, and half of the memory is worth a second.
const GCPercent = 40

// parallel bounds the lists that are under way at once.
const parallel = 3

// Read lists the cluster. What may not be read is told in the inventory's Unread, and the rest is there; where nothing that makes
// pods may be read it is a *cluster.DeniedError.
func Read(ctx context.Context, c Clients, o Options) (*workload.Inventory, error) {
	r := newReader(c, o)
	// Templates come before pods: of a pod whose template is known only the name is kept. Volumes come before them too, and
	// ConfigMaps behind, as only those are kept that somebody mounts.
	if err := r.all(ctx, append(r.templates(), r.settings()...)); err != nil {
		return nil, err
	}
	if err := r.all(ctx, []kind{r.pods()}); err != nil {
		return nil, err
	}
	switch {
	case r.read > 0:
	case r.missing:
		return nil, errors.New("this API server serves none of the kinds that make pods")
	default:
		return nil, &cluster.DeniedError{Missing: cluster.CheckRights(o.Namespace)}
	}
	if err := r.customOwners(ctx); err != nil {
		return nil, err
	}
	r.finish()
	texts, services := map[workload.Key]bool{}, map[workload.Key]bool{}
	for i := range r.inv.Workloads {
		references(&r.inv.Workloads[i], texts)
		daemons(&r.inv.Workloads[i], services)
	}
	if err := r.all(ctx, append(r.services(services), r.configMaps(o.Namespace, texts))); err != nil {
		return nil, err
	}
	r.machines(ctx)
	slices.Sort(r.inv.Unread)
	return r.inv, ctx.Err()
}

// kind is one list of the API server.
type kind struct {
	// what names the objects, loses what nobody knows without them.
	what, loses string
	// makesPods says that an inventory without this is none.
	makesPods bool
	// wide is what no namespace narrows.
	wide bool
	list func(ctx context.Context) error
}

// reader is one reading of the cluster.
type reader struct {
	c Clients
	o Options

	mu    sync.Mutex // guards what follows: lists run side by side
	inv   *workload.Inventory
	tree  *tree
	words words
	// sources are those of variables, by their kind and name.
	sources map[[2]string]*corev1.EnvVarSource
	// entries are the workloads by the UID of what has the template, or of what controls the pods.
	entries map[uid]*entry
	// read counts the kinds that make pods and could be read.
	read int
	// missing says that some kind isn't served at all.
	missing bool
}

func newReader(c Clients, o Options) *reader {
	if o.Selector == nil {
		o.Selector = labels.Everything()
	}
	return &reader{c: c, o: o, inv: &workload.Inventory{
		ConfigMaps: map[workload.Key]map[string]string{}, Volumes: map[string]corev1.PersistentVolumeSource{}, Claims: map[workload.Key]string{},
		RuntimeClasses: map[string]string{}, Services: map[workload.Key]map[string]string{}, Backed: map[workload.Key]bool{},
	}, tree: newTree(), words: words{}, sources: map[[2]string]*corev1.EnvVarSource{}, entries: map[uid]*entry{}}
}

// all lists some kinds side by side.
func (r *reader) all(ctx context.Context, kinds []kind) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, k := range kinds {
		group.Go(func() error {
			err := k.list(ctx)
			r.mu.Lock()
			defer r.mu.Unlock()
			if err == nil && k.makesPods {
				r.read++
			}
			return r.unread(k, err)
		})
	}
	return group.Wait()
}

// unread takes a refusal for an answer. The caller holds the lock.
func (r *reader) unread(k kind, err error) error {
	scope := ""
	if r.o.Namespace != "" && !k.wide {
		scope = " in " + r.o.Namespace
	}
	switch {
	case err == nil:
	case apierrors.IsForbidden(err):
		r.inv.Unread = append(r.inv.Unread, fmt.Sprintf("%s%s may not be read with these credentials: %s", k.what, scope, k.loses))
	case apierrors.IsNotFound(err):
		r.missing = r.missing || k.makesPods
		r.inv.Unread = append(r.inv.Unread, fmt.Sprintf("%s aren't served by this API server in the version that is asked for: %s", k.what, k.loses))
	default:
		return fmt.Errorf("listing %s%s: %w", k.what, scope, err)
	}
	return nil
}
