package rollout

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod"
)

// gatherLimit bounds what looking at one node may take.
const gatherLimit = 3 * time.Minute

// Gather asks every node for its facts, a bounded number at once, and always deletes its pods. The answers are in the
// order of nodes; a node that couldn't be asked has Err.
func (e *Engine) Gather(ctx context.Context, nodes []string) []Gathered {
	ctx, cancel := e.abortable(ctx)
	defer cancel()
	out := make([]Gathered, len(nodes))
	for i, name := range nodes {
		out[i].Node = name
	}
	fail := func(err error) []Gathered {
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	if len(nodes) == 0 {
		return nil
	}
	if err := e.review(ctx, "gather", cluster.GatherRights(e.opts.Namespace)); err != nil {
		return fail(err)
	}
	e.tellEntrants(ctx)
	objects, err := cluster.Select(ctx, e.client, cluster.Selection{Names: nodes})
	if err != nil {
		return fail(err)
	}
	byName := map[string]*corev1.Node{}
	for i := range objects {
		byName[objects[i].Name] = &objects[i]
	}
	// What an earlier command left is no reason not to look.
	if err := hostpod.SweepEnded(ctx, e.client, e.opts.Namespace, nodes); err != nil {
		e.say(Event{Warning: true, Text: oneLine(err.Error())})
	}
	var group errgroup.Group
	group.SetLimit(e.opts.Parallel)
	for i, name := range nodes {
		group.Go(func() error {
			out[i].Facts, out[i].Err = e.gather(ctx, byName[name])
			return nil
		})
	}
	_ = group.Wait() // every node has its own error
	return out
}

// gather looks at one node.
func (e *Engine) gather(ctx context.Context, node *corev1.Node) (facts *v1alpha1.Facts, err error) {
	if err := e.supported(node); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, gatherLimit, errors.New("the node didn't answer in time"))
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	began := time.Now()
	e.say(Event{Node: node.Name, Text: "looking at the node"})
	defer func() {
		if err == nil {
			e.say(Event{Node: node.Name, Text: "looked at the node", Took: time.Since(began)})
			return
		}
		e.say(Event{Node: node.Name, Text: "gave up looking at the node", Took: time.Since(began)})
	}()
	pod, err := e.open(ctx, node, hostpod.PurposeGather, 2*gatherLimit, func(warning bool, text string) {
		e.say(Event{Node: node.Name, Warning: warning, Text: oneLine(text)})
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		late, cancel := e.outlive(ctx, cleanupTimeout)
		defer cancel()
		err = errors.Join(err, e.leave(late, pod))
	}()
	return askFacts(ctx, pod)
}

func askFacts(ctx context.Context, pod agentCaller) (*v1alpha1.Facts, error) {
	answer, err := pod.Call(ctx, v1alpha1.Request{Verb: v1alpha1.VerbGather})
	if err != nil {
		return nil, err
	}
	if answer.Facts == nil {
		return nil, errors.New("the agent answered without facts")
	}
	return answer.Facts, nil
}

// leave lets the agent remove what nothing needs and takes the pod away.
func (e *Engine) leave(ctx context.Context, pod hostPod) error {
	polite, cancel := context.WithTimeout(ctx, cleanupTimeout/4)
	defer cancel()
	// What stays is the agent's own file: no reason to fail.
	_, _ = pod.Call(polite, v1alpha1.Request{Verb: v1alpha1.VerbFinish})
	return pod.Stop(ctx)
}
