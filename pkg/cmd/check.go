package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster/inventory"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/report"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/ui"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// checkFlags are what can be typed behind check.
type checkFlags struct {
	targets   targets
	files     []string
	recursive bool
	nodes     bool
	all       bool
	selector  string
	to        string
	ignore    []string
	failOn    string
	format    string
	image     string
}

// checkOptions are what check works with.
type checkOptions struct {
	// targets are the nodes that are asked themselves, where asked is set.
	targets   targets
	asked     bool
	files     []string
	recursive bool
	namespace string
	selector  labels.Selector
	to        v1alpha1.RuntimeName
	ignore    []string
	failOn    v1alpha1.Severity // empty: never
	format    string
	image     string
}

func (p *program) newCheck() *cobra.Command {
	flags := &checkFlags{}
	cmd := &cobra.Command{
		Use:   "check [NODE... | -f FILE]",
		Short: "Find what depends on a node's container runtime before it changes",
		Long: p.text(`
			Finds what would break when nodes get another container runtime, and says what to do about it: workloads that
			mount or call the old runtime, read its logs or its store, need what the target does otherwise, or would not
			let their node go; settings of the cluster; and, of nodes that are asked themselves, everything on them.

			Without arguments the whole cluster is looked at, through the API server alone: every pod, static pods too,
			and every template, with or without pods. Each finding is reported once, at the topmost owner.

			With NODE the workloads with pods on these nodes are looked at, and the nodes themselves, each through a pod
			in kube-system that is deleted again; nothing on them is changed. There it finds who uses the old runtime
			without Kubernetes, too: processes, containers, units, cron jobs and scripts. With --nodes the cluster and all its nodes.

			With -f manifests are looked at and no cluster: YAML and JSON, Lists, what helm template and kustomize build
			print, and custom kinds by the pod templates in them.

			An error stops a switch, a fixable finding is repaired by it, a warning wants to be looked at. A finding is
			ignored by --ignore ID, or for good by an annotation of the object or its pod template that says why:
			kubectl-runtime/ignore: "W002,W007: goes away in May". What is ignored is shown and not counted.

			Here -n is the namespace of the workloads; without it all are looked at. What may not be read is said, and
			the rest is checked.

			Exit codes: 0 nothing that fails the check; 2 findings at or above --fail-on; 1 something could not be
			looked at.`),
		Example: p.examples(`
			# Everything in the cluster that depends on the runtime its nodes have
			kubectl runtime check

			# What stands in the way of containerd, on one node and in the workloads on it
			kubectl runtime check worker-1 --to containerd

			# The cluster and all its nodes, as a page for the teams that own the workloads
			kubectl runtime check --nodes --to cri-o -o html > report.html

			# Manifests in a pipeline, for GitHub's code scanning
			kubectl runtime check -f deploy/ -R -o sarif > check.sarif

			# What a chart would bring, before it is installed
			helm template ./chart | kubectl runtime check -f - --to containerd --fail-on=warning`),
		ValidArgsFunction: p.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := flags.toOptions(args, p)
			if err != nil {
				return err
			}
			return p.check(cmd.Context(), opts)
		},
	}
	f := cmd.Flags()
	f.StringSliceVarP(&flags.files, "filename", "f", nil, "Files and folders of manifests to look at instead of a cluster (- for standard input)")
	f.BoolVarP(&flags.recursive, "recursive", "R", false, "With -f, the folders in folders too")
	f.BoolVar(&flags.nodes, "nodes", false, "Ask all nodes themselves too, each through a pod")
	f.BoolVarP(&flags.all, "all-namespaces", "A", false, "Workloads of all namespaces, which is the default")
	f.StringVarP(&flags.selector, "selector", "l", "", "Only workloads whose labels, or whose pods' labels, match")
	f.StringVar(&flags.to, "to", "", "Report only what matters for this runtime: "+oneOf(targetNames()))
	f.StringSliceVar(&flags.ignore, "ignore", nil, "IDs of findings that don't count, such as W002")
	f.StringVar(&flags.failOn, "fail-on", string(v1alpha1.SeverityError), `Findings that make the exit code 2: "error", "warning" (and errors) or "never"`)
	f.StringVarP(&flags.format, "output", "o", "", "Output format: "+formatsUsage(checkFormats()))
	f.StringVar(&flags.image, "image", "", imageUsage)
	p.completeCheck(cmd)
	return cmd
}

// checkFormats are the formats of findings: a wide list, and documents.
func checkFormats() []string {
	formats := []string{"wide"}
	for _, f := range report.Formats() {
		formats = append(formats, string(f))
	}
	return formats
}

