package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
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

// find asks the API server what it knows of the nodes. No way of selecting nodes means all of them: a verb that
// changes nodes refuses that before.
func (t *targets) find(ctx context.Context, client kubernetes.Interface, now time.Time) ([]v1alpha1.NodeStatus, error) {
	nodes, err := cluster.Select(ctx, client, cluster.Selection{
		Names: t.names, Labels: t.selector, Fields: t.fieldSelector, All: len(t.names) == 0 && !t.selected(),
	})
	if err != nil {
		return nil, err
	}
	list := make([]v1alpha1.NodeStatus, len(nodes))
	for i := range nodes {
		list[i] = nodeStatus(&nodes[i], now)
	}
	return list, nil
}

func nodeNames(nodes []v1alpha1.NodeStatus) []string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.Metadata.Name
	}
	return names
}
