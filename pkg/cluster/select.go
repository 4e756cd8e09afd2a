package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/pager"
)

// Selection says which nodes are meant: by name, or by selectors, or all of them — never all in silence.
type Selection struct {
	Names  []string
	Labels string
	Fields string
	All    bool
}

// ErrNothingSelected says that no way of selecting nodes was used.
var ErrNothingSelected = errors.New("no node selected: name nodes, or use -l, --field-selector or --all")

// ErrNoMatch says that the selectors match no node.
var ErrNoMatch = errors.New("no node matches")

// fewNames is up to how many nodes are read one by one; more are read in one list.
const fewNames = 5

// Select reads the nodes that are meant: named ones in the order they were named, others by name. Every name must
// exist; one that is given twice counts once.
func Select(ctx context.Context, client kubernetes.Interface, s Selection) ([]corev1.Node, error) {
	selectors := s.Labels != "" || s.Fields != ""
	switch {
	case len(s.Names) > 0 && (selectors || s.All):
		return nil, errors.New("nodes can be named or selected, not both")
	case selectors && s.All:
		return nil, errors.New("--all can't be used together with -l or --field-selector")
	case len(s.Names) > 0:
		return named(ctx, client, s.Names)
	case !selectors && !s.All:
		return nil, ErrNothingSelected
	}
	nodes, err := list(ctx, client, metav1.ListOptions{LabelSelector: s.Labels, FieldSelector: s.Fields})
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	if len(nodes) == 0 {
		return nil, ErrNoMatch
	}
	slices.SortFunc(nodes, func(a, b corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	return nodes, nil
}

func named(ctx context.Context, client kubernetes.Interface, names []string) ([]corev1.Node, error) {
	var unique []string
	for _, name := range names {
		name = strings.TrimPrefix(strings.TrimPrefix(name, "node/"), "nodes/")
		if !slices.Contains(unique, name) {
			unique = append(unique, name)
		}
	}
	found := map[string]corev1.Node{}
	if len(unique) > fewNames {
		nodes, err := list(ctx, client, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("listing nodes: %w", err)
		}
		for _, n := range nodes {
			found[n.Name] = n
		}
	} else {
		for _, name := range unique {
			n, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("reading node %s: %w", name, err)
			}
			found[name] = *n
		}
	}
	var out []corev1.Node
	var missing []string
	for _, name := range unique {
		if n, ok := found[name]; ok {
			out = append(out, n)
		} else {
			missing = append(missing, fmt.Sprintf("%q", name))
		}
	}
	switch len(missing) {
	case 0:
		return out, nil
	case 1:
		return nil, fmt.Errorf("there is no node %s", missing[0])
	}
	return nil, fmt.Errorf("there are no nodes %s", strings.Join(missing, ", "))
}

func list(ctx context.Context, client kubernetes.Interface, o metav1.ListOptions) ([]corev1.Node, error) {
	var nodes []corev1.Node
	p := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		return client.CoreV1().Nodes().List(ctx, o)
	})
	err := p.EachListItem(ctx, o, func(x runtime.Object) error {
		n, ok := x.(*corev1.Node)
		if !ok {
			return fmt.Errorf("a list of nodes holds a %T", x)
		}
		nodes = append(nodes, *n)
		return nil
	})
	return nodes, err
}

// ControlPlane reports whether a node runs the cluster's control plane, by the labels that kubeadm has given over time.
func ControlPlane(node *corev1.Node) bool {
	for _, role := range []string{"control-plane", "master"} {
		if _, ok := node.Labels["node-role.kubernetes.io/"+role]; ok {
			return true
		}
	}
	return false
}

// Order names nodes in the order in which a rollout takes them: workers as they come, control planes last.
func Order(nodes []corev1.Node) []string {
	var workers, controls []string
	for i := range nodes {
		if ControlPlane(&nodes[i]) {
			controls = append(controls, nodes[i].Name)
		} else {
			workers = append(workers, nodes[i].Name)
		}
	}
	return append(workers, controls...)
}
