package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// The steps of a node's switch, as design §4 numbers them.
const (
	stepReach = iota + 1
	stepLook
	stepCheck
	stepPlan
	stepStage
	stepDrain
	stepApply
	stepProve
	stepConfirm
	stepEnd
	steps = stepEnd
)

// Prepare does everything before the question to the operator: access review, Lease, pod, facts, rules, plan. The
// caller must Close what it returns. Where a run is already open on the node, Resumes of the answer names it: Execute
// then sees that run to its end. A node that rules refuse is a *plan.RefusedError with their findings.
func (e *Engine) Prepare(ctx context.Context, node string, to v1alpha1.RuntimeName) (*Prepared, error) {
	return e.prepare(ctx, node, func(ctx context.Context, p *Prepared) error {
		if resumed, err := p.meet(ctx, func(r *v1alpha1.Run) bool { return r.To == to }); resumed || err != nil {
			return err
		}
		p.step(stepPlan, "deciding what to do")
		made, err := e.decide.build(p.facts, plan.Goal{
			Run: p.run, To: to, KubeadmAnnotation: p.node.Annotations[cluster.KubeadmSocketAnnotation], Ignore: e.opts.Ignore,
		})
		if _, there := errors.AsType[*plan.NothingError](err); there {
			p.upToDate = true
			return nil
		}
		if err != nil {
			return err
		}
		made.Version = e.opts.Version
		return p.consider(ctx, made, false)
	})
}

// PrepareRollback is Prepare for the way back from a kept run; an empty run means the newest confirmed one. A run that
// is still open is taken back instead: Resumes of the answer names it.
func (e *Engine) PrepareRollback(ctx context.Context, node, run string) (*Prepared, error) {
	return e.prepare(ctx, node, func(ctx context.Context, p *Prepared) error {
		p.back = true
		if resumed, err := p.meet(ctx, func(r *v1alpha1.Run) bool { return run == "" || r.ID == run }); resumed || err != nil {
			return err
		}
		p.back = false
		p.step(stepPlan, "deciding how to go back")
		made, err := p.inverse(ctx, run)
		if err != nil {
			return err
		}
		return p.consider(ctx, made, false)
	})
}

// inverse is the plan by which the node gets behind a kept run.
func (p *Prepared) inverse(ctx context.Context, run string) (*v1alpha1.Plan, error) {
	var err error
	if p.views, err = p.chain(ctx, run); err != nil {
		return nil, err
	}
	view := p.views[0]
	if len(p.views) > 1 {
		if view, err = p.e.decide.compose(p.views); err != nil {
			return nil, err
		}
	}
	made, err := p.e.decide.inverse(view, p.facts, p.run)
	if err != nil {
		return nil, err
	}
	made.Version = p.e.opts.Version
	return made, nil
}

// PrepareFromPlan is Prepare for exactly the plan that was saved. A plan from a file is nobody's word: everything in it that follows from
// the node is made anew from the node and must be the same, and rules are run again.
func (e *Engine) PrepareFromPlan(ctx context.Context, saved *v1alpha1.Plan) (*Prepared, error) {
	if err := e.decide.verify(saved); err != nil {
		return nil, fmt.Errorf("the plan can't be used: %w", err)
	}
	return e.prepare(ctx, saved.Node, func(ctx context.Context, p *Prepared) error {
		if resumed, err := p.meet(ctx, func(r *v1alpha1.Run) bool { return r.ID == saved.Run }); resumed || err != nil {
			return err
		}
		// A run that was only staged changed nothing, as a dry run's.
		if i := slices.IndexFunc(p.facts.Runs, func(r v1alpha1.Run) bool { return r.ID == saved.Run && r.Phase != v1alpha1.PhaseRemoved }); i >= 0 {
			return fmt.Errorf("the plan was used already: run %s is %s since %s", saved.Run, p.facts.Runs[i].Phase, p.facts.Runs[i].Changed.Local().Format(time.DateTime))
		}
		p.run = saved.Run
		p.step(stepPlan, "making the plan anew and comparing it with the saved one")
		made, err := p.derived(ctx, saved)
		if err != nil {
			return err
		}
		return p.consider(ctx, made, true)
	})
}

