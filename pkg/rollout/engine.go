package rollout

import (
	"context"
	"errors"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

var errTodo = errors.New("not implemented")

// Engine takes nodes through their runs.
type Engine struct {
	client kubernetes.Interface
	rest   *rest.Config
	opts   Options
	report func(Event)
}

// New returns an engine. The report callback is called from one goroutine at a time; nil drops the events.
func New(client kubernetes.Interface, rest *rest.Config, opts Options, report func(Event)) *Engine {
	return &Engine{client: client, rest: rest, opts: opts, report: report}
}

// Gather asks every node for its facts, a bounded number at once, and always deletes its pods. The answers are in the
// order of nodes; a node that couldn't be asked has Err.
func (e *Engine) Gather(ctx context.Context, nodes []string) []Gathered { return nil }

// Prepare does everything before the question to the operator: access review, Lease, pod, facts, rules, plan. The
// caller must Close what it returns. Where a run is already open on the node, Resumes of the answer names it: Execute
// then sees that run to its end.
func (e *Engine) Prepare(ctx context.Context, node string, to v1alpha1.RuntimeName) (*Prepared, error) {
	return nil, errTodo
}

// PrepareRollback is Prepare for the way back from a kept run; an empty run means the newest confirmed one. A run that
// is still open is taken back instead: Resumes of the answer names it.
func (e *Engine) PrepareRollback(ctx context.Context, node, run string) (*Prepared, error) {
	return nil, errTodo
}

// PrepareFromPlan is Prepare for exactly the plan that was saved; a node that isn't as the plan read it refuses it.
func (e *Engine) PrepareFromPlan(ctx context.Context, p *v1alpha1.Plan) (*Prepared, error) {
	return nil, errTodo
}

// Rollout takes nodes through prepare, approve and Execute one after another and stops at the first that fails, or
// carries on where Options.KeepGoing says so. An approve that answers false ends the rollout; its error too.
func (e *Engine) Rollout(ctx context.Context, nodes []string, prepare func(ctx context.Context, node string) (*Prepared, error),
	approve func(ctx context.Context, p *Prepared) (bool, error)) ([]Result, error) {
	return nil, errTodo
}
