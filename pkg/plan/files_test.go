package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// findingsOf returns a rule's findings.
func findingsOf(list []v1alpha1.Finding, id string) []v1alpha1.Finding {
	return slices.DeleteFunc(slices.Clone(list), func(x v1alpha1.Finding) bool { return x.ID != id })
}

// TestConfigurationManagement: for each agent the plan's own files are listed, and no directory.
func TestConfigurationManagement(t *testing.T) {
	f := newNode(t, soundNode).gather()
	p, err := plan.Build(f, plan.Goal{Run: "r-00000001", To: v1alpha1.CRIO})
	if err != nil {
		t.Fatal(err)
	}
	if got := findingsOf(p.Findings, "N009"); len(got) > 0 {
		t.Errorf("without an agent: %+v", got)
	}
	digest := p.Digest
	f.Managers = []v1alpha1.ConfigManager{{Name: "Puppet", Seen: []string{"puppet.service (active)"}}, {Name: "Salt", Seen: []string{"salt-minion.service (active)", "process 30 (salt-minion)"}}}
	if p, err = plan.Build(f, plan.Goal{Run: "r-00000001", To: v1alpha1.CRIO}); err != nil {
		t.Fatal(err)
	}
	if p.Digest != digest {
		t.Error("a finding changed the plan")
	}
	var want []string
	for _, x := range p.After.Files {
		if x.Type != v1alpha1.Directory {
			want = append(want, x.Path)
		}
	}
	if !slices.Contains(want, "/var/lib/kubelet/kubeadm-flags.env") {
		t.Errorf("the plan changes %q", want)
	}
	got := findingsOf(p.Findings, "N009")
	if len(got) != 2 {
		t.Fatalf("%+v", got)
	}
	for i, says := range []string{"Puppet manages this node (puppet.service (active))", "Salt manages this node (salt-minion.service (active) and 1 more)"} {
		if got[i].Severity != v1alpha1.SeverityWarning || got[i].Node != "node1" || !strings.HasPrefix(got[i].Message, says) {
			t.Errorf("%+v", got[i])
		}
		if diff := cmp.Diff(want, got[i].Evidence); diff != "" {
			t.Error(diff)
		}
	}
}
