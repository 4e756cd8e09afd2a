package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/rollout"
)

// switchFlags are what can be typed behind switch.
type switchFlags struct {
	targets  targets
	run      runFlags
	to       string
	dryRun   string
	facts    string
	plan     string
	detailed bool
	ignore   []string
}

// switchOptions are what switch works with.
type switchOptions struct {
	targets  targets
	run      *runOptions
	to       v1alpha1.RuntimeName
	dryRun   dryRun
	facts    string
	plan     string
	detailed bool
}

func (p *program) newSwitch() *cobra.Command {
	flags := &switchFlags{}
	cmd := &cobra.Command{
		Use:   "switch NODE... --to RUNTIME",
		Short: "Move nodes to another container runtime",
		Long: p.text(`
			Moves nodes to another container runtime, one after another, each in one transaction.

			For each node the plan is shown first: what stops it, what would be repaired, every file with its diff and
			every act in its order. The rules are those of check, about the node and about the workloads with pods on it;
			an error stops the switch unless --ignore names it. Then it is asked for a yes. The target's runtime is started once beside the one that
			serves, with its future configuration, and takes the images in; only then the node is drained and changed.
			The node confirms nothing by itself: unless it is proved well within --confirm-timeout (a fresh Ready, a pod
			on the pod network, its static and DaemonSet pods Ready) it goes back to what was before, on its own.

			The first interrupt (Ctrl-C) ends at the next safe point; the second one at once, and the node's own
			deadline protects it. The same command run again sees an interrupted run to its end.

			--dry-run=client plans from saved facts and reaches no node. --dry-run=server asks the node, checks its
			configuration by really starting the target once, and removes that again. Either way nothing changes.`),
		Example: p.examples(`
			# What would happen to a node
			kubectl runtime switch worker-1 --to containerd --dry-run=server

			# Do it
			kubectl runtime switch worker-1 --to containerd

			# A pool in a pipeline: without a terminal --yes is needed
			kubectl runtime switch -l pool=blue --to cri-o --yes

			# Save a plan, have it reviewed, apply exactly it
			kubectl runtime switch worker-1 --to cri-o --dry-run=server -o yaml > plan.yaml
			kubectl runtime switch --plan plan.yaml

			# Plan without touching a node, from facts that were saved before
			kubectl runtime status worker-1 --deep -o yaml > facts.yaml
			kubectl runtime switch worker-1 --to cri-o --dry-run=client --facts facts.yaml`),
		ValidArgsFunction: p.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := flags.toOptions(args, p)
			if err != nil {
				return err
			}
			return p.runSwitch(cmd.Context(), opts)
		},
	}
	flags.targets.addSelectors(cmd)
	cmd.Flags().BoolVar(&flags.targets.all, "all", false, "All nodes of the cluster")
	cmd.Flags().StringVar(&flags.to, "to", "", "Runtime to move to: "+oneOf(targetNames()))
	cmd.Flags().StringVar(&flags.dryRun, "dry-run", string(dryRunNone), `Change nothing: "client" plans from --facts and reaches no node; "server" asks the node and checks there; "none" does it`)
	cmd.Flags().StringVar(&flags.facts, "facts", "", "File of facts to plan from, with --dry-run=client: what status --deep -o yaml printed (- for standard input)")
	cmd.Flags().StringVar(&flags.plan, "plan", "", "File with the plan to apply, exactly as it is (- for standard input); refused where another one would be made now")
	cmd.Flags().BoolVar(&flags.detailed, "detailed-exitcode", false, "With --dry-run, exit with 2 when there is something to change and 0 when there isn't")
	cmd.Flags().StringSliceVar(&flags.ignore, "ignore", nil, "IDs of findings that shall not stop the switch, such as N004")
	flags.run.add(cmd)
	flags.run.addSwitch(cmd)
	p.completeSwitch(cmd)
	return cmd
}

func (f *switchFlags) toOptions(args []string, p *program) (*switchOptions, error) {
	o := &switchOptions{targets: f.targets, facts: f.facts, plan: f.plan, detailed: f.detailed}
	if err := o.targets.complete(args); err != nil {
		return nil, err
	}
	var err error
	if o.dryRun, err = parseDryRun(f.dryRun); err != nil {
		return nil, err
	}
	if f.to != "" || f.plan == "" {
		if o.to, err = parseTarget(f.to); err != nil {
			return nil, err
		}
	}
	if err := o.consistent(); err != nil {
		return nil, err
	}
	if err := knownRules(f.ignore); err != nil {
		return nil, err
	}
	if o.run, err = f.run.toOptions(p, o.dryRun); err != nil {
		return nil, err
	}
	o.run.engine.Ignore = f.ignore
	return o, nil
}