func (f *checkFlags) toOptions(args []string, p *program) (*checkOptions, error) {
	o := &checkOptions{targets: f.targets, files: f.files, recursive: f.recursive, format: f.format, image: f.image, selector: labels.Everything()}
	if err := o.targets.complete(args); err != nil {
		return nil, err
	}
	o.asked = f.nodes || len(o.targets.names) > 0
	if ns := p.config.Namespace; ns != nil {
		o.namespace = *ns
	}
	switch {
	case len(f.files) > 0 && o.asked:
		return nil, errors.New("manifests are checked with -f, nodes by their names or --nodes: not both")
	case f.nodes && len(o.targets.names) > 0:
		return nil, errors.New("--nodes excludes named nodes: it means all of them")
	case f.recursive && len(f.files) == 0:
		return nil, errors.New("-R goes with -f")
	case f.all && o.namespace != "":
		return nil, errors.New("-A means all namespaces, -n one of them: not both")
	case f.image != "" && !o.asked:
		return nil, errors.New("--image is that of the pods on nodes: it goes with NODE or --nodes")
	case f.format != "" && !slices.Contains(checkFormats(), f.format):
		return nil, fmt.Errorf("-o %s: use one of %s", f.format, formatsUsage(checkFormats()))
	}
	var err error
	if f.to != "" {
		if o.to, err = parseTarget(f.to); err != nil {
			return nil, err
		}
	}
	if f.selector != "" {
		if o.selector, err = labels.Parse(f.selector); err != nil {
			return nil, fmt.Errorf("-l %q isn't a label selector: %w", f.selector, err)
		}
	}
	if o.failOn, err = parseFailOn(f.failOn); err != nil {
		return nil, err
	}
	for _, id := range f.ignore {
		o.ignore = append(o.ignore, strings.ToUpper(strings.TrimSpace(id)))
	}
	return o, knownRules(o.ignore)
}

func parseFailOn(s string) (v1alpha1.Severity, error) {
	switch x := v1alpha1.Severity(s); x {
	case v1alpha1.SeverityError, v1alpha1.SeverityWarning:
		return x, nil
	case "never":
		return "", nil
	}
	return "", fmt.Errorf("--fail-on=%s: use error, warning or never", s)
}

// fails reports whether a finding makes the check fail. What the plan repairs never does.
func (o *checkOptions) fails(f v1alpha1.Finding) bool {
	switch {
	case f.Suppressed != "" || o.failOn == "":
		return false
	case o.failOn == v1alpha1.SeverityWarning:
		return f.Severity == v1alpha1.SeverityError || f.Severity == v1alpha1.SeverityWarning
	}
	return f.Severity == v1alpha1.SeverityError
}

// check is the command behind its flags.
func (p *program) check(ctx context.Context, o *checkOptions) error {
	defer debug.SetGCPercent(debug.SetGCPercent(inventory.GCPercent))
	u := p.ui()
	r := &report.Report{To: o.to, Program: p.Name, When: p.Now()}
	if v, err := thisVersion(); err == nil {
		r.Version = v.Version
	}
	var err error
	if len(o.files) > 0 {
		err = p.checkFiles(o, r)
	} else {
		err = p.checkCluster(ctx, u, o, r)
	}
	if err != nil {
		return err
	}
	o.suppress(r.Findings)
	check.Sort(r.Findings)
	if o.format == "" || o.format == "wide" {
		u.Check(r, o.format == "wide")
		u.CheckFooter(r, p.afterCheck(o, r))
	} else if err := r.Write(reportTo(u, report.Format(o.format)), report.Format(o.format), o.fails); err != nil {
		return err
	}
	for _, problem := range r.Problems {
		u.Error(errors.New(problem))
	}
	switch {
	case slices.ContainsFunc(r.Findings, o.fails):
		return ended{codeChanges}
	case len(r.Problems) > 0:
		return ended{codeError}
	}
	return nil
}

// suppress marks what --ignore names. A firm rule's refusal can't be ignored: a switch would be refused all the same.
func (o *checkOptions) suppress(findings []v1alpha1.Finding) {
	for i := range findings {
		f := &findings[i]
		if f.Suppressed == "" && slices.Contains(o.ignore, f.ID) && !check.Firm(f.ID) {
			f.Suppressed = "by --ignore"
		}
	}
}

// afterCheck is the next command; empty where nothing follows from here.
func (p *program) afterCheck(o *checkOptions, r *report.Report) string {
	to := "RUNTIME"
	if o.to != "" {
		to = string(o.to)
	}
	switch {
	case len(o.files) > 0:
		return ""
	case !o.asked:
		return fmt.Sprintf("%s check NODE --to %s", p.Name, to)
	case len(r.Nodes) > 0 && o.to != "":
		return fmt.Sprintf("%s switch %s --to %s --dry-run=server", p.Name, r.Nodes[0].Name, to)
	case len(r.Nodes) > 0:
		return fmt.Sprintf("%s check %s --to %s", p.Name, r.Nodes[0].Name, to)
	}
	return ""
}

// allRules are the rules about nodes and about workloads, in the order of their IDs.
func allRules() []report.Rule { return append(nodeRules(), workloadRules()...) }

func nodeRules() []report.Rule {
	var out []report.Rule
	for _, r := range check.List() {
		out = append(out, report.Rule{ID: r.ID, Title: r.Title, Doc: r.Doc})
	}
	return out
}

func workloadRules() []report.Rule {
	var out []report.Rule
	for _, r := range workload.Rules() {
		out = append(out, report.Rule{ID: r.ID, Title: r.Title, Doc: r.Doc})
	}
	return out
}

// reportTo is where a report goes: what people will read in a browser or among a pipeline's results leads nobody's eyes astray.
func reportTo(u *ui.UI, f report.Format) io.Writer {
	if f == report.JSON || f == report.YAML {
		return u.Documents()
	}
	return u.Out()
}
