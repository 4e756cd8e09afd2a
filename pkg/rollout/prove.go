package rollout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod"
)

const (
	// proofMargin is kept of the deadline for the confirmation itself.
	proofMargin = 3 * time.Second
	// canaryPause is waited before a canary that failed is replaced.
	canaryPause = 2 * time.Second
	// canarySettle is waited for a canary under the old runtime, behind the staging and the drain.
	canarySettle = 10 * time.Second
	// proofPause is how long a proof may take without a question to the node: most don't need one.
	proofPause = 10 * time.Second
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

	// A run that has ended behind our back, as after a reboot, would be waited for in vain.
	attended, leave := p.attend(ctx, v1alpha1.PhaseApplied, proofPause)
	defer leave()
	group, each := errgroup.WithContext(attended)
	group.Go(func() error { return cluster.WaitRenewed(each, p.e.client, p.node.Name, restart) })
	group.Go(func() error {
		_, err := cluster.WaitReady(each, p.e.client, p.node.Name, restart, say)
		return err
	})
	group.Go(func() error { return p.pod.WaitRuntime(each, scheme) })
	group.Go(func() error {
		return cluster.WaitResidents(each, p.e.client, p.node.Name, p.residents, scheme, say)
	})
	group.Go(func() error { return p.proveCanary(each) })
	if err := group.Wait(); err != nil {
		if over, ok := errors.AsType[*RunError](context.Cause(attended)); ok {
			return over
		}
		return &ProofError{Err: err}
	}
	leave()
	if err := p.recordKubeadm(ctx); err != nil {
		return err
	}
	p.e.say(Event{Node: p.node.Name, Run: p.run, Step: stepProve, Of: steps, Text: "proved", Took: time.Since(began), Phase: run.Phase})
	return nil
}

// proveCanary waits for a pod with a network and a probe. One that failed for good is replaced: a node that has just
// come up may refuse a pod that it takes a moment later.
func (p *Prepared) proveCanary(ctx context.Context) error {
	for {
		err := p.tryCanary(ctx, p.plan.To.Name)
		if err == nil {
			p.detail(stepProve, "the canary pod is Ready")
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		p.detail(stepProve, "%v: trying another", err)
		if err := p.stopCanary(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(canaryPause):
		}
	}
}

func (p *Prepared) tryCanary(ctx context.Context, under v1alpha1.RuntimeName) error {
	if p.canary == nil {
		if err := p.startCanary(ctx); err != nil {
			return err
		}
	}
	return p.canary.Wait(ctx, string(under))
}

// startCanary creates the canary. While the old runtime serves nobody waits for that; it comes again with the first pods of the new
// one, and so tells sooner of its network.
func (p *Prepared) startCanary(ctx context.Context) error {
	canary, err := p.pod.StartCanary(ctx, p.e.lifetime())
	if err != nil {
		return err
	}
	p.canary = canary
	return nil
}

// noteResidents reads which pods must be Ready again, right before the node changes: pods come, go and break while it is staged and drained.
func (p *Prepared) noteResidents(ctx context.Context) (err error) {
	p.residents, err = cluster.ReadResidents(ctx, p.e.client, p.node.Name)
	return err
}

// settleCanary waits until the old runtime has started the canary: an evacuation in the middle of that could leave half a pod. One
// whose time is over, as staging or the drain took long, is replaced. One that the old runtime can't start is taken away, which is no
// reason to keep that runtime; the proof starts another.
func (p *Prepared) settleCanary(ctx context.Context) error {
	limited, cancel := context.WithTimeoutCause(ctx, canarySettle, fmt.Errorf("after %s", canarySettle))
	defer cancel()
	err := p.tryCanary(limited, p.plan.From.Name)
	if errors.Is(err, hostpod.ErrGone) && ctx.Err() == nil {
		if err := p.stopCanary(ctx); err != nil {
			return err
		}
		err = p.tryCanary(limited, p.plan.From.Name)
	}
	if err == nil || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	p.warn("under %s, which it has now: %v", p.plan.From.Name, err)
	return p.stopCanary(ctx)
}

// stopCanary takes the canary away, where there is one.
func (p *Prepared) stopCanary(ctx context.Context) error {
	canary := p.canary
	p.canary = nil
	if canary == nil {
		return nil
	}
	return canary.Stop(ctx)
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
