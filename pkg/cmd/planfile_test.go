package cmd

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

func testProgram(stdin string) *program {
	return newProgram(Front{
		Streams: genericiooptions.IOStreams{In: strings.NewReader(stdin), Out: io.Discard, ErrOut: io.Discard},
		Name:    "kubectl runtime", Getenv: func(string) string { return "" }, Now: time.Now,
	})
}

func testPlan(node string) *v1alpha1.Plan {
	file := func(t v1alpha1.FileType) v1alpha1.State {
		s := v1alpha1.State{Files: []v1alpha1.FileState{{Path: "/etc/crictl.yaml", Type: t}}, Units: []v1alpha1.UnitState{}}
		if t == v1alpha1.Regular {
			s.Files[0].Mode = 0o644
			s.Files[0].Xattrs = map[string][]byte{"security.selinux": {0, 1, 255}}
			s.Files[0].Content = []v1alpha1.Segment{{Text: "runtime-endpoint: unix:///run/containerd/containerd.sock\n"}}
		}
		return s
	}
	p := &v1alpha1.Plan{
		APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindPlan, Format: v1alpha1.Format, Node: node, Run: "r-00000001",
		From:    v1alpha1.RuntimeRef{Name: v1alpha1.CRIO, Endpoint: "unix:///var/run/crio/crio.sock"},
		To:      v1alpha1.RuntimeRef{Name: v1alpha1.Containerd, Endpoint: "unix:///run/containerd/containerd.sock"},
		Kubelet: v1alpha1.KubeletRef{Unit: "kubelet.service"},
		Before:  file(v1alpha1.Absent), After: file(v1alpha1.Regular),
	}
	p.Digest = plan.Digest(p)
	return p
}

// TestPlansSurviveTheirFile: what was printed is exactly what is applied.
func TestPlansSurviveTheirFile(t *testing.T) {
	for _, format := range []planFormat{"json", "yaml"} {
		for name, plans := range map[string][]*v1alpha1.Plan{
			"one":  {testPlan("worker-1")},
			"many": {testPlan("worker-1"), testPlan("worker-2")},
		} {
			t.Run(name+" as "+string(format), func(t *testing.T) {
				var b bytes.Buffer
				if err := writePlans(&b, format, plans); err != nil {
					t.Fatal(err)
				}
				got, err := testProgram(b.String()).readPlans("-")
				if err != nil {
					t.Fatalf("%v\n%s", err, b.String())
				}
				for i := range plans {
					if plan.Digest(got[i]) != plan.Digest(plans[i]) {
						t.Errorf("digest changed:\n%s", cmp.Diff(plans[i], got[i]))
					}
				}
			})
		}
	}
}

func TestReadPlansRefuses(t *testing.T) {
	var good bytes.Buffer
	if err := writePlans(&good, "yaml", []*v1alpha1.Plan{testPlan("worker-1")}); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ text, want string }{
		"edited":        {strings.Replace(good.String(), "containerd.sock", "other.sock", 1), "the plan for worker-1 in "},
		"unknown field": {good.String() + "surprise: true\n", "unknown field"},
		"twice":         {good.String() + "---\n" + good.String(), "holds two plans for worker-1"},
		"empty":         {"---\n", "is empty"},
		"of an earlier program": {
			strings.NewReplacer("v1alpha2", "v1alpha1", "format: 2\n", "").Replace(good.String()),
			"can't be used: an earlier kubectl runtime made it (format 1, this one makes and takes format 2): make the plan anew with --dry-run -o yaml",
		},
		"of a later program": {
			strings.Replace(good.String(), "format: 2\n", "format: 3\nversion: v0.9.0\nsurprise: true\n", 1),
			"it was written by kubectl runtime v0.9.0 (format 3), and this one reads formats up to 2: use kubectl runtime v0.9.0 or later",
		},
		"of a much later program": {strings.Replace(good.String(), "v1alpha2", "v1", 1), "it was written by a later kubectl runtime"},
		"without a format":        {strings.Replace(good.String(), "format: 2\n", "", 1), "there is no format 0"},
		"of another group":        {strings.Replace(good.String(), "kubectl-runtime/v1alpha2", "v1", 1), `apiVersion is "v1", not kubectl-runtime/v1alpha2`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "plan.yaml")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := testProgram("").readPlans(path)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestMatching(t *testing.T) {
	plans := []*v1alpha1.Plan{testPlan("worker-1"), testPlan("worker-2")}
	for name, tc := range map[string]struct {
		names []string
		to    v1alpha1.RuntimeName
		want  int
		err   string
	}{
		"all":          {want: 2},
		"one of them":  {names: []string{"worker-2"}, to: v1alpha1.Containerd, want: 1},
		"another node": {names: []string{"worker-3"}, err: "the plan in p.yaml is for worker-1, worker-2, not for worker-3"},
		"another end":  {to: v1alpha1.CRIO, err: "the plan for worker-1 in p.yaml leads to containerd, not to cri-o"},
	} {
		t.Run(name, func(t *testing.T) {
			o := &switchOptions{plan: "p.yaml", to: tc.to, targets: targets{names: tc.names}}
			got, err := matching(append([]*v1alpha1.Plan(nil), plans...), o)
			if len(got) != tc.want {
				t.Errorf("%d plans, want %d", len(got), tc.want)
			}
			if text := ""; err != nil {
				if text = err.Error(); text != tc.err {
					t.Errorf("error %q, want %q", text, tc.err)
				}
			} else if tc.err != "" {
				t.Errorf("no error, want %q", tc.err)
			}
		})
	}
}
