package rollout

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
)

const (
	// proofMargin is kept of the deadline for the confirmation itself.
	proofMargin = 3 * time.Second
	// canaryPause is waited before a canary that failed is replaced.
	canaryPause = 2 * time.Second
)

// prove waits for everything that shows that the node works under its new runtime; it lasts until the deadline at most.
// Every wait is a watch, and each survives an API server that is away.
func (p *Prepared) prove(ctx context.Context, run *v1alpha1.Run) error {
	began := time.Now()
	p.step(stepProve, "proving that pods work under %s", p.plan.To.Name)
	limit := run.DeadlineIn - proofMargin
	ctx, cancel := context.WithTimeoutCause(ctx, max(limit, 0), fmt.Errorf("not proved within the node's deadline (%s)", p.e.opts.ConfirmTimeout))
	defer cancel()
	scheme := string(p.plan.To.Name)
	started := run.KubeletStarted
	if started.IsZero() {
		started = run.Changed
	}
	stopped := run.KubeletStopped
	if stopped.IsZero() {
		stopped = started
	}
	restart := cluster.Restart{Stopped: stopped, Started: started, Scheme: scheme}
	say := func(text string) { p.detail(stepProve, "%s", text) }

	group, each := errgroup.WithContext(ctx)
	group.Go(func() error { return cluster.WaitRenewed(each, p.e.client, p.node.Name, restart) })
	group.Go(func() error {
		_, err := cluster.WaitReady(each, p.e.client, p.node.Name, restart, say)
		return err
	})
	group.Go(func() error { return p.pod.WaitRuntime(each, scheme) })
	group.Go(func() error {
		return cluster.WaitResidents(each, p.e.client, p.node.Name, cluster.Residents(p.pods), scheme, say)
	})
	group.Go(func() error { return p.proveCanary(each, cmp.Or(limit, time.Minute)) })
	if err := group.Wait(); err != nil {
		return &ProofError{Err: err}
	}
	if err := p.recordKubeadm(ctx); err != nil {
		return err
	}
	p.e.say(Event{Node: p.node.Name, Run: p.run, Step: stepProve, Of: steps, Text: "proved", Took: time.Since(began), Phase: run.Phase})
	return nil
}

// proveCanary waits for a pod with a network and a probe. One that failed for good is replaced: a node that has just
// come up may refuse a pod that it takes a moment later.
func (p *Prepared) proveCanary(ctx context.Context, lifetime time.Duration) error {
	for {
		err := p.tryCanary(ctx, lifetime)
		if err == nil {
			p.detail(stepProve, "the canary pod is Ready")
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		p.detail(stepProve, "%v: trying another", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(canaryPause):
		}
	}
}

func (p *Prepared) tryCanary(ctx context.Context, lifetime time.Duration) error {
	if p.canary != nil {
		if err := p.canary.Stop(ctx); err != nil {
			return err
		}
		p.canary = nil
	}
	canary, err := p.pod.StartCanary(ctx, lifetime+time.Minute)
	if err != nil {
		return err
	}
	p.canary = canary
	return canary.Wait(ctx)
}

// recordKubeadm writes down for kubeadm which socket the node has, where its version reads that from the API.
func (p *Prepared) recordKubeadm(ctx context.Context) error {
	if !p.setsKubeadm() {
		return nil
	}
	p.kubeadm = true
	return tryAgain(ctx, func(ctx context.Context) error {
		return cluster.Annotate(ctx, p.e.client, p.node.Name, cluster.KubeadmSocketAnnotation, p.plan.KubeadmSocket)
	})
}

// lostSight ends our part without knowing the node's: it could not be asked, or the operator left.
func (p *Prepared) lostSight(ctx context.Context, err error) Result {
	outcome := Unknown
	if p.e.aborted() {
		outcome, err = Interrupted, ErrAborted
	}
	// The node may be of any state: what it must get back it gets from its own record.
	p.staged, p.cordoned, p.blind = false, false, true
	return p.result(ctx, outcome, err)
}
