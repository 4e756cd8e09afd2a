package facts

import (
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

// journal adds the runs that the node keeps, newest first, and the one that is open.
func (g *gatherer) journal() {
	runs, err := journal.Open(g.m.Files, g.m.Clock, journal.Dir).Runs()
	g.problem("journal", err)
	for _, r := range runs {
		if r.Phase.Open() && g.facts.OpenRun == nil {
			g.facts.OpenRun = &r
			continue
		}
		g.facts.Runs = append(g.facts.Runs, r)
	}
}
