package rollout

import (
	"context"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// Prepared is a node that is ready to be switched: nothing has changed yet, and everything is decided. It holds the
// node's Lease and a pod on it, so it must be closed.
type Prepared struct {
	plan  *v1alpha1.Plan
	facts *v1alpha1.Facts
}

// Node is the node's name.
func (p *Prepared) Node() string { return "" }

// Plan is what will be done.
func (p *Prepared) Plan() *v1alpha1.Plan { return p.plan }

// Facts are what the plan was decided on.
func (p *Prepared) Facts() *v1alpha1.Facts { return p.facts }

// Findings are what rules said about the node, errors first.
func (p *Prepared) Findings() []v1alpha1.Finding { return nil }

// Diffs renders the plan's file changes.
func (p *Prepared) Diffs() ([]plan.FileDiff, error) { return nil, errTodo }

// Steps renders the plan's acts.
func (p *Prepared) Steps() []plan.Step { return nil }

// Evictions are the pods that the drain will move away, as namespace/name.
func (p *Prepared) Evictions() []string { return nil }

// NothingToDo says that the node is already where it shall be.
func (p *Prepared) NothingToDo() bool { return false }

// Blocked is the reason why Execute would refuse: findings that are errors, pods that drain would not move, a run in
// the way. Nil: nothing is in the way. Plans of a blocked node can be shown all the same.
func (p *Prepared) Blocked() error { return nil }

// Resumes is the run that was found open on the node and that Execute will see to its end; nil for a new one.
func (p *Prepared) Resumes() *v1alpha1.Run { return nil }

// Validate stages the plan on the node, images included, and removes the staging again: the server-side dry run.
func (p *Prepared) Validate(ctx context.Context) Result { return Result{} }

// Execute does it. When ctx ends it finishes the safe point and puts back what can be put back before it returns;
// Options.Abort cuts that short.
func (p *Prepared) Execute(ctx context.Context) Result { return Result{} }

// Close gives back the node's Lease and deletes the pod on it, whatever happened before. It is safe to call twice and
// works when ctx has ended.
func (p *Prepared) Close(ctx context.Context) error { return nil }
