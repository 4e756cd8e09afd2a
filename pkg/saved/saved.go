// Package saved reads the documents that this program printed, out of files that anybody may have written: plans to be applied, facts to
// be planned from. It is pure: files are opened by others.
package saved

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// MaxBytes is more than the facts of a thousand nodes.
const MaxBytes = 256 << 20

// Node is what a file tells of a node.
type Node struct {
	Facts *v1alpha1.Facts
	// KubeadmSocket is kubeadm's annotation, where the file tells it.
	KubeadmSocket string
}

// Plans reads and verifies plans: each can be used, and no two are for one node. The name is the file's, for errors.
func Plans(name string, data []byte) ([]*v1alpha1.Plan, error) {
	docs, err := split(name, data)
	if err != nil {
		return nil, err
	}
	var plans []*v1alpha1.Plan
	for _, d := range docs {
		x, err := d.plan(name)
		if err != nil {
			return nil, err
		}
		if err := plan.Verify(x); err != nil {
			return nil, fmt.Errorf("the plan for %s in %s can't be used: %w", x.Node, name, err)
		}
		if slices.ContainsFunc(plans, func(y *v1alpha1.Plan) bool { return y.Node == x.Node }) {
			return nil, fmt.Errorf("%s holds two plans for %s", name, x.Node)
		}
		plans = append(plans, x)
	}
	return plans, nil
}

// Facts reads what status --deep printed, or bare Facts. The name is the file's, for errors.
func Facts(name string, data []byte) ([]Node, error) {
	docs, err := split(name, data)
	if err != nil {
		return nil, err
	}
	var list []Node
	for _, d := range docs {
		n, err := d.facts()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		list = append(list, n)
	}
	return list, nil
}

// document is any document that we read: what it says of itself, and the whole.
type document struct {
	v1alpha1.Header
	Items []json.RawMessage `json:"items"`

	raw []byte
}

// split takes the documents of a file of YAML or JSON apart, and lists in it.
func split(name string, data []byte) ([]document, error) {
	var docs []document
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		part, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		raw, err := yaml.YAMLToJSONStrict(part)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		if string(raw) == "null" {
			continue
		}
		more, err := takeApart(raw)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		docs = append(docs, more...)
	}
	if len(docs) == 0 {
		return nil, fmt.Errorf("%s is empty", name)
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

// plan is the plan that a document is, not verified yet.
func (d document) plan(name string) (*v1alpha1.Plan, error) {
	if d.Kind != v1alpha1.KindPlan {
		return nil, fmt.Errorf("%s holds a %s, not a %s", name, d.Kind, v1alpha1.KindPlan)
	}
	if err := plan.VerifyHeader(d.Header); err != nil {
		return nil, fmt.Errorf("the plan in %s can't be used: %w", name, err)
	}
	x := &v1alpha1.Plan{}
	if err := d.decode(x); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return x, nil
}

func (d document) facts() (Node, error) {
	switch d.Kind {
	case v1alpha1.KindFacts:
		f := &v1alpha1.Facts{}
		return Node{Facts: f}, d.decode(f)
	case v1alpha1.KindNodeStatus:
		var n v1alpha1.NodeStatus
		if err := d.decode(&n); err != nil {
			return Node{}, err
		}
		if n.Facts == nil {
			return Node{}, fmt.Errorf("the status of %s holds no facts: print it with --deep", n.Metadata.Name)
		}
		return Node{Facts: n.Facts, KubeadmSocket: n.KubeadmSocket}, nil
	}
	return Node{}, fmt.Errorf("it holds a %s, not facts", d.Kind)
}
