package plan_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/facts"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden plans every switch on every node that layout knows and compares findings, steps and diffs with
// testdata/<installer>-<minor>.golden.
func TestGolden(t *testing.T) {
	byNode := map[string][]string{}
	for _, c := range layout.All() {
		node, pair, _ := strings.Cut(c.Name, "/")
		f := gather(t, c.Node)
		p, err := plan.Build(f, plan.Goal{Run: "r-0badcafe", To: c.To})
		var refused *plan.RefusedError
		if errors.As(err, &refused) != c.Refused || err != nil && !c.Refused {
			t.Errorf("%s: refused = %v, error %v", c.Name, c.Refused, err)
		}
		text := "######## " + pair + "\n"
		if refused != nil {
			text += "refused\n" + findings(refused.Findings)
		} else if err != nil {
			text += err.Error() + "\n"
		} else {
			if err := plan.Verify(p); err != nil {
				t.Errorf("%s: %v", c.Name, err)
			}
			text += render(t, p, f)
		}
		byNode[node] = append(byNode[node], text)
	}
	for node, texts := range byNode {
		golden(t, node, strings.Join(texts, "\n"))
	}
}

func gather(t *testing.T, n layout.Node) *v1alpha1.Facts {
	t.Helper()
	f, err := facts.Gather(context.Background(), n.Build().Machine(), "node1")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); go test ./pkg/plan -update writes it anew:\n%s", file, diff)
	}
}

func findings(list []v1alpha1.Finding) string {
	var b strings.Builder
	for _, x := range list {
		fmt.Fprintf(&b, "%s %s: %s", x.Severity, x.ID, x.Message)
		if len(x.Evidence) > 0 {
			fmt.Fprintf(&b, " [%s]", strings.Join(x.Evidence, ", "))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func render(t *testing.T, p *v1alpha1.Plan, f *v1alpha1.Facts) string {
	t.Helper()
	var b strings.Builder
	ref := func(r v1alpha1.RuntimeRef) string {
		return fmt.Sprintf("%s %s %s %s (%s)", r.Name, r.Version, r.Endpoint, r.CRIVersion, strings.Join(r.Units, " "))
	}
	fmt.Fprintf(&b, "from %s\nto   %s\n\n%s\n", ref(p.From), ref(p.To), findings(p.Findings))
	for _, s := range plan.Steps(p) {
		fmt.Fprintf(&b, "%s %s\n", s.Kind, s.Text)
	}
	b.WriteString("\n")
	diffs, err := plan.Diffs(p, plan.ContentsOf(f))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range diffs {
		if d.Unified == "" {
			fmt.Fprintf(&b, "%s %s\n", d.Kind, d.Path)
		}
		for _, note := range d.Notes {
			fmt.Fprintf(&b, "! %s: %s\n", d.Path, note)
		}
		b.WriteString(d.Unified)
	}
	units := func(list []v1alpha1.UnitState) string {
		var out []string
		for _, u := range list {
			out = append(out, map[bool]string{true: "+", false: "-"}[u.Active]+u.Name)
		}
		return strings.Join(out, " ")
	}
	fmt.Fprintf(&b, "\nunits before: %s\nunits after:  %s\n", units(p.Before.Units), units(p.After.Units))
	if len(p.Modules) > 0 || len(p.Sysctls) > 0 {
		fmt.Fprintf(&b, "kernel: %v %v\n", p.Modules, p.Sysctls)
	}
	staged := []string{}
	for _, x := range p.Staging.Files {
		staged = append(staged, x.Path)
	}
	slices.Sort(staged)
	fmt.Fprintf(&b, "staging: %s\n  files %s\n  pinned %s\n", strings.Join(p.Staging.Argv, " "), strings.Join(staged, " "), strings.Join(p.Staging.Pinned, " "))
	return b.String()
}
