package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster/inventory"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// judge says what rules about workloads have against what is to happen to a node and its pods.
type judge func(ctx context.Context, node *corev1.Node, o workload.Options, pods []corev1.Pod) ([]v1alpha1.Finding, error)

// judging returns the judge that asks the API server for what the pods refer to: nothing of most nodes, and then a list or two.
func judging(client kubernetes.Interface, config *rest.Config) judge {
	return func(ctx context.Context, node *corev1.Node, o workload.Options, pods []corev1.Pod) ([]v1alpha1.Finding, error) {
		meta, err := metadata.NewForConfig(config)
		if err != nil {
			return nil, fmt.Errorf("connecting: %w", err)
		}
		c := inventory.Clients{Kube: client, Meta: meta}
		inv, err := inventory.OfPods(ctx, c, pods)
		if err != nil {
			return nil, fmt.Errorf("reading what the pods of node %s refer to: %w", node.Name, err)
		}
		if err := inventory.AddNode(ctx, c, inv, node); err != nil {
			return nil, fmt.Errorf("reading who takes care of node %s: %w", node.Name, err)
		}
		findings := workload.Check(inv, o)
		if stops := objectsOfErrors(findings); len(stops) > 0 {
			// Their owners may say that they are known.
			inventory.Annotate(ctx, c, inv, stops)
			findings = workload.Check(inv, o)
		}
		return slices.DeleteFunc(findings, func(f v1alpha1.Finding) bool { return ofDrain(f.ID) }), nil
	}
}

// objectsOfErrors are the objects that findings would stop a switch for.
func objectsOfErrors(findings []v1alpha1.Finding) map[string]bool {
	out := map[string]bool{}
	for _, f := range findings {
		if f.Severity == v1alpha1.SeverityError && f.Suppressed == "" && f.Object != "" {
			out[f.Object] = true
		}
	}
	return out
}

// ofBudgets is the rule about budgets that never let a pod go: a drain would only find out by waiting.
const ofBudgets = "W030"

// ofDrain reports whether a rule says what the drain of a switch finds out at once, by its own flags.
func ofDrain(id string) bool { return strings.HasPrefix(id, "W03") && id != ofBudgets }

// ofWayBack reports whether a rule is about what happens to a node and its pods during any change of runtime, on the way back too.
func ofWayBack(id string) bool { return id == "C008" || id == "W040" || id == "W041" }

// ofWorkloads reports whether a finding is a judge's. A saved plan has those of the day it was made.
func ofWorkloads(f v1alpha1.Finding) bool {
	return slices.ContainsFunc(workload.Rules(), func(r workload.Rule) bool { return r.ID == f.ID })
}

// judgeWorkloads puts into the plan's findings what rules say about the node's pods now. The way back isn't barred by workloads, as they come
// from there, nor by what can't be read.
func (p *Prepared) judgeWorkloads(ctx context.Context, made *v1alpha1.Plan) error {
	var others []corev1.Pod
	for _, pod := range p.pods {
		if !p.ours(pod) {
			others = append(others, pod)
		}
	}
	o := workload.Options{To: made.To.Name, From: map[string]v1alpha1.RuntimeName{p.node.Name: made.From.Name}, EvacuationGrace: made.Grace()}
	found, err := p.e.judge(ctx, p.node, o, others)
	switch {
	case made.Restores == "":
		if err != nil {
			return err
		}
	case err != nil && ctx.Err() == nil:
		p.warn("%v", err)
	default:
		found = slices.DeleteFunc(found, func(f v1alpha1.Finding) bool { return !ofWayBack(f.ID) })
	}
	if p.e.opts.Drain.DisableEviction {
		found = slices.DeleteFunc(found, func(f v1alpha1.Finding) bool { return f.ID == ofBudgets })
	}
	made.Findings = append(slices.DeleteFunc(slices.Clone(made.Findings), ofWorkloads), found...)
	return nil
}
