package cmd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/rollout"
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

// document is any document that we read: what it says of itself, and the whole.
type document struct {
	v1alpha1.Header
	Items []json.RawMessage `json:"items"`

	raw []byte
}

// maxDocuments is more than the facts of a thousand nodes.
const maxDocuments = 256 << 20

// readDocuments reads a file of YAML or JSON documents; lists are taken apart.
func (p *program) readDocuments(path string) ([]document, error) {
	in := p.Streams.In
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, maxDocuments+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDocuments {
		return nil, fmt.Errorf("%s has more than %d MiB", path, maxDocuments>>20)
	}
	return split(path, data)
}

// split takes the documents of a file apart.
func split(path string, data []byte) ([]document, error) {
	var docs []document
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		part, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		raw, err := yaml.YAMLToJSONStrict(part)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		if string(raw) == "null" {
			continue
		}
		more, err := takeApart(raw)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		docs = append(docs, more...)
	}
	if len(docs) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	return docs, nil
}

func takeApart(raw []byte) ([]document, error) {
	d := document{raw: raw}
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, err
	}
	var newer *v1alpha1.NewerError
	if _, err := d.Known(); errors.As(err, &newer) {
		newer.What = "it"
		return nil, newer
	}
	if d.APIVersion != v1alpha1.APIVersion && d.APIVersion != v1alpha1.APIVersionAlpha1 {
		return nil, fmt.Errorf("apiVersion is %q, not %s", d.APIVersion, v1alpha1.APIVersion)
	}
	if !strings.HasSuffix(d.Kind, "List") {
		return []document{d}, nil
	}
	var docs []document
	for _, item := range d.Items {
		more, err := takeApart(item)
		if err != nil {
			return nil, err
		}
		docs = append(docs, more...)
	}
	return docs, nil
}

// decode reads a document strictly: a field that we don't know might be one that matters.
func (d document) decode(into any) error {
	dec := json.NewDecoder(bytes.NewReader(d.raw))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}

// readPlans reads and verifies the plans of a file.
func (p *program) readPlans(path string) ([]*v1alpha1.Plan, error) {
	docs, err := p.readDocuments(path)
	if err != nil {
		return nil, err
	}
	var plans []*v1alpha1.Plan
	for _, d := range docs {
		if d.Kind != v1alpha1.KindPlan {
			return nil, fmt.Errorf("%s holds a %s, not a %s", path, d.Kind, v1alpha1.KindPlan)
		}
		if err := plan.VerifyHeader(d.Header); err != nil {
			return nil, fmt.Errorf("the plan in %s can't be used: %w", path, err)
		}
		x := &v1alpha1.Plan{}
		if err := d.decode(x); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		if err := plan.Verify(x); err != nil {
			return nil, fmt.Errorf("the plan for %s in %s can't be used: %w", x.Node, path, err)
		}
		if slices.ContainsFunc(plans, func(y *v1alpha1.Plan) bool { return y.Node == x.Node }) {
			return nil, fmt.Errorf("%s holds two plans for %s", path, x.Node)
		}
		plans = append(plans, x)
	}
	return plans, nil
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
