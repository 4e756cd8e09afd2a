package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/rollout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/ui"
)

// session is one verb that changes nodes, from the connection to the last line.
type session struct {
	p        *program
	o        *runOptions
	ui       *ui.UI
	client   kubernetes.Interface
	rest     *rest.Config
	engine   *rollout.Engine
	progress *ui.Progress
	plans    []*v1alpha1.Plan
	// where names the cluster.
	where string
	named sync.Once
	// back: nodes go back to what was before.
	back bool
	// again is the command, behind the program's name, that looks whether a refused node would go now; NODE in it is
	// the node.
	again string
	done  chan struct{}
}

type prepareFunc = func(ctx context.Context, node string) (*rollout.Prepared, error)

func (p *program) newSession(ctx context.Context, o *runOptions, again string) (*session, error) {
	u := p.ui()
	client, config, err := p.clients(u)
	if err != nil {
		return nil, err
	}
	s := &session{p: p, o: o, again: again, where: p.where(config), ui: u, client: client, rest: config, progress: u.Progress(), done: make(chan struct{})}
	options := o.engine
	options.Ended = s.ended
	s.engine = rollout.New(client, config, options, func(e rollout.Event) { s.progress.Event(event(e)) })
	go s.interrupts(ctx)
	return s, nil
}

func (s *session) close() {
	close(s.done)
	s.progress.Close()
}

// interrupts says what an interrupt does, when it comes.
func (s *session) interrupts(ctx context.Context) {
	select {
	case <-ctx.Done():
		s.ui.Say("Interrupted: going to the next safe point. A second interrupt ends at once.")
	case <-s.done:
		return
	}
	select {
	case <-s.p.Abort:
		s.ui.Say("Interrupted again: leaving now. A node that is being changed confirms nothing and goes back by itself at its deadline.\nnext: %s status", s.p.Name)
	case <-s.done:
	}
}

// prepareError is why a node didn't get as far as its plan: nothing was changed there.
type prepareError struct {
	node string
	err  error
}

func (e *prepareError) Error() string { return e.node + ": " + e.err.Error() }

func (e *prepareError) Unwrap() error { return e.err }

// naming lets prepare's errors say whose they are.
func naming(prepare prepareFunc) prepareFunc {
	return func(ctx context.Context, node string) (*rollout.Prepared, error) {
		p, err := prepare(ctx, node)
		if err != nil {
			return nil, &prepareError{node, err}
		}
		return p, nil
	}
}

// unprepared prints a node's error as its result. Missing rights are no node's: they are left to the end.
func (s *session) unprepared(ctx context.Context, err error) error {
	var e *prepareError
	var denied *cluster.DeniedError
	if !errors.As(err, &e) || errors.As(err, &denied) || ctx.Err() != nil {
		return err
	}
	explainPlan(s.ui, e.node, e.err)
	why := explain(e.err)
	if start := (*hostpod.StartError)(nil); errors.As(e.err, &start) {
		// What forbids a pod is most often its namespace's.
		why = fmt.Errorf("in namespace %s: %w", s.p.namespace(), why)
	}
	s.ended(rollout.Result{Node: e.node, Outcome: rollout.Refused, Err: why, State: "nothing was changed on the node"})
	return ended{codeError}
}

// explainPlan shows what an error about a plan knows beyond its sentence.
func explainPlan(u *ui.UI, node string, err error) {
	var refused *plan.RefusedError
	var changed *plan.ChangedError
	switch {
	case errors.As(err, &refused):
		u.Findings(node, refused.Findings)
	case errors.As(err, &changed):
		u.Changes(node, changed.Run, changed.Files)
	}
}

// run takes the nodes through it, or through the dry run of it.
func (s *session) run(ctx context.Context, nodes []string, prepare prepareFunc, dry dryRun, detailed bool) error {
	prepare = naming(prepare)
	if dry == dryRunServer {
		return s.dryRun(ctx, nodes, prepare, detailed)
	}
	results, err := s.engine.Rollout(ctx, nodes, prepare, s.approve)
	err = s.unprepared(ctx, err)
	if left := untouched(nodes, results); ctx.Err() != nil && len(left) > 0 {
		s.ui.Say("Not touched: %s", strings.Join(left, ", "))
	}
	s.ui.Summary(outcomes(results))
	if printErr := s.printPlans(); printErr != nil && err == nil {
		err = printErr
	}
	return end(results, err)
}