// derived makes a saved plan anew of the node as it is, and refuses one that is another.
func (p *Prepared) derived(ctx context.Context, saved *v1alpha1.Plan) (*v1alpha1.Plan, error) {
	made, err := p.anew(ctx, saved)
	if _, there := errors.AsType[*plan.NothingError](err); there {
		return nil, &plan.StaleError{Node: p.node.Name, Changes: []string{err.Error()}}
	}
	if err != nil {
		return nil, err
	}
	if err := p.e.decide.compare(saved, made, p.facts); err != nil {
		return nil, err
	}
	made.Version, made.EvacuationGrace = p.e.opts.Version, saved.EvacuationGrace
	made.Digest = plan.Digest(made)
	return made, nil
}

// anew plans for the goal of a saved plan.
func (p *Prepared) anew(ctx context.Context, saved *v1alpha1.Plan) (*v1alpha1.Plan, error) {
	if saved.Restores != "" {
		return p.inverse(ctx, saved.Restores)
	}
	goal := plan.Goal{Run: saved.Run, To: saved.To.Name, Ignore: p.e.opts.Ignore}
	if saved.KubeadmSocketBefore != "" {
		// Facts from a file don't have to tell the annotation; a plan that was made of such facts leaves it alone.
		goal.KubeadmAnnotation = p.node.Annotations[cluster.KubeadmSocketAnnotation]
	}
	return p.e.decide.build(p.facts, goal)
}

// prepare reaches the node, looks at it, and lets decide do the rest. Nothing stays when anything fails.
func (e *Engine) prepare(ctx context.Context, name string, decide func(context.Context, *Prepared) error) (_ *Prepared, err error) {
	ctx, cancel := e.abortable(ctx)
	defer cancel()
	p := &Prepared{e: e, run: newRun(), from: time.Now(), node: &corev1.Node{}}
	p.node.Name = name
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close(ctx))
		}
	}()
	p.step(stepReach, "reaching the node")
	if err := p.reach(ctx); err != nil {
		return nil, err
	}
	if err := p.look(ctx); err != nil {
		return nil, err
	}
	if err := decide(ctx, p); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Prepared) reach(ctx context.Context) error {
	e := p.e
	if err := e.review(ctx, "switch", cluster.SwitchRights(e.opts.Namespace, e.opts.Drain)); err != nil {
		return err
	}
	e.tellEntrants(ctx)
	nodes, err := cluster.Select(ctx, e.client, cluster.Selection{Names: []string{p.node.Name}})
	if err != nil {
		return err
	}
	p.node = &nodes[0]
	if err := e.supported(p.node); err != nil {
		return err
	}
	if err := answers(p.node); err != nil {
		return err
	}
	p.lock, err = cluster.Acquire(ctx, e.client, p.node, e.opts.By+"/"+p.run, func(text string) { p.warn("%s", text) })
	if err != nil {
		return err
	}
	p.cordoned = p.lock.Cordoned
	if err := hostpod.Sweep(ctx, e.client, e.opts.Namespace, p.node.Name); err != nil {
		return err
	}
	p.pod, err = e.open(ctx, p.node, hostpod.PurposeSwitch, e.lifetime(), func(warning bool, text string) {
		if warning {
			p.warn("%s", text)
			return
		}
		p.detail(0, "%s", text)
	})
	return err
}

// answers refuses a node whose kubelet wouldn't start our pod, unless it is away for the sake of a run that may be ours to
// see to its end.
func answers(node *corev1.Node) error {
	if last := cluster.LastRun(node); last != nil && last.Phase.Open() {
		return nil
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			return fmt.Errorf("node %s is NotReady (%s): its kubelet would not start the pod that looks at it; nothing was changed\nnext: kubectl describe node %s",
				node.Name, cmp.Or(c.Message, c.Reason, "no reason is given"), node.Name)
		}
	}
	return nil
}

// lifetime is how long a pod of a run may be needed at most, with the node's way back, which ends its pods a second time. Where there is no limit to that, one that is over is replaced.
func (e *Engine) lifetime() time.Duration {
	grace := max(cmp.Or(e.opts.EvacuationGrace, workload.EvacuationGrace), v1alpha1.LeastGrace)
	return cmp.Or(e.stagedFor(), 24*time.Hour) + 2*(applyLimit+grace) + e.opts.ConfirmTimeout + time.Hour
}

