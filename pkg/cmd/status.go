package cmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/ui"
)

// statusFlags are what can be typed behind status.
type statusFlags struct {
	targets targets
	output  *outputFlags
	watch   bool
	deep    bool
	image   string
}

// statusOptions are what status works with.
type statusOptions struct {
	targets targets
	output  *output
	watch   bool
	deep    bool
	image   string
}

func (p *program) newStatus() *cobra.Command {
	flags := &statusFlags{output: newOutputFlags()}
	cmd := &cobra.Command{
		Use:   "status [NODE...]",
		Short: "Show which runtime serves which node, and in which state",
		Long: p.text(`
			Shows one line a node from the API server alone: the runtime and its version, the endpoint where kubeadm
			recorded it, the kubelet's version, the state and the last run.

			With --deep the nodes themselves are asked, each through a pod that is deleted again: every place that sets
			the endpoint and which of them wins, installed runtimes, units, sockets, cgroup drivers, stores and kept runs.

			States: Settled (nothing under way), NotReady (nothing under way and the node isn't Ready, or it isn't heard of),
			Switching, RollingBack, RolledBack (the last run was rolled back; the node is as before), Stuck (a person is
			needed). A run whose node isn't heard of, or whose time is over, is named in the reason.`),
		Example: p.examples(`
			# All nodes
			kubectl runtime status

			# Follow the nodes of a pool
			kubectl runtime status -l pool=blue --watch

			# Nodes that still run on Docker
			kubectl runtime status -o jsonpath='{range .items[?(@.runtime=="docker")]}{.metadata.name}{"\n"}{end}'

			# Everything that one node can tell
			kubectl runtime status worker-1 --deep`),
		ValidArgsFunction: p.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := flags.toOptions(args)
			if err != nil {
				return err
			}
			return p.status(cmd.Context(), opts)
		},
	}
	flags.targets.addSelectors(cmd)
	flags.output.add(cmd)
	cmd.Flags().BoolVarP(&flags.watch, "watch", "w", false, "Go on and print a line whenever a node's line changes")
	cmd.Flags().BoolVar(&flags.deep, "deep", false, "Ask the nodes themselves; name them, select them, or say --all")
	cmd.Flags().BoolVar(&flags.targets.all, "all", false, "All nodes: with --deep, where no node is named")
	cmd.Flags().StringVar(&flags.image, "image", "", imageUsage)
	return cmd
}

func (f *statusFlags) toOptions(args []string) (*statusOptions, error) {
	o := &statusOptions{targets: f.targets, watch: f.watch, deep: f.deep, image: f.image}
	if err := o.targets.complete(args); err != nil {
		return nil, err
	}
	switch {
	case o.deep && o.watch:
		return nil, errors.New("--deep and --watch exclude each other: a watch sees what the API server knows")
	case o.deep && o.targets.none():
		return nil, errors.New("--deep puts a pod on every node that it asks: name nodes, select them with -l, or say --all")
	case o.image != "" && !o.deep:
		return nil, errors.New("--image is for --deep: without it no pod is started")
	}
	var err error
	o.output, err = f.output.toOutput()
	return o, err
}

func (p *program) status(ctx context.Context, o *statusOptions) error {
	u := p.ui()
	client, config, err := p.clients(u)
	if err != nil {
		return err
	}
	version := ""
	if o.watch {
		// Read before the nodes: what changes in between comes again, and is then no change.
		if version, err = currentVersion(ctx, client); err != nil {
			return err
		}
	}
	nodes, err := o.targets.find(ctx, client, p.Now())
	if err != nil && !errors.Is(err, cluster.ErrNoMatch) {
		return err
	}
	if o.deep {
		return p.statusDeep(ctx, u, client, config, o, nodes)
	}
	if err := printNodes(u, o.output, nodes, p); err != nil {
		return err
	}
	if o.watch {
		return p.watch(ctx, u, client, o, nodes, version)
	}
	if o.output.human {
		u.NodeFooter(nodes, p.Name)
	}
	return nil
}

func printNodes(u *ui.UI, out *output, nodes []v1alpha1.NodeStatus, p *program) error {
	return out.list(u, v1alpha1.KindNodeStatus, documents(nodes), ui.NodeTable(nodes, p.Now()))
}

func documents[T any](list []T) []any {
	docs := make([]any, len(list))
	for i := range list {
		docs[i] = list[i]
	}
	return docs
}