// ended prints how it ended for one node.
func (s *session) ended(r rollout.Result) {
	s.progress.Done(r.Node)
	if r.Outcome == rollout.Refused && r.Next == "" {
		r.Next = s.p.Name + " " + strings.ReplaceAll(s.again, "NODE", r.Node) + "   (when that is mended)"
	}
	s.ui.Result(result(r), s.o.format == "")
}

// approve shows the plan and asks.
func (s *session) approve(ctx context.Context, p *rollout.Prepared) (bool, error) {
	s.progress.Done(p.Node())
	if p.NothingToDo() {
		return true, nil
	}
	if err := s.show(p, !s.o.yes); err != nil {
		return false, err
	}
	if p.Blocked() != nil {
		// What is blocked is refused by Execute, which says so in its result.
		return true, nil
	}
	if s.o.yes {
		// Where it isn't asked, it is said once.
		s.named.Do(func() { s.ui.Say("Changing nodes of %s.", s.where) })
		return true, nil
	}
	question := fmt.Sprintf("Switch %s (%s)?", p.Node(), s.where)
	if s.back {
		question = fmt.Sprintf("Take %s back (%s)?", p.Node(), s.where)
	}
	yes, err := s.ui.Confirm(ctx, question)
	if err != nil {
		return false, err
	}
	if !yes {
		return false, errDeclined
	}
	return true, nil
}

var errDeclined = errors.New(`not confirmed with "yes": this node was not changed`)

// show prints the plan of a node. An open run that is taken back has no plan of its own: it is said whose it is.
// Before a question it goes where the question goes.
func (s *session) show(p *rollout.Prepared, asking bool) error {
	if r := p.Resumes(); s.back && r != nil {
		s.ui.Say("%s: run %s of %s (%s to %s) is open, in phase %s; it is taken back.", p.Node(), r.ID, r.By, r.From, r.To, r.Phase)
		return nil
	}
	s.plans = append(s.plans, p.Plan())
	diffs, err := p.Diffs()
	if err != nil {
		return err
	}
	s.ui.Plan(ui.Plan{
		Plan: p.Plan(), Steps: p.Steps(), Diffs: diffs, Findings: p.Findings(), Evictions: p.Evictions(),
		Resumes: p.Resumes(), Blocked: p.Blocked() != nil, ConfirmTimeout: s.o.confirm,
	}, s.o.format == "" && !asking)
	return nil
}

// dryRun shows the plans and stages each on its node; nothing that serves changes.
func (s *session) dryRun(ctx context.Context, nodes []string, prepare prepareFunc, detailed bool) error {
	var results []rollout.Result
	var failure error
	changes := false
	for _, node := range nodes {
		r, changed, err := s.dryRunNode(ctx, node, prepare)
		if err != nil {
			failure = s.unprepared(ctx, err)
			break
		}
		changes = changes || changed
		s.ended(r)
		results = append(results, r)
	}
	if err := s.printPlans(); err != nil && failure == nil {
		failure = err
	}
	if err := end(results, failure); err != nil {
		return err
	}
	if changes && detailed {
		return ended{codeChanges}
	}
	return nil
}

func (s *session) dryRunNode(ctx context.Context, node string, prepare prepareFunc) (r rollout.Result, changed bool, err error) {
	p, err := prepare(ctx, node)
	if err != nil {
		s.progress.Done(node)
		return r, false, err
	}
	defer func() {
		if closeErr := p.Close(context.WithoutCancel(ctx)); closeErr != nil && err == nil {
			err = closeErr
		}
		s.progress.Done(node)
	}()
	if p.NothingToDo() {
		return rollout.Result{Node: node, Outcome: rollout.NothingToDo}, false, nil
	}
	s.progress.Done(node)
	if err := s.show(p, false); err != nil {
		return r, false, err
	}
	if blocked := p.Blocked(); blocked != nil {
		return rollout.Result{Node: node, Outcome: rollout.Refused, Err: blocked, State: unchanged}, true, nil
	}
	return p.Validate(ctx), true, nil
}

// printPlans puts the plans on stdout where they are wanted as documents.
func (s *session) printPlans() error {
	if s.o.format == "" || len(s.plans) == 0 {
		return nil
	}
	return writePlans(s.ui.Documents(), s.o.format, s.plans)
}
