package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
)

// confirmed is the good end.
func (p *Prepared) confirmed(ctx context.Context) Result {
	late, cancel := p.e.outlive(ctx, cleanupTimeout)
	defer cancel()
	p.step(stepEnd, "tidying up")
	var err error
	if p.cordoned {
		err = p.uncordon(late)
	}
	p.note(late, cluster.ReasonConfirmed, v1alpha1.PhaseConfirmed, "")
	return p.result(ctx, Switched, err)
}

// settleLimit is how long a node that went back may take to be Ready again before its state is told as it is.
const settleLimit = 90 * time.Second

// rolledBack puts the API server's side back as it was, too. The node does the same by itself when nobody is there. why
// is nil where the operator asked for it.
func (p *Prepared) rolledBack(ctx, live context.Context, why error) Result {
	var errs []error
	// Whoever began a run that we took over may have come so far.
	if (p.kubeadm || p.resumes != nil) && p.setsKubeadm() {
		errs = append(errs, tryAgain(live, func(ctx context.Context) error {
			return cluster.Annotate(ctx, p.e.client, p.node.Name, cluster.KubeadmSocketAnnotation, p.plan.KubeadmSocketBefore)
		}))
	}
	if p.cordoned {
		errs = append(errs, p.uncordon(live))
	}
	reason := ""
	if why != nil {
		reason = why.Error()
	}
	p.note(live, cluster.ReasonRolledBack, v1alpha1.PhaseRolledBack, reason)
	settle, cancel := context.WithTimeoutCause(live, settleLimit, errors.New("it isn't Ready yet"))
	defer cancel()
	restart := cluster.Restart{Stopped: p.last.KubeletStopped, Started: p.last.KubeletStarted, Scheme: string(p.plan.From.Name)}
	if _, err := cluster.WaitReady(settle, p.e.client, p.node.Name, restart, func(text string) { p.detail(stepEnd, "%s", text) }); err != nil {
		errs = append(errs, fmt.Errorf("after going back: %w", err))
	}
	outcome := RolledBack
	if ctx.Err() != nil {
		outcome = Interrupted
	}
	return p.result(ctx, outcome, errors.Join(append([]error{why}, errs...)...))
}

// stuck leaves the node as it is: cordoned, served by what could be started, for a person to look at.
func (p *Prepared) stuck(ctx context.Context, why error) Result {
	late, cancel := p.e.outlive(ctx, cleanupTimeout)
	defer cancel()
	p.note(late, cluster.ReasonStuck, v1alpha1.PhaseStuck, why.Error())
	p.cordoned = false // it stays so until the run is closed, whose record knows of it
	return p.result(ctx, Stuck, why)
}

// note tells people of a run's progress, in the node's annotation and by an Event. Neither decides anything, so a
// failure is a warning.
func (p *Prepared) note(ctx context.Context, reason cluster.Reason, phase v1alpha1.Phase, why string) {
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout/4)
	defer cancel()
	p.noted = true
	p.annotate(ctx, phase, why)
	text := fmt.Sprintf("Run %s of %s, from %s to %s", p.run, p.e.opts.By, p.plan.From.Name, p.plan.To.Name)
	if why != "" {
		text += ": " + firstLine(why)
	}
	if err := cluster.Event(ctx, p.e.client, p.node, reason, text); err != nil {
		p.warn("%v", err)
	}
}

func (p *Prepared) annotate(ctx context.Context, phase v1alpha1.Phase, why string) {
	last := v1alpha1.LastRun{
		Run: p.run, From: p.plan.From.Name, To: p.plan.To.Name, Phase: phase, When: time.Now().UTC().Truncate(time.Second),
		By: p.e.opts.By, Reason: why,
	}
	if phase == v1alpha1.PhaseApplying {
		last.Until = last.When.Add(2*applyLimit + p.e.opts.ConfirmTimeout)
	}
	err := cluster.SetLastRun(ctx, p.e.client, p.node.Name, last)
	if err != nil {
		p.warn("%v", err)
	}
}

