package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/rollout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/saved"
)

// planFormat is how plans are written on stdout; empty: not at all.
type planFormat string

func parsePlanFormat(s string) (planFormat, error) {
	switch s {
	case "", "json", "yaml":
		return planFormat(s), nil
	}
	return "", fmt.Errorf("-o %s: a plan is printed as json or yaml", s)
}

// planList is several plans as one document.
type planList struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Items      []*v1alpha1.Plan `json:"items"`
}

// writePlans writes one plan as itself and several as a list.
func writePlans(w io.Writer, format planFormat, plans []*v1alpha1.Plan) error {
	var doc any = planList{v1alpha1.APIVersion, v1alpha1.KindPlan + "List", plans}
	if len(plans) == 1 {
		doc = plans[0]
	}
	data, err := json.MarshalIndent(doc, "", "    ")
	if err != nil {
		return fmt.Errorf("encoding the plan: %w", err)
	}
	data = append(data, '\n')
	if format == "yaml" {
		if data, err = yaml.JSONToYAML(data); err != nil {
			return fmt.Errorf("encoding the plan: %w", err)
		}
	}
	_, err = w.Write(data)
	return err
}

// readSaved reads a file of plans or facts, or the standard input.
func (p *program) readSaved(path string) ([]byte, error) {
	in := p.Streams.In
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, saved.MaxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > saved.MaxBytes {
		return nil, fmt.Errorf("%s has more than %d MiB", path, saved.MaxBytes>>20)
	}
	return data, nil
}

// readPlans reads and verifies the plans of a file.
func (p *program) readPlans(path string) ([]*v1alpha1.Plan, error) {
	data, err := p.readSaved(path)
	if err != nil {
		return nil, err
	}
	return saved.Plans(path, data)
}

// applyPlans is switch --plan: exactly what was saved.
func (p *program) applyPlans(ctx context.Context, o *switchOptions) error {
	plans, err := p.readPlans(o.plan)
	if err != nil {
		return err
	}
	plans, err = matching(plans, o)
	if err != nil {
		return err
	}
	if o.dryRun == dryRunClient {
		return p.showPlans(o, plans)
	}
	s, err := p.newSession(ctx, o.run, fmt.Sprintf("switch NODE --to %s --dry-run=server", plans[0].To.Name))
	if err != nil {
		return err
	}
	defer s.close()
	byNode := map[string]*v1alpha1.Plan{}
	var nodes []string
	for _, x := range plans {
		byNode[x.Node] = x
		nodes = append(nodes, x.Node)
	}
	if _, err := (&targets{names: nodes}).find(ctx, s.client, p.Now()); err != nil {
		return err
	}
	prepare := func(ctx context.Context, node string) (*rollout.Prepared, error) {
		return s.engine.PrepareFromPlan(ctx, byNode[node])
	}
	return s.run(ctx, nodes, prepare, o.dryRun, o.detailed)
}

// matching holds the plans against what else was typed: it may name some of their nodes and their target, never others.
func matching(plans []*v1alpha1.Plan, o *switchOptions) ([]*v1alpha1.Plan, error) {
	var of []string
	for _, x := range plans {
		of = append(of, x.Node)
		if o.to != "" && x.To.Name != o.to {
			return nil, fmt.Errorf("the plan for %s in %s leads to %s, not to %s", x.Node, o.plan, x.To.Name, o.to)
		}
	}
	for _, name := range o.targets.names {
		if !slices.Contains(of, name) {
			return nil, fmt.Errorf("the plan in %s is for %s, not for %s", o.plan, strings.Join(of, ", "), name)
		}
	}
	if len(o.targets.names) == 0 {
		return plans, nil
	}
	return slices.DeleteFunc(plans, func(x *v1alpha1.Plan) bool { return !slices.Contains(o.targets.names, x.Node) }), nil
}
