package cmd

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/rollout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/saved"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/ui"
)

// readFacts reads what status --deep printed, or bare Facts.
func (p *program) readFacts(path string) ([]saved.Node, error) {
	data, err := p.readSaved(path)
	if err != nil {
		return nil, err
	}
	return saved.Facts(path, data)
}

// planFromFacts is switch --dry-run=client --facts: no API server, no node.
func (p *program) planFromFacts(o *switchOptions) error {
	list, err := p.readFacts(o.facts)
	if err != nil {
		return err
	}
	for _, name := range o.targets.names {
		if !slices.ContainsFunc(list, func(s saved.Node) bool { return s.Facts.Node == name }) {
			return fmt.Errorf("%s holds no facts of %s", o.facts, name)
		}
	}
	if o.run.engine.EvacuationGrace == rollout.NoGraceLimit {
		return errors.New("--evacuation-grace=0 needs the pods of the node, which facts don't have: use --dry-run=server, or say how long")
	}
	if o.targets.selected() {
		return errors.New("-l and --field-selector ask the API server; with --facts name the nodes, or take all of the file")
	}
	u := p.ui()
	var plans []*v1alpha1.Plan
	blocked := false
	for _, s := range list {
		if len(o.targets.names) > 0 && !slices.Contains(o.targets.names, s.Facts.Node) {
			continue
		}
		x, refused, err := p.planOne(u, o, s)
		if err != nil {
			return fmt.Errorf("planning %s: %w", s.Facts.Node, err)
		}
		blocked = blocked || refused
		if x != nil {
			plans = append(plans, x)
		}
	}
	if o.run.format != "" && len(plans) > 0 {
		if err := writePlans(u.Documents(), o.run.format, plans); err != nil {
			return err
		}
	}
	switch {
	case blocked:
		return ended{codeError}
	case o.detailed && len(plans) > 0:
		return ended{codeChanges}
	}
	return nil
}

// planOne shows the plan of one node; nil where there is nothing to do. It reports whether rules refuse it.
func (p *program) planOne(u *ui.UI, o *switchOptions, s saved.Node) (*v1alpha1.Plan, bool, error) {
	x, err := plan.Build(s.Facts, plan.Goal{Run: newRun(), To: o.to, KubeadmAnnotation: s.KubeadmSocket, Ignore: o.run.engine.Ignore})
	var nothing *plan.NothingError
	var refused *plan.RefusedError
	switch {
	case errors.As(err, &nothing):
		u.Result(ui.Result{Node: s.Facts.Node, Outcome: string(rollout.NothingToDo)}, o.run.format == "")
		return nil, false, nil
	case errors.As(err, &refused):
		explainPlan(u, s.Facts.Node, err)
		u.Result(ui.Result{Node: s.Facts.Node, Verdict: ui.Caught, Outcome: string(rollout.Refused), Err: err, State: unchanged}, false)
		return nil, true, nil
	case err != nil:
		return nil, false, err
	}
	x.Version = built()
	if grace := o.run.engine.EvacuationGrace; grace > 0 {
		x.EvacuationGrace = grace
		x.Digest = plan.Digest(x)
	}
	diffs, err := plan.Diffs(x, plan.ContentsOf(s.Facts))
	if err != nil {
		return nil, false, err
	}
	u.Plan(ui.Plan{Plan: x, Steps: plan.Steps(x), Diffs: diffs, Findings: x.Findings, ConfirmTimeout: o.run.confirm, Offline: true}, o.run.format == "")
	u.Say("From facts of %s; nothing was asked of the node.", s.Facts.Taken.UTC().Format("2006-01-02 15:04 MST"))
	return x, false, nil
}

// unchanged is the state of a node behind a dry run.
const unchanged = "unchanged: this was a dry run"

// showPlans is switch --plan --dry-run=client: what a saved plan says, without its diffs, whose texts it doesn't hold.
func (p *program) showPlans(o *switchOptions, plans []*v1alpha1.Plan) error {
	u := p.ui()
	for _, x := range plans {
		diffs, err := plan.Diffs(x, func(string) (string, bool) { return "", false })
		if err != nil {
			return err
		}
		u.Plan(ui.Plan{Plan: x, Steps: plan.Steps(x), Diffs: diffs, Findings: x.Findings, ConfirmTimeout: o.run.confirm, Offline: true}, o.run.format == "")
	}
	if o.run.format != "" {
		if err := writePlans(u.Documents(), o.run.format, plans); err != nil {
			return err
		}
	}
	if o.detailed && len(plans) > 0 {
		return ended{codeChanges}
	}
	return nil
}

// newRun names a run.
func newRun() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return "r-" + hex.EncodeToString(b[:])
}
