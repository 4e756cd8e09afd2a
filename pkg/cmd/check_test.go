package cmd

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/facts"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/report"
)

// TestCheckFacts says of a node what planning says with a target, and without one what holds for every target.
func TestCheckFacts(t *testing.T) {
	node := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO}}
	f, err := facts.Gather(context.Background(), node.Build().Machine(), "worker-1")
	if err != nil {
		t.Fatal(err)
	}
	ids := func(to v1alpha1.RuntimeName) []string {
		r := &report.Report{}
		if err := checkFacts(f, to, nil, r); err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, x := range r.Findings {
			if x.Node != "worker-1" {
				t.Errorf("a finding without its node: %+v", x)
			}
			out = append(out, x.ID+" "+string(x.Severity)+" "+x.Message)
		}
		return out
	}
	planned, common := ids(v1alpha1.CRIO), ids("")
	if len(planned) == 0 {
		t.Error("planning finds nothing: this node tells nothing")
	}
	if same := ids(v1alpha1.Containerd); len(same) != 0 {
		t.Errorf("findings about the runtime that the node has: %q", same)
	}
	// Docker isn't installed there: that is said for it alone.
	lacks := func(id string) func(string) bool { return func(s string) bool { return s[:4] == id } }
	if !slices.ContainsFunc(ids(v1alpha1.Docker), lacks("R001")) || slices.ContainsFunc(common, lacks("R001")) {
		t.Errorf("R001: docker %q, any %q", ids(v1alpha1.Docker), common)
	}
	view, err := kubelet.Analyze(f)
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, x := range check.Switch(f, view, v1alpha1.CRIO) {
		rules = append(rules, x.ID+" "+string(x.Severity)+" "+x.Message)
	}
	for _, c := range common {
		if !slices.Contains(rules, c) {
			t.Errorf("%q isn't said of CRI-O", c)
		}
	}
}

func TestFails(t *testing.T) {
	list := []v1alpha1.Finding{
		{ID: "E", Severity: v1alpha1.SeverityError},
		{ID: "W", Severity: v1alpha1.SeverityWarning},
		{ID: "F", Severity: v1alpha1.SeverityFixable},
		{ID: "S", Severity: v1alpha1.SeverityError, Suppressed: "known"},
	}
	for failOn, want := range map[v1alpha1.Severity][]string{"": nil, v1alpha1.SeverityError: {"E"}, v1alpha1.SeverityWarning: {"E", "W"}} {
		var got []string
		for _, f := range list {
			if (&checkOptions{failOn: failOn}).fails(f) {
				got = append(got, f.ID)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("--fail-on=%s (-want +got)\n%s", failOn, diff)
		}
	}
}

// TestSuppress ignores what is named, but for rules whose refusal no flag overrides.
func TestSuppress(t *testing.T) {
	list := []v1alpha1.Finding{{ID: "W001"}, {ID: "R001"}, {ID: "W001", Suppressed: "known"}, {ID: "W002"}}
	(&checkOptions{ignore: []string{"W001", "R001"}}).suppress(list)
	var got []string
	for _, f := range list {
		got = append(got, f.Suppressed)
	}
	if diff := cmp.Diff([]string{"by --ignore", "", "known", ""}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestCheckFactsUsers: without a target those who use the runtime are named whom every switch would part from it.
func TestCheckFactsUsers(t *testing.T) {
	messages := func(runtime, to v1alpha1.RuntimeName, socket string) (out []string) {
		node := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: runtime, Also: []v1alpha1.RuntimeName{v1alpha1.Containerd, v1alpha1.CRIO}}
		if runtime == v1alpha1.Containerd {
			node.Also = []v1alpha1.RuntimeName{v1alpha1.CRIO}
		}
		m := node.Build()
		m.Connect(v1alpha1.Client{Socket: socket, Connections: 1, Process: v1alpha1.Process{PID: 7, Exe: "/usr/bin/telegraf", Unit: "telegraf.service"}})
		f, err := facts.Gather(context.Background(), m.Machine(), "worker-1")
		if err != nil {
			t.Fatal(err)
		}
		r := &report.Report{}
		if err := checkFacts(f, to, nil, r); err != nil {
			t.Fatal(err)
		}
		for _, x := range r.Findings {
			if x.ID[0] == 'U' {
				out = append(out, x.ID+" "+string(x.Severity))
			}
		}
		return out
	}
	const docker, containerd = "/var/run/docker.sock", "/run/containerd/containerd.sock"
	for _, c := range []struct {
		runtime, to v1alpha1.RuntimeName
		socket      string
		want        []string
	}{
		{v1alpha1.Docker, "", docker, []string{"U001 warning"}},
		{v1alpha1.Docker, v1alpha1.CRIO, docker, []string{"U001 warning"}},
		{v1alpha1.Docker, v1alpha1.Containerd, containerd, nil},
		{v1alpha1.Docker, v1alpha1.CRIO, containerd, []string{"U001 warning"}},
		{v1alpha1.Docker, "", containerd, nil},
		{v1alpha1.Containerd, "", containerd, []string{"U001 warning"}},
		{v1alpha1.Containerd, "", docker, nil},
		{v1alpha1.Containerd, v1alpha1.CRIO, docker, nil},
	} {
		if diff := cmp.Diff(c.want, messages(c.runtime, c.to, c.socket)); diff != "" {
			t.Errorf("%s to %q, at %s: (-want +have)\n%s", c.runtime, c.to, c.socket, diff)
		}
	}
}