// consistent refuses flags that contradict each other, before anything is asked of anybody.
func (o *switchOptions) consistent() error {
	switch {
	case o.detailed && o.dryRun == dryRunNone:
		return errors.New("--detailed-exitcode is for --dry-run=client or --dry-run=server")
	case o.facts != "" && o.dryRun != dryRunClient:
		return errors.New("--facts is for --dry-run=client: everything else asks the node itself")
	case o.plan != "" && (o.targets.selected() || o.targets.all):
		return errors.New("--plan names its nodes itself: -l, --field-selector and --all don't go with it")
	case o.plan != "" && o.facts != "":
		return errors.New("--plan and --facts exclude each other: a plan is decided already")
	case o.dryRun == dryRunClient && o.facts == "" && o.plan == "":
		return errors.New("--dry-run=client reaches no node, so it needs --facts FILE (from status NODE --deep -o yaml) or --plan FILE; --dry-run=server asks the node")
	case o.plan == "" && o.facts == "" && o.targets.none():
		return errors.New("name the nodes to switch, select them with -l or --field-selector, or say --all")
	}
	return nil
}

// switchTargets are the runtimes that a switch can lead to.
var switchTargets = []v1alpha1.RuntimeName{v1alpha1.Containerd, v1alpha1.CRIO, v1alpha1.Docker}

func targetNames() []string {
	names := make([]string, len(switchTargets))
	for i, t := range switchTargets {
		names[i] = string(t)
	}
	return names
}

// oneOf lists what there is to choose from.
func oneOf(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// parseTarget reads --to, and helps with the names that people use for a runtime.
func parseTarget(to string) (v1alpha1.RuntimeName, error) {
	if to == "" {
		return "", fmt.Errorf("--to is missing: %s", oneOf(targetNames()))
	}
	name := v1alpha1.RuntimeName(strings.ToLower(to))
	if slices.Contains(switchTargets, name) {
		return name, nil
	}
	if name == "dockershim" {
		return "", fmt.Errorf("unknown runtime %q: docker means Docker behind cri-dockerd, which kubelets from 1.24 on need", to)
	}
	if strings.Contains(string(name), "docker") {
		return "", fmt.Errorf("unknown runtime %q: did you mean docker?", to)
	}
	if near := nearest(strings.NewReplacer("-", "", "_", "").Replace(string(name)), map[string]string{
		"crio": "cri-o", "containerd": "containerd", "docker": "docker",
	}); near != "" {
		return "", fmt.Errorf("unknown runtime %q: did you mean %s?", to, near)
	}
	return "", fmt.Errorf("unknown runtime %q: use %s", to, oneOf(targetNames()))
}

// knownRules refuses IDs that no rule has: a typing error there would switch nothing off.
func knownRules(ids []string) error {
	known := map[string]string{}
	for _, r := range allRules() {
		known[r.ID] = r.ID
	}
	for _, id := range ids {
		if known[id] != "" {
			continue
		}
		if near := nearest(strings.ToUpper(id), known); near != "" {
			return fmt.Errorf("--ignore %s: no rule has that ID; did you mean %s?", id, near)
		}
		return fmt.Errorf("--ignore %s: no rule has that ID", id)
	}
	return nil
}

// runSwitch is switch behind its flags.
func (p *program) runSwitch(ctx context.Context, o *switchOptions) error {
	switch {
	case o.facts != "":
		return p.planFromFacts(o)
	case o.plan != "":
		return p.applyPlans(ctx, o)
	}
	s, err := p.newSession(ctx, o.run, fmt.Sprintf("switch NODE --to %s --dry-run=server", o.to))
	if err != nil {
		return err
	}
	defer s.close()
	nodes, err := o.targets.find(ctx, s.client, p.Now())
	if err != nil {
		return err
	}
	prepare := func(ctx context.Context, node string) (*rollout.Prepared, error) {
		return s.engine.Prepare(ctx, node, o.to)
	}
	return s.run(ctx, nodeNames(nodes), prepare, o.dryRun, o.detailed)
}

// dryRun is the value of --dry-run.
type dryRun string

const (
	dryRunNone   dryRun = "none"
	dryRunClient dryRun = "client"
	dryRunServer dryRun = "server"
)

func parseDryRun(s string) (dryRun, error) {
	switch d := dryRun(s); d {
	case dryRunNone, dryRunClient, dryRunServer:
		return d, nil
	}
	return "", fmt.Errorf("--dry-run=%s: use none, client or server", s)
}

// nearest returns the value of the key that is at most two edits away; empty where none is.
func nearest(word string, of map[string]string) string {
	best, distance := "", 3
	for key, value := range of {
		if d := edits(word, key); d < distance || d == distance && value < best {
			best, distance = value, d
		}
	}
	return best
}

// edits is the Levenshtein distance of two words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			last, row[j+1] = row[j+1], min(last+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
