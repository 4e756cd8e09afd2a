package rollout

import (
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// NoGraceLimit as Options.EvacuationGrace lets every pod that stays on its node have its own termination grace period, up to
// v1alpha1.MostGrace.
const NoGraceLimit time.Duration = -1

// setGrace puts into a plan how long the pods that stay on the node may take to end. A saved plan keeps what it says unless a flag says
// otherwise. The number is part of what a plan's digest is about.
func (p *Prepared) setGrace(made *v1alpha1.Plan, saved bool) {
	grace := p.e.opts.EvacuationGrace
	switch longest := cluster.LongestGrace(p.pods); {
	case grace > 0:
	case saved && grace == 0:
		return
	case grace == NoGraceLimit:
		grace = min(max(longest, v1alpha1.LeastGrace), v1alpha1.MostGrace)
	default:
		grace = max(min(longest, workload.EvacuationGrace), v1alpha1.LeastGrace)
	}
	if grace == v1alpha1.LeastGrace {
		grace = 0
	}
	if made.EvacuationGrace != grace {
		made.EvacuationGrace = grace
		made.Digest = plan.Digest(made)
	}
}

// patience is how long a node may take to change, to be proved and to change back: its pods end twice.
func (p *Prepared) patience() time.Duration {
	return 2*(applyLimit+p.plan.Grace()) + p.e.opts.ConfirmTimeout
}
