package facts

import (
	"context"
	"slices"
)

// uninterruptible looks for processes of pods that nothing could end. What was asked of the daemons before names the pods.
func (g *gatherer) uninterruptible(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	list, err := g.m.Pods.Uninterruptible(ctx)
	g.problem("processes of pods that wait in the kernel", err)
	list = slices.Clone(list)
	for i := range list {
		list[i].Pod = g.pods[list[i].PodUID]
	}
	g.facts.Uninterruptible = list
}
