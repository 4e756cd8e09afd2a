package saved

import (
	"encoding/json"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// small is a plan that can be used.
func small(node string) *v1alpha1.Plan {
	crio := v1alpha1.RuntimeRef{Name: v1alpha1.CRIO, Endpoint: "unix:///var/run/crio/crio.sock", Units: []string{"crio.service"}}
	containerd := v1alpha1.RuntimeRef{Name: v1alpha1.Containerd, Endpoint: "unix:///run/containerd/containerd.sock", Units: []string{"containerd.service"}}
	absent := func(path string) v1alpha1.FileState { return v1alpha1.FileState{Path: path, Type: v1alpha1.Absent} }
	const config, crictl, link = "/etc/containerd/config.toml", "/etc/crictl.yaml", "/etc/systemd/system/multi-user.target.wants/containerd.service"
	p := &v1alpha1.Plan{
		APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindPlan, Format: v1alpha1.Format, Node: node, Run: "r-00000001", From: crio, To: containerd,
		Kubelet: v1alpha1.KubeletRef{Unit: v1alpha1.KubeletUnit, Healthz: "http://127.0.0.1:10248/healthz"},
		Before: v1alpha1.State{
			Files: []v1alpha1.FileState{absent(config), {Path: crictl, Type: v1alpha1.Regular, SHA256: "hmac-sha256:00", Mode: 0o644}, absent(link)},
			Units: []v1alpha1.UnitState{{Name: "containerd.service"}, {Name: "crio.service", Active: true}}, Runtime: crio,
		},
		After: v1alpha1.State{
			Files: []v1alpha1.FileState{
				{Path: config, Type: v1alpha1.Regular, Mode: 0o644, Content: []v1alpha1.Segment{{Text: "version = 2\n"}}},
				{Path: crictl, Type: v1alpha1.Regular, Mode: 0o600, Content: []v1alpha1.Segment{{Text: "a"}, {From: crictl, Start: 1, End: 9}}},
				{Path: link, Type: v1alpha1.Symlink, Target: "/usr/lib/systemd/system/containerd.service"},
			},
			Units: []v1alpha1.UnitState{{Name: "containerd.service", Active: true}, {Name: "crio.service"}}, Runtime: containerd,
		},
		Evacuate: []v1alpha1.RuntimeRef{crio, containerd}, Modules: []string{"overlay"},
		Staging: v1alpha1.Staging{Needed: true, Argv: []string{"/usr/bin/containerd", "--config={dir}/config.toml"}},
		ReadSet: v1alpha1.ReadSet{Files: []v1alpha1.FileDigest{{Path: crictl, Type: v1alpha1.Regular}}, Binaries: map[string]string{"/usr/bin/containerd": "2.2.9"}},
	}
	p.Digest = plan.Digest(p)
	return p
}

// FuzzPlans: whatever a file of plans holds, it is refused, or each plan is whole: its digest fits, it writes only what a plan may, and it
// can be shown. Its author can make a digest fit: that it doesn't is mended here, so that what stands behind it is tried, too.
func FuzzPlans(f *testing.F) {
	one, err := json.Marshal(small("worker-1"))
	if err != nil {
		f.Fatal(err)
	}
	text, err := yaml.JSONToYAML(one)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{
		string(one), string(text), string(one[:len(one)/2]), strings.Replace(string(one), "crictl.yaml", "../shadow", 1),
		`{"apiVersion":"` + v1alpha1.APIVersion + `","kind":"PlanList","items":[` + string(one) + `,` + string(one) + `]}`,
		"", "---\n---\n", "null", "[]", "apiVersion: kubectl-runtime/v1alpha2\nkind: PlanList\nitems: [null, 1, {}]\n", "a: &a [*a]\n", "kind: \x1b[2J\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if plans, err := Plans("-", []byte(text)); err == nil {
			for _, p := range plans {
				whole(t, p)
			}
		}
		docs, err := split("-", []byte(text))
		if err != nil {
			return
		}
		for _, d := range docs {
			p, err := d.plan("-")
			if err != nil {
				continue
			}
			p.Digest = plan.Digest(p)
			if plan.Verify(p) == nil {
				whole(t, p)
			}
		}
	})
}

// whole tries what is done with a plan that was taken.
func whole(t *testing.T, p *v1alpha1.Plan) {
	t.Helper()
	if p.Digest != plan.Digest(p) {
		t.Errorf("a plan was taken whose digest doesn't fit: %+v", p)
	}
	for i, x := range p.After.Files {
		for _, s := range []v1alpha1.FileState{p.Before.Files[i], x} {
			if err := v1alpha1.CheckPlanned(s); err != nil {
				t.Errorf("a plan was taken that writes %v", err)
			}
		}
	}
	diffs, err := plan.Diffs(p, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Errorf("a plan was taken that can't be shown: %v", err)
	}
	for _, x := range p.After.Files {
		shown := false
		for _, d := range diffs {
			shown = shown || d.Path == x.Path
		}
		if !shown && x.Type != v1alpha1.Absent {
			t.Errorf("a plan was taken that doesn't show what it does to %s", x.Path)
		}
	}
	plan.Steps(p)
	_ = runtimes.Vet(p)
	_ = plan.Compare(p, p, &v1alpha1.Facts{})
}

// FuzzFacts: whatever a file of facts holds, it is refused or can be planned from without harm.
func FuzzFacts(f *testing.F) {
	for _, s := range []string{
		"apiVersion: kubectl-runtime/v1alpha2\nkind: Facts\nnode: worker-1\nkubelet: {argv: [kubelet, --config=/x], unit: kubelet.service, version: 1.34.4}\nfiles: [{path: /x, type: file, content: a, size: 1}]\n",
		"apiVersion: kubectl-runtime/v1alpha2\nkind: NodeStatus\nmetadata: {name: a}\nfacts: {node: a, runtimes: [{name: containerd, cri: {endpoint: x}}]}\n",
		"apiVersion: kubectl-runtime/v1alpha2\nkind: Facts\nnode: a\nunits: [{name: kubelet.service, loadState: loaded, fragment: /u, dropIns: [/d]}]\n" +
			"files: [{path: /u, type: file, content: \"[Service]\\nExecStart=/usr/bin/kubelet\\n\", size: 36}, {path: /d, type: file, size: 9, content: \"[Service]\", masked: [{start: 1, end: 99}]}]\n",
		"apiVersion: kubectl-runtime/v1alpha1\nkind: Facts\n", "apiVersion: v1\nkind: Pod\n", "{", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := Facts("-", []byte(text))
		if err != nil {
			return
		}
		for _, n := range list {
			if n.Facts == nil {
				t.Fatal("facts were read that aren't there")
			}
			_, _ = kubelet.Analyze(n.Facts)
			for _, to := range []v1alpha1.RuntimeName{v1alpha1.CRIO, v1alpha1.Containerd, v1alpha1.Docker} {
				made, err := plan.Build(n.Facts, plan.Goal{Run: "r-00000001", To: to})
				if err == nil {
					if err := plan.Verify(made); err != nil {
						t.Errorf("a plan of these facts can't be used: %v", err)
					}
				}
			}
		}
	})
}

// TestSmall: what the fuzzers begin with can be used.
func TestSmall(t *testing.T) {
	data, err := json.Marshal(small("worker-1"))
	if err != nil {
		t.Fatal(err)
	}
	plans, err := Plans("-", data)
	if err != nil || len(plans) != 1 {
		t.Fatal(plans, err)
	}
	whole(t, plans[0])
	if err := runtimes.Vet(plans[0]); err != nil {
		t.Error(err)
	}
}
