package cmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/rollout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/ui"
)

// rollbackFlags are what can be typed behind rollback.
type rollbackFlags struct {
	targets targets
	list    *outputFlags
	run     runFlags
	toRun   string
	dryRun  string
	deep    bool
}

// rollbackOptions are what rollback works with: either a list of runs, or nodes that go back.
type rollbackOptions struct {
	targets targets
	output  *output
	deep    bool
	image   string

	run    *runOptions
	toRun  string
	dryRun dryRun
}

func (p *program) newRollback() *cobra.Command {
	flags := &rollbackFlags{list: newOutputFlags()}
	cmd := &cobra.Command{
		Use:   "rollback [NODE...]",
		Short: "List what was done to nodes, and take nodes back",
		Long: p.text(`
			Without a node: lists the last run of every node, as its annotation tells. With --deep the nodes are asked,
			each through a pod that is deleted again, and all runs that they keep are listed.

			With nodes: takes them back to what was before their last run, or before --to-run; what was undone
			already is passed over. That is a switch like any
			other, with the same plan, prompt, drain, proof and deadline. It refuses when a file was changed since, as
			kubeadm upgrade does, shows which, and names the switch that returns to the earlier runtime and keeps the
			change. It refuses, too, when the earlier runtime could not serve this kubelet any more. A run that is still
			open is taken back at once.`),
		Example: p.examples(`
			# What was done
			kubectl runtime rollback

			# Back to what was before the last run
			kubectl runtime rollback worker-1

			# Back to what was before a certain run
			kubectl runtime rollback worker-1 --to-run r-7f3a0b1c`),
		ValidArgsFunction: p.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := flags.toOptions(args, p)
			if err != nil {
				return err
			}
			if len(opts.targets.names) == 0 {
				return p.listRuns(cmd.Context(), opts)
			}
			return p.rollback(cmd.Context(), opts)
		},
	}
	flags.run.add(cmd)
	// One flag for both: the list has more formats than plans have.
	cmd.Flags().Lookup("output").Usage = "Of the list: " + formatsUsage(allFormats()) + "; of nodes that go back: their plans as json or yaml"
	flags.list.addTemplate(cmd)
	flags.targets.addSelectors(cmd)
	cmd.Flags().StringVar(&flags.toRun, "to-run", "", "Go back to what was before this run (default the node's last)")
	cmd.Flags().StringVar(&flags.dryRun, "dry-run", string(dryRunNone), `Change nothing: "server" asks the node, plans and checks there; "none" does it`)
	cmd.Flags().BoolVar(&flags.deep, "deep", false, "List all runs that the nodes keep, by asking them")
	p.completeRollback(cmd)
	return cmd
}

func (f *rollbackFlags) toOptions(args []string, p *program) (*rollbackOptions, error) {
	o := &rollbackOptions{targets: f.targets, deep: f.deep, image: f.run.image, toRun: f.toRun}
	if err := o.targets.complete(args); err != nil {
		return nil, err
	}
	if len(o.targets.names) == 0 {
		if f.toRun != "" {
			return nil, errors.New("--to-run needs the node that goes back: name it")
		}
		if f.run.yes {
			return nil, errors.New("name the nodes that go back: without a node rollback only lists runs")
		}
		var err error
		o.output, err = f.list.toOutputAs(f.run.format)
		return o, err
	}
	var err error
	if o.dryRun, err = parseDryRun(f.dryRun); err != nil {
		return nil, err
	}
	switch {
	case o.dryRun == dryRunClient:
		return nil, errors.New("--dry-run=client isn't possible here: what was before a run is known on the node alone; use --dry-run=server")
	case o.deep:
		return nil, errors.New("--deep is for the list of runs, without a node")
	case o.toRun != "" && len(o.targets.names) > 1:
		return nil, errors.New("--to-run names one node's run: name that node alone")
	}
	o.run, err = f.run.toOptions(p, o.dryRun)
	return o, err
}

// rollback takes nodes back.
func (p *program) rollback(ctx context.Context, o *rollbackOptions) error {
	s, err := p.newSession(ctx, o.run, "rollback NODE --dry-run=server")
	if err != nil {
		return err
	}
	defer s.close()
	s.back = true
	if _, err := o.targets.find(ctx, s.client, p.Now()); err != nil {
		return err
	}
	prepare := func(ctx context.Context, node string) (*rollout.Prepared, error) {
		return s.engine.PrepareRollback(ctx, node, o.toRun)
	}
	return s.run(ctx, o.targets.names, prepare, o.dryRun, false)
}

// listRuns is rollback without a node.
func (p *program) listRuns(ctx context.Context, o *rollbackOptions) error {
	u := p.ui()
	client, config, err := p.clients(u)
	if err != nil {
		return err
	}
	nodes, err := o.targets.find(ctx, client, p.Now())
	if err != nil && !errors.Is(err, cluster.ErrNoMatch) {
		return err
	}
	var runs []v1alpha1.NodeRun
	failed := false
	if o.deep {
		list, err := p.gather(ctx, u, client, config, o.image, nodes)
		if err != nil {
			return err
		}
		for _, g := range list {
			if g.Facts == nil {
				failed = true
				u.Warn("%s: %v", g.Node, g.Err)
				continue
			}
			for _, r := range g.Facts.Runs {
				runs = append(runs, nodeRun(g.Node, r))
			}
		}
	} else {
		for _, n := range nodes {
			if n.LastRun != nil {
				runs = append(runs, nodeRun(n.Metadata.Name, recorded(n)))
			}
		}
	}
	if err := o.output.list(u, v1alpha1.KindNodeRun, documents(runs), ui.RunTable(runs, p.Now())); err != nil {
		return err
	}
	if o.output.human {
		u.RunFooter(runs, p.Name)
	}
	if failed {
		return ended{codeError}
	}
	return nil
}

func nodeRun(node string, r v1alpha1.Run) v1alpha1.NodeRun {
	r.Node = node
	return v1alpha1.NodeRun{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindNodeRun, Metadata: v1alpha1.ObjectName{Name: node}, Run: r}
}

// recorded is a run as far as the node's annotation tells.
func recorded(n v1alpha1.NodeStatus) v1alpha1.Run {
	l := n.LastRun
	return v1alpha1.Run{
		APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindRun, ID: l.Run, From: l.From, To: l.To, Phase: l.Phase,
		By: l.By, Created: l.When, Changed: l.When, Reason: l.Reason,
	}
}
