package cmd

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// FuzzPlanFile: whatever a file of plans holds, it is refused or each plan is whole: its digest fits, it writes only what a plan may, and
// it can be shown.
func FuzzPlanFile(f *testing.F) {
	for _, format := range []planFormat{"json", "yaml"} {
		var b bytes.Buffer
		if err := writePlans(&b, format, []*v1alpha1.Plan{testPlan("worker-1"), testPlan("worker-2")}); err != nil {
			f.Fatal(err)
		}
		f.Add(b.String())
		f.Add(b.String()[:b.Len()/2])
		f.Add(strings.Replace(b.String(), "crictl.yaml", "../shadow", 1))
	}
	for _, s := range []string{"", "---\n---\n", "null", "[]", "apiVersion: kubectl-runtime/v1alpha2\nkind: PlanList\nitems: [null, 1, {}]\n", "a: &a [*a]\n", "kind: \x1b[2J\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		plans, err := testProgram(text).readPlans("-")
		if err != nil {
			return
		}
		for _, p := range plans {
			if p.Digest != plan.Digest(p) {
				t.Errorf("a plan was taken whose digest doesn't fit: %+v", p)
			}
			for _, x := range p.After.Files {
				if v1alpha1.CheckPlanned(x) != nil {
					t.Errorf("a plan was taken that writes %q", x.Path)
				}
			}
			if _, err := plan.Diffs(p, nil); err != nil {
				t.Errorf("a plan was taken that can't be shown: %v", err)
			}
			plan.Steps(p)
		}
	})
}

// FuzzFactsFile: whatever a file of facts holds, it is refused or can be planned from without harm.
func FuzzFactsFile(f *testing.F) {
	for _, s := range []string{
		"apiVersion: kubectl-runtime/v1alpha2\nkind: Facts\nnode: worker-1\nkubelet: {argv: [kubelet, --config=/x], unit: kubelet.service, version: 1.34.4}\nfiles: [{path: /x, type: file, content: a, size: 1}]\n",
		"apiVersion: kubectl-runtime/v1alpha2\nkind: NodeStatus\nmetadata: {name: a}\nfacts: {node: a, runtimes: [{name: containerd, cri: {endpoint: x}}]}\n",
		"apiVersion: kubectl-runtime/v1alpha1\nkind: Facts\n", "apiVersion: v1\nkind: Pod\n", "{", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := testProgram(text).readFacts("-")
		if err != nil {
			return
		}
		for _, s := range list {
			if s.facts == nil {
				t.Fatal("facts were read that aren't there")
			}
			_, _ = kubelet.Analyze(s.facts)
			made, err := plan.Build(s.facts, plan.Goal{Run: "r-00000001", To: v1alpha1.CRIO})
			if err == nil {
				if err := plan.Verify(made); err != nil {
					t.Errorf("a plan of these facts can't be used: %v", err)
				}
			}
		}
	})
}

// TestFilesAreBounded: a file that never ends isn't read for ever.
func TestFilesAreBounded(t *testing.T) {
	p := testProgram("")
	p.Streams.In = endless{}
	if _, err := p.readPlans("-"); err == nil || !strings.Contains(err.Error(), "has more than 256 MiB") {
		t.Errorf("%v", err)
	}
	p.Streams.In = broken{}
	if _, err := p.readFacts("-"); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }
