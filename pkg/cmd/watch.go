package cmd

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	clientwatch "k8s.io/client-go/tools/watch"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/ui"
)

// watch prints a node's line whenever it changes; the kubelet's heartbeats alone change nothing in it.
func (p *program) watch(ctx context.Context, u *ui.UI, client kubernetes.Interface, o *statusOptions, nodes []v1alpha1.NodeStatus, version string) error {
	last := map[string]v1alpha1.NodeStatus{}
	for _, n := range nodes {
		last[n.Metadata.Name] = n
	}
	selected := func(string) bool { return true }
	opts := metav1.ListOptions{LabelSelector: o.targets.selector, FieldSelector: o.targets.fieldSelector}
	if names := o.targets.names; len(names) > 0 {
		selected = func(name string) bool { _, ok := last[name]; return ok }
		if len(names) == 1 {
			opts.FieldSelector = fields.OneTermEqualSelector("metadata.name", names[0]).String()
		}
	}
	w, err := clientwatch.NewRetryWatcherWithContext(ctx, version, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, more metav1.ListOptions) (watch.Interface, error) {
			more.LabelSelector, more.FieldSelector = opts.LabelSelector, opts.FieldSelector
			return client.CoreV1().Nodes().Watch(ctx, more)
		},
	})
	if err != nil {
		return fmt.Errorf("watching nodes: %w", err)
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			// Whoever ends a watch has seen what there was to see.
			return ended{codeInterrupted}
		case event, open := <-w.ResultChan():
			if !open {
				return errors.New("watching nodes: the API server ended the watch")
			}
			if event.Type == watch.Error {
				return fmt.Errorf("watching nodes: %w", apierrors.FromObject(event.Object))
			}
			node, ok := event.Object.(*corev1.Node)
			if !ok || !selected(node.Name) {
				continue
			}
			status := nodeStatus(node, p.Now())
			if event.Type == watch.Deleted {
				status.Reason = "node was deleted"
			}
			if reflect.DeepEqual(status, last[node.Name]) {
				continue
			}
			last[node.Name] = status
			if err := o.output.one(u, status, ui.NodeTable([]v1alpha1.NodeStatus{status}, p.Now())); err != nil {
				return err
			}
		}
	}
}

// currentVersion is the version at which a watch of nodes can begin.
func currentVersion(ctx context.Context, client kubernetes.Interface) (string, error) {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return "", fmt.Errorf("listing nodes: %w", err)
	}
	return list.ResourceVersion, nil
}
