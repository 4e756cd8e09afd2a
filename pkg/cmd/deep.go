package cmd

import (
	"context"
	"errors"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/rollout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/ui"
)

// gather asks the nodes themselves, with their progress shown.
// Missing rights concern all of them and are an error.
func (p *program) gather(ctx context.Context, u *ui.UI, client kubernetes.Interface, config *rest.Config, image string, nodes []v1alpha1.NodeStatus) ([]rollout.Gathered, error) {
	progress := u.Progress()
	defer progress.Close()
	engine := rollout.New(client, config, rollout.Options{Namespace: p.namespace(), Image: image, By: p.By, Program: p.Name, Abort: p.Abort},
		func(e rollout.Event) {
			progress.Event(event(e))
			if e.Took > 0 && e.Step == 0 {
				progress.Done(e.Node)
			}
		})
	list := engine.Gather(ctx, nodeNames(nodes))
	for _, g := range list {
		var denied *cluster.DeniedError
		if errors.As(g.Err, &denied) {
			return nil, denied
		}
	}
	return list, ctx.Err()
}

// statusDeep is status --deep. A node that can't be asked doesn't keep the others from being shown.
func (p *program) statusDeep(ctx context.Context, u *ui.UI, client kubernetes.Interface, config *rest.Config, o *statusOptions, nodes []v1alpha1.NodeStatus) error {
	list, err := p.gather(ctx, u, client, config, o.image, nodes)
	if err != nil {
		return err
	}
	told := map[string]rollout.Gathered{}
	for _, g := range list {
		told[g.Node] = g
	}
	deep := make([]ui.Deep, len(nodes))
	failed := false
	for i := range nodes {
		g := told[nodes[i].Metadata.Name]
		d := ui.Deep{Facts: g.Facts, Err: g.Err}
		if g.Facts == nil {
			failed = true
			if !o.output.human {
				u.Warn("%s: %v", nodes[i].Metadata.Name, g.Err)
			}
		} else {
			d.View, d.ViewErr = kubelet.Analyze(g.Facts)
			if d.ViewErr == nil {
				nodes[i].Endpoint = d.View.Endpoint
			}
			nodes[i].Facts = g.Facts
		}
		d.Status = nodes[i]
		deep[i] = d
	}
	if o.output.human {
		u.Deep(deep)
	} else if err := printNodes(u, o.output, nodes, p); err != nil {
		return err
	}
	if failed {
		return ended{codeError}
	}
	return nil
}
