package plan

import (
	"fmt"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// servedBefore reports whether a run that was kept came from the target or led to it.
func (b *builder) servedBefore() bool {
	return slices.ContainsFunc(b.f.Runs, func(r v1alpha1.Run) bool {
		return r.Phase == v1alpha1.PhaseConfirmed && (r.From == b.goal.To || r.To == b.goal.To)
	})
}

// quieter folds the warnings about what a target lacks into one where that target served the node before: pods have
// lived with them.
func (b *builder) quieter(findings []v1alpha1.Finding) []v1alpha1.Finding {
	if !b.servedBefore() {
		return findings
	}
	var rest []v1alpha1.Finding
	var folded []string
	for _, x := range findings {
		lack := slices.Contains([]string{runtimes.NotCarried, runtimes.Conflict, runtimes.Narrower}, x.ID)
		if x.Severity == v1alpha1.SeverityWarning && lack {
			folded = append(folded, x.Message)
			continue
		}
		rest = append(rest, x)
	}
	if len(folded) < 2 {
		return findings
	}
	return append(rest, v1alpha1.Finding{
		ID: runtimes.NotCarried, Severity: v1alpha1.SeverityWarning, Evidence: folded,
		Message: fmt.Sprintf("%s served this node before; in %d respects it differs from %s, as it did then", b.to.Name, len(folded), b.from.Name),
	})
}