func (p *Prepared) look(ctx context.Context) (err error) {
	p.step(stepLook, "looking at the node")
	ctx, cancel := context.WithTimeoutCause(ctx, gatherLimit, errors.New("the node didn't answer in time"))
	defer cancel()
	p.facts, err = askFacts(ctx, p.pod)
	return err
}

// meet deals with a run that is open on the node. One that is only staged has nobody any more, as we hold the Lease: it
// is given up. Any other is resumed if it is the operator's aim, else it is in the way.
func (p *Prepared) meet(ctx context.Context, aim func(*v1alpha1.Run) bool) (resumed bool, err error) {
	open := p.facts.OpenRun
	if open == nil {
		return false, nil
	}
	p.cordoned = p.cordoned || open.Restore.Uncordon
	switch open.Phase {
	case v1alpha1.PhaseStaging, v1alpha1.PhaseStaged:
		p.warn("run %s of %s was staged and left: giving it up", open.ID, open.By)
		if _, err := p.pod.Call(ctx, v1alpha1.Request{Verb: v1alpha1.VerbDiscard, Run: open.ID, By: p.e.opts.By}); err != nil {
			return false, err
		}
		if err := p.takeOver(ctx, open); err != nil {
			return false, err
		}
		return false, p.look(ctx)
	case v1alpha1.PhaseStuck:
		if !p.back {
			return false, &BusyError{Node: p.node.Name, Run: *open}
		}
	}
	if !aim(open) && !p.back {
		return false, &BusyError{Node: p.node.Name, Run: *open}
	}
	view, err := p.pod.Call(ctx, v1alpha1.Request{Verb: v1alpha1.VerbShow, Run: open.ID})
	if err != nil {
		return false, err
	}
	if view.View == nil {
		return false, fmt.Errorf("the node doesn't show run %s", open.ID)
	}
	p.run, p.resumes, p.plan = open.ID, open, &view.View.Plan
	p.views = []v1alpha1.RunView{*view.View}
	p.kubeadm = p.plan.KubeadmSocket != ""
	p.warn("run %s of %s is %s: seeing it to its end", open.ID, open.By, open.Phase)
	p.pods, err = cluster.NodePods(ctx, p.e.client, p.node.Name)
	p.residents = cluster.Residents(p.pods)
	return true, err
}

// takeOver asks our own agent from here on, if the run that was open had another: that one saw its own run to an end.
func (p *Prepared) takeOver(ctx context.Context, was *v1alpha1.Run) error {
	agent, err := p.e.agent(p.node.Status.NodeInfo.Architecture)
	if err != nil || was.Agent == agent.SHA256 {
		return err
	}
	return p.e.ensure(ctx, p.pod, agent)
}

// undoes names the runs that must be undone to get behind a run, newest first. Those that were undone already aren't among them:
// the node stands behind them. The newest may be the rollback of another, which can be undone as any.
func (p *Prepared) undoes(run string) ([]string, error) {
	node, runs := p.node.Name, p.facts.Runs
	newest := slices.IndexFunc(runs, func(r v1alpha1.Run) bool { return r.Phase == v1alpha1.PhaseConfirmed })
	if run == "" && newest >= 0 || newest >= 0 && runs[newest].ID == run {
		return []string{runs[newest].ID}, nil
	}
	var ids []string
	way, _ := v1alpha1.WayBack(runs)
	for _, r := range way {
		if ids = append(ids, r.ID); r.ID == run {
			return ids, nil
		}
	}
	named := slices.IndexFunc(runs, func(r v1alpha1.Run) bool { return r.ID == run })
	switch {
	case run == "":
		return nil, fmt.Errorf("node %s keeps no run that could be taken back", node)
	case named < 0:
		return nil, fmt.Errorf("node %s keeps no run %s", node, run)
	case runs[named].Phase != v1alpha1.PhaseConfirmed:
		return nil, fmt.Errorf("run %s on node %s is %s: it changed nothing that could be taken back", run, node, runs[named].Phase)
	}
	return nil, fmt.Errorf("run %s on node %s leads back to nothing any more: it was undone since, or undid a run itself", run, node)
}

