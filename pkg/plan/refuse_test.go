package plan_test

import (
	"errors"
	"path"
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// soundNode may be switched from containerd to CRI-O.
var soundNode = layout.Node{Kubelet: "1.31.14", Installer: layout.KubeadmNew, Runtime: v1alpha1.Containerd, Also: []v1alpha1.RuntimeName{v1alpha1.CRIO}}

// TestIgnore: an error can be ignored unless its rule is firm, and then it is said that it was ignored in vain.
func TestIgnore(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(f *v1alpha1.Facts)
		ignore []string
		want   []string // in the refusal; empty: there is a plan
		absent string
	}{
		{
			name: "an ill kubelet", change: func(f *v1alpha1.Facts) { f.Kubelet.Healthy = false },
			want: []string{"K006 the kubelet isn't healthy"}, absent: "--ignore",
		},
		{name: "ignored", change: func(f *v1alpha1.Facts) { f.Kubelet.Healthy = false }, ignore: []string{"K006"}},
		{
			name: "an open run", ignore: []string{"N003"},
			change: func(f *v1alpha1.Facts) { f.OpenRun = &v1alpha1.Run{ID: "r-1", Phase: v1alpha1.PhaseApplied} },
			want:   []string{"N003 run r-1", "--ignore can't override N003: no plan would be right"},
		},
		{
			name: "one of two", ignore: []string{"K006", "N003"},
			change: func(f *v1alpha1.Facts) {
				f.Kubelet.Healthy = false
				f.OpenRun = &v1alpha1.Run{ID: "r-1", Phase: v1alpha1.PhaseApplied}
			},
			want: []string{"switched: N003 run r-1", "--ignore can't override N003:"}, absent: "K006",
		},
		{
			name: "a target that isn't there", ignore: []string{"R001"},
			change: func(f *v1alpha1.Facts) {
				for i := range f.Runtimes {
					if f.Runtimes[i].Name == v1alpha1.CRIO {
						f.Runtimes[i].Binaries = nil
					}
				}
			},
			want: []string{"R001 cri-o isn't installed", "--ignore can't override R001"},
		},
		{
			name: "flags that no file names", ignore: []string{"E004"},
			change: func(f *v1alpha1.Facts) { f.Kubelet.Argv = append(f.Kubelet.Argv, "--v=9") },
			want:   []string{"E004 ", "--ignore can't override E004"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newNode(t, soundNode).gather()
			tt.change(f)
			_, err := plan.Build(f, plan.Goal{Run: "r-00000001", To: v1alpha1.CRIO, Ignore: tt.ignore})
			if len(tt.want) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.As(err, new(*plan.RefusedError)) {
				t.Fatalf("got %v, want a *RefusedError", err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want %q in it", err, want)
				}
			}
			if tt.absent != "" && strings.Contains(err.Error(), tt.absent) {
				t.Errorf("got %q, want no %q in it", err, tt.absent)
			}
		})
	}
}

// TestFirmIsDocumented: the reference says which rules can't be overridden.
func TestFirmIsDocumented(t *testing.T) {
	for _, r := range check.List() {
		if said := strings.Contains(r.Doc, "--ignore"); said != check.Firm(r.ID) {
			t.Errorf("%s: firm %v, said %v", r.ID, check.Firm(r.ID), said)
		}
	}
}

// TestDirectoriesAreTold by the files in them, both ways; the photographs name them all the same.
func TestDirectoriesAreTold(t *testing.T) {
	n := newNode(t, soundNode)
	p, err := plan.Build(n.gather(), plan.Goal{Run: "r-00000001", To: v1alpha1.CRIO})
	if err != nil {
		t.Fatal(err)
	}
	const dropIn = "/etc/systemd/system/crio.service.d/90-kubectl-runtime.conf"
	told := func(p *v1alpha1.Plan, kind plan.Kind) {
		t.Helper()
		directory, file := false, false
		for _, x := range p.After.Files {
			directory = directory || x.Path == path.Dir(dropIn)
		}
		diffs, err := plan.Diffs(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range diffs {
			file = file || d.Path == dropIn && d.Kind == kind
			if d.Path == path.Dir(dropIn) {
				t.Errorf("%s %s is told beside the file in it", d.Kind, d.Path)
			}
		}
		if !directory || !file {
			t.Errorf("in the photographs: %v, its file told: %v", directory, file)
		}
		for _, s := range plan.Steps(p) {
			if name, _, _ := strings.Cut(s.Text, " "); name == path.Dir(dropIn) {
				t.Errorf("step %s %s", s.Kind, s.Text)
			}
		}
	}
	told(p, plan.Create)
	view := n.apply(p)
	back, err := plan.Inverse(view, n.gather(), "r-00000002")
	if err != nil {
		t.Fatal(err)
	}
	told(back, plan.Remove)
}

// TestKnownTarget: what a target lacks is told at length once; where it served before, in one finding.
func TestKnownTarget(t *testing.T) {
	n := layout.Node{Kubelet: "1.34.4", Installer: layout.KubeadmNew, Runtime: v1alpha1.CRIO, Also: []v1alpha1.RuntimeName{v1alpha1.Containerd}}
	f := newNode(t, n).gather()
	warnings := func() (out []v1alpha1.Finding) {
		t.Helper()
		p, err := plan.Build(f, plan.Goal{Run: "r-00000002", To: v1alpha1.Containerd})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range p.Findings {
			if x.Severity == v1alpha1.SeverityWarning {
				out = append(out, x)
			}
		}
		return out
	}
	if got := warnings(); len(got) != 2 {
		t.Errorf("got %v, want two", got)
	}
	f.Runs = []v1alpha1.Run{{ID: "r-00000001", From: v1alpha1.Containerd, To: v1alpha1.CRIO, Phase: v1alpha1.PhaseRolledBack}}
	if got := warnings(); len(got) != 2 {
		t.Errorf("a run that was taken back: got %v, want two", got)
	}
	f.Runs[0].Phase = v1alpha1.PhaseConfirmed
	if got := warnings(); len(got) != 1 || got[0].ID != "R020" || len(got[0].Evidence) != 2 || got[0].Node != "node1" {
		t.Errorf("got %v, want one that names both", got)
	}
}

// TestAnnotation: kubeadm's annotation follows where there is one and is never introduced.
func TestAnnotation(t *testing.T) {
	for _, kubelet := range []string{"1.23.17", "1.31.14", "1.34.4", "1.37.2"} {
		for is, want := range map[string]string{
			"":                                       "",
			"/run/containerd/containerd.sock":        "unix:///var/run/crio/crio.sock",
			"unix:///run/containerd/containerd.sock": "unix:///var/run/crio/crio.sock",
			"unix:///run/crio/crio.sock":             "unix:///var/run/crio/crio.sock",
			"unix:///var/run/crio/crio.sock":         "",
		} {
			n := soundNode
			n.Kubelet = kubelet
			p, err := plan.Build(newNode(t, n).gather(), plan.Goal{Run: "r-00000001", To: v1alpha1.CRIO, KubeadmAnnotation: is})
			if err != nil {
				t.Fatal(err)
			}
			if p.KubeadmSocketBefore != is || p.KubeadmSocket != want {
				t.Errorf("%s: %q became %q, want %q", kubelet, is, p.KubeadmSocket, want)
			}
		}
	}
}
