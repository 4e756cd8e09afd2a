package plan_test

import (
	"errors"
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

// TestMounts: a path that no rename replaces is found before anything is stopped, forward and back.
func TestMounts(t *testing.T) {
	type mount struct {
		path     string
		readOnly bool
	}
	for _, c := range []struct {
		name   string
		mounts []mount
		want   string // part of the refusal
	}{
		{name: "elsewhere", mounts: []mount{{"/etc/hosts", false}, {"/etc/resolv.conf", true}, {"/usr", true}, {"/boot", true}, {"/etc/crictl.yaml.d", true}}},
		{name: "a directory of its own", mounts: []mount{{"/etc", false}, {"/etc/containerd", false}, {"/var/lib/kubelet", false}}},
		{name: "a file by itself", mounts: []mount{{"/etc/crictl.yaml", false}}, want: "N010 /etc/crictl.yaml is mounted by itself"},
		{name: "a directory that can't be written", mounts: []mount{{"/etc/systemd", true}}, want: "N010 /etc/systemd is mounted read-only: the switch can't write /etc/systemd/system/"},
		{name: "one above", mounts: []mount{{"/var", true}}, want: "N010 /var is mounted read-only: the switch can't write /var/lib/kubelet/kubeadm-flags.env"},
		{name: "one that is covered", mounts: []mount{{"/var", true}, {"/var/lib/kubelet", false}}},
		{name: "one that was covered by another", mounts: []mount{{"/etc/systemd", false}, {"/etc/systemd", true}}, want: "N010 /etc/systemd is mounted read-only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t, soundNode)
			p, err := plan.Build(n.gather(), plan.Goal{Run: "r-00000001", To: v1alpha1.CRIO})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range c.mounts {
				n.m.Mount(m.path, m.readOnly)
			}
			_, forward := plan.Build(n.gather(), plan.Goal{Run: "r-00000001", To: v1alpha1.CRIO})
			view := n.apply(p)
			_, back := plan.Inverse(view, n.gather(), "r-00000002")
			for way, err := range map[string]error{"forward": forward, "back": back} {
				refused := errors.As(err, new(*plan.RefusedError))
				if refused != (c.want != "") || refused && (!strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "N010") != 1) || !refused && err != nil {
					t.Errorf("%s: %v, want %q", way, err, c.want)
				}
			}
		})
	}
}
