package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster/inventory"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/report"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/ui"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

func labelSet(set map[string]string) labels.Set { return set }

// checkCluster looks at what the API server knows, and at the nodes themselves where that is asked for.
func (p *program) checkCluster(ctx context.Context, u *ui.UI, o *checkOptions, r *report.Report) error {
	client, config, err := p.clients(u)
	if err != nil {
		return err
	}
	var nodes []v1alpha1.NodeStatus
	if o.asked {
		if nodes, err = o.targets.find(ctx, client, p.Now()); err != nil {
			return err
		}
	}
	inv, err := readInventory(ctx, config, o)
	if err != nil {
		return err
	}
	r.Findings = workload.Check(inv, workload.Options{To: o.to, From: served(inv, o.targets.names)})
	if names := o.targets.names; len(names) > 0 {
		r.Scope = report.Plural(len(names), "node") + " and the workloads there"
		on := func(node string) bool { return slices.Contains(names, node) }
		// Budgets and webhooks are judged by the pods of the whole cluster; what is told is what concerns these nodes.
		r.Findings = slices.DeleteFunc(r.Findings, func(f v1alpha1.Finding) bool {
			ofNobody := f.Object == "" && f.Node == "" && len(f.Nodes) == 0 // what couldn't be read
			return !ofNobody && !on(f.Node) && !slices.ContainsFunc(f.Nodes, on)
		})
		inv.Workloads = slices.DeleteFunc(inv.Workloads, func(w workload.Workload) bool {
			return !slices.ContainsFunc(w.Pods, func(pod workload.Placed) bool { return on(pod.Node) })
		})
	} else if r.Scope = "the cluster"; o.namespace != "" {
		r.Scope = "namespace " + o.namespace
	}
	r.Rules, r.Workloads = workloadRules(), len(inv.Workloads)
	for i := range inv.Workloads {
		r.Pods += len(inv.Workloads[i].Pods)
	}
	if !o.asked {
		return nil
	}
	return p.checkNodes(ctx, u, client, config, o, nodes, r)
}

// readInventory lists the cluster.
func readInventory(ctx context.Context, config *rest.Config, o *checkOptions) (*workload.Inventory, error) {
	// Page follows page: there is nothing to hold back.
	config = rest.CopyConfig(config)
	config.QPS = -1
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	own := labels.SelectorFromSet(labels.Set{hostpod.LabelManagedBy: hostpod.ManagedBy})
	return inventory.Read(ctx, inventory.Clients{Kube: kube, Meta: meta}, inventory.Options{Namespace: o.namespace, Selector: o.selector, Own: own})
}

// served says which runtime serves each node that would move: the named ones, or all.
func served(inv *workload.Inventory, names []string) map[string]v1alpha1.RuntimeName {
	out := map[string]v1alpha1.RuntimeName{}
	for _, n := range inv.Nodes {
		if len(names) == 0 || slices.Contains(names, n.Name) {
			name, _, _ := strings.Cut(n.RuntimeVersion, "://")
			out[n.Name] = v1alpha1.RuntimeName(name)
		}
	}
	return out
}

// checkNodes asks nodes themselves. One that can't be asked doesn't keep the others from being checked.
func (p *program) checkNodes(ctx context.Context, u *ui.UI, client kubernetes.Interface, config *rest.Config, o *checkOptions, nodes []v1alpha1.NodeStatus, r *report.Report) error {
	gathered, err := p.gather(ctx, u, client, config, o.image, nodes)
	if denied := (*cluster.DeniedError)(nil); errors.As(err, &denied) {
		r.Problems = append(r.Problems, fmt.Sprintf("nodes could not be asked: %v (%s status --deep prints the rule that grants it)", denied, p.Name))
		return nil
	}
	if err != nil {
		return err
	}
	for i, g := range gathered {
		if g.Facts == nil {
			r.Problems = append(r.Problems, fmt.Sprintf("node %s could not be asked: %v", g.Node, g.Err))
			continue
		}
		if err := checkFacts(g.Facts, o.to, o.ignore, r); err != nil {
			r.Problems = append(r.Problems, fmt.Sprintf("node %s could not be judged: %v", g.Node, err))
			continue
		}
		r.Rules = allRules()
		r.Nodes = append(r.Nodes, report.Node{Name: g.Node, Runtime: string(nodes[i].Runtime) + " " + nodes[i].RuntimeVersion})
	}
	return nil
}

// checkFacts adds what rules say about a node: for a target everything that planning finds too; without one what is said whatever
// the target is.
func checkFacts(f *v1alpha1.Facts, to v1alpha1.RuntimeName, ignore []string, r *report.Report) error {
	if to != "" {
		found, err := planned(f, plan.Goal{To: to, Ignore: ignore})
		r.Findings = append(r.Findings, found...)
		return err
	}
	view, err := kubelet.Analyze(f)
	if err != nil {
		return fmt.Errorf("reading the kubelet: %w", err)
	}
	var common []v1alpha1.Finding
	first := true
	for _, target := range switchTargets {
		if target == runtimes.Serving(view) {
			continue
		}
		found := check.Switch(f, view, target)
		if first {
			common, first = found, false
			continue
		}
		common = slices.DeleteFunc(common, func(x v1alpha1.Finding) bool {
			return !slices.ContainsFunc(found, func(y v1alpha1.Finding) bool { return x.ID == y.ID && x.Message == y.Message })
		})
	}
	r.Findings = append(r.Findings, common...)
	return nil
}

// planned returns the findings of a plan that isn't carried out: where it is refused, those that rules have up to there.
func planned(f *v1alpha1.Facts, goal plan.Goal) ([]v1alpha1.Finding, error) {
	made, err := plan.Build(f, goal)
	var refused *plan.RefusedError
	var nothing *plan.NothingError
	switch {
	case errors.As(err, &refused):
		return refused.Findings, nil
	case errors.As(err, &nothing):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return made.Findings, nil
}