// chain shows the runs that must be undone to get behind a run, newest first.
func (p *Prepared) chain(ctx context.Context, run string) ([]v1alpha1.RunView, error) {
	ids, err := p.undoes(run)
	if err != nil {
		return nil, err
	}
	var views []v1alpha1.RunView
	for _, id := range ids {
		answer, err := p.pod.Call(ctx, v1alpha1.Request{Verb: v1alpha1.VerbShow, Run: id})
		if err != nil {
			return nil, err
		}
		if answer.View == nil {
			return nil, fmt.Errorf("the node doesn't show run %s", id)
		}
		views = append(views, *answer.View)
	}
	return views, nil
}

// consider takes a plan and finds out what is in its way.
func (p *Prepared) consider(ctx context.Context, made *v1alpha1.Plan, saved bool) (err error) {
	p.plan = made
	if p.pods, err = cluster.NodePods(ctx, p.e.client, p.node.Name); err != nil {
		return err
	}
	p.setGrace(made, saved)
	if err := p.judgeWorkloads(ctx, made); err != nil {
		return err
	}
	slices.SortStableFunc(made.Findings, func(a, b v1alpha1.Finding) int {
		return cmp.Compare(weight(a.Severity), weight(b.Severity))
	})
	var blocks []error
	if stop := p.stopping(made.Findings); len(stop) > 0 {
		blocks = append(blocks, &FindingsError{Node: p.node.Name, Findings: stop})
	}
	if p.drain, err = p.planDrain(ctx); err != nil {
		blocks = append(blocks, err)
	}
	if err := p.quorum(ctx); err != nil {
		blocks = append(blocks, err)
	}
	p.blocked = errors.Join(blocks...)
	return nil
}

func (p *Prepared) planDrain(ctx context.Context) (*cluster.Drain, error) {
	return cluster.PlanDrain(ctx, p.e.client, p.node.Name, p.e.opts.Drain, p.ours)
}

// quorum refuses to take a control plane away whose etcd is needed for a majority.
func (p *Prepared) quorum(ctx context.Context) error {
	if !slices.ContainsFunc(p.pods, cluster.IsEtcd) {
		return nil
	}
	return cluster.EtcdQuorum(ctx, p.e.client, p.node.Name)
}

// ours tells our own pods: this run's by UID, those that only look by what they are.
func (p *Prepared) ours(pod corev1.Pod) bool {
	if string(pod.UID) == p.pod.Ref().UID {
		return true
	}
	return pod.Labels[hostpod.LabelManagedBy] == hostpod.ManagedBy && pod.Namespace == p.e.opts.Namespace &&
		strings.HasPrefix(pod.Name, hostpod.ManagedBy+"-") && len(pod.OwnerReferences) == 1
}

// stopping are the findings that stop a switch, whoever made the plan.
func (p *Prepared) stopping(findings []v1alpha1.Finding) []v1alpha1.Finding {
	var out []v1alpha1.Finding
	for _, f := range findings {
		if f.Severity == v1alpha1.SeverityError && f.Suppressed == "" && (check.Firm(f.ID) || !slices.Contains(p.e.opts.Ignore, f.ID)) {
			out = append(out, f)
		}
	}
	return out
}

func weight(s v1alpha1.Severity) int {
	return slices.Index([]v1alpha1.Severity{v1alpha1.SeverityError, v1alpha1.SeverityFixable, v1alpha1.SeverityWarning}, s)
}

func (p *Prepared) step(step int, format string, args ...any) {
	p.e.say(Event{Node: p.node.Name, Run: p.run, Step: step, Of: steps, Text: oneLine(fmt.Sprintf(format, args...))})
}

func (p *Prepared) detail(step int, format string, args ...any) {
	p.e.say(Event{Node: p.node.Name, Run: p.run, Step: step, Of: steps, Detail: true, Text: oneLine(fmt.Sprintf(format, args...))})
}

func (p *Prepared) warn(format string, args ...any) {
	p.e.say(Event{Node: p.node.Name, Run: p.run, Warning: true, Text: oneLine(fmt.Sprintf(format, args...))})
}
