package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/pager"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// targets are the nodes that a command line names.
type targets struct {
	names         []string
	selector      string
	fieldSelector string
	all           bool
}

func (t *targets) addSelectors(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&t.selector, "selector", "l", "", "Nodes whose labels match, such as -l pool=blue or -l '!node-role.kubernetes.io/control-plane'")
	cmd.Flags().StringVar(&t.fieldSelector, "field-selector", "", "Nodes whose fields match, such as --field-selector spec.unschedulable=false")
}

// complete takes the arguments, which may be written as kubectl prints them (node/NAME), and refuses what contradicts
// itself.
func (t *targets) complete(args []string) error {
	seen := map[string]bool{}
	for _, arg := range args {
		kind, name, slash := strings.Cut(arg, "/")
		switch {
		case !slash:
			name = arg
		case kind != "node" && kind != "nodes" && kind != "no" || name == "":
			return fmt.Errorf("%q isn't a node", arg)
		}
		if name == "" {
			return errors.New("the name of a node is empty")
		}
		if seen[name] {
			return fmt.Errorf("node %q is named twice", name)
		}
		seen[name] = true
		t.names = append(t.names, name)
	}
	if len(t.names) > 0 && t.selected() {
		return errors.New("nodes are named, or selected with -l and --field-selector: not both")
	}
	if t.all && (len(t.names) > 0 || t.selected()) {
		return errors.New("--all excludes named nodes, -l and --field-selector")
	}
	if _, err := labels.Parse(t.selector); err != nil {
		return fmt.Errorf("-l %q isn't a label selector: %w", t.selector, err)
	}
	if _, err := fields.ParseSelector(t.fieldSelector); err != nil {
		return fmt.Errorf("--field-selector %q isn't a field selector: %w", t.fieldSelector, err)
	}
	return nil
}

func (t *targets) selected() bool { return t.selector != "" || t.fieldSelector != "" }

// none reports whether the command line names no node in any way.
func (t *targets) none() bool { return len(t.names) == 0 && !t.selected() && !t.all }

// find asks the API server what it knows of the nodes, and at which version. Named nodes come in the order of the
// command line, others in the server's.
func (t *targets) find(ctx context.Context, client kubernetes.Interface) ([]v1alpha1.NodeStatus, string, error) {
	if len(t.names) > 0 {
		nodes, err := getNodes(ctx, client, t.names)
		return nodes, "", err
	}
	pages := pager.New(func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
		return client.CoreV1().Nodes().List(ctx, opts)
	})
	list, _, err := pages.List(ctx, metav1.ListOptions{LabelSelector: t.selector, FieldSelector: t.fieldSelector})
	if err != nil {
		return nil, "", fmt.Errorf("listing nodes: %w", err)
	}
	accessor, err := meta.ListAccessor(list)
	if err != nil {
		return nil, "", fmt.Errorf("listing nodes: %w", err)
	}
	var nodes []v1alpha1.NodeStatus
	err = meta.EachListItem(list, func(o runtime.Object) error {
		if node, ok := o.(*corev1.Node); ok {
			nodes = append(nodes, nodeStatus(node))
		}
		return nil
	})
	return nodes, accessor.GetResourceVersion(), err
}

func getNodes(ctx context.Context, client kubernetes.Interface, names []string) ([]v1alpha1.NodeStatus, error) {
	nodes := make([]v1alpha1.NodeStatus, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, name := range names {
		group.Go(func() error {
			node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return fmt.Errorf("node %q not found", name)
			}
			if err != nil {
				return fmt.Errorf("reading node %q: %w", name, err)
			}
			nodes[i] = nodeStatus(node)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return nodes, nil
}

func nodeNames(nodes []v1alpha1.NodeStatus) []string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.Metadata.Name
	}
	return names
}