// result asks the API server once more what the node is now, and says what to do next.
func (p *Prepared) result(ctx context.Context, outcome Outcome, err error) Result {
	r := Result{Node: p.node.Name, Run: p.run, Outcome: outcome, Err: err, Took: time.Since(p.from), Outage: outage(p.last)}
	if p.plan != nil {
		r.From, r.To = p.plan.From, p.plan.To
	}
	if outcome == Validated || outcome == NothingToDo {
		return r
	}
	late, cancel := p.e.outlive(ctx, cleanupTimeout/4)
	defer cancel()
	node, asked := p.e.client.CoreV1().Nodes().Get(late, p.node.Name, metav1.GetOptions{})
	r.State = p.state(outcome, node, asked)
	if !r.Asked() {
		r.Next = p.next(outcome, node)
	}
	return r
}

// state says what the node is now.
func (p *Prepared) state(outcome Outcome, node *corev1.Node, asked error) string {
	known := "the API server can't be asked"
	if asked == nil {
		known = cluster.Describe(node)
	}
	switch outcome {
	case Refused:
		return "nothing that serves was changed: " + known
	case RolledBack:
		return "rolled back: " + known
	case Stuck:
		if p.last != nil && p.last.Serving != "" {
			return fmt.Sprintf("stuck, served by %s: %s", p.last.Serving, known)
		}
		return "stuck, and no runtime serves it: " + known
	case Unknown, Interrupted:
		return known + p.whatElse(outcome)
	}
	return known
}

// whatElse says what is known beyond the API server.
func (p *Prepared) whatElse(outcome Outcome) string {
	switch {
	case p.told && (p.last == nil || changing(p.last.Phase)):
		return fmt.Sprintf("; the node was told to change and has not answered since; unless it is confirmed, it goes back by itself within %s of having changed",
			p.e.opts.ConfirmTimeout)
	case p.last == nil:
		if outcome == Interrupted {
			return "; nothing that serves was changed"
		}
		return fmt.Sprintf("; the node has not answered; unless it confirms, it goes back by itself within %s", p.e.opts.ConfirmTimeout)
	case p.last.Phase == v1alpha1.PhaseStaging, p.last.Phase == v1alpha1.PhaseStaged, p.last.Phase == v1alpha1.PhaseRemoved:
		return "; nothing that serves was changed"
	case p.last.Phase == v1alpha1.PhaseRolledBack:
		return "; rolled back"
	case p.last.Phase == v1alpha1.PhaseConfirmed:
		return "; confirmed"
	}
	return fmt.Sprintf("; the run was last seen %s; unless it is confirmed, the node goes back by itself within %s", p.last.Phase,
		cmp.Or(p.last.DeadlineIn.Round(time.Second), p.e.opts.ConfirmTimeout))
}

// again is the command that does what this one was to do.
func (p *Prepared) again() string {
	if p.plan.Restores != "" {
		return fmt.Sprintf("%s rollback %s", p.e.opts.Program, p.node.Name)
	}
	return fmt.Sprintf("%s switch %s --to %s", p.e.opts.Program, p.node.Name, p.plan.To.Name)
}

// next is the next command; empty where none is needed.
func (p *Prepared) next(outcome Outcome, node *corev1.Node) string {
	program, name := p.e.opts.Program, p.node.Name
	open := p.told && p.last == nil || p.last != nil && p.last.Phase.Open() && (p.told || p.resumes != nil)
	switch outcome {
	case Unknown:
		return fmt.Sprintf("%s status %s --deep", program, name)
	case Interrupted:
		if p.plan != nil {
			why := "to begin anew"
			if open {
				why = "sees this run to its end"
			}
			return fmt.Sprintf("%s   (%s)", p.again(), why)
		}
	case Stuck:
		return fmt.Sprintf("%s rollback %s   (once what is named above is mended)", program, name)
	case RolledBack:
		if node != nil && node.Spec.Unschedulable && p.cordoned {
			return "kubectl uncordon " + name
		}
		if p.plan != nil {
			return fmt.Sprintf("%s status %s --deep", program, name)
		}
	}
	return ""
}
