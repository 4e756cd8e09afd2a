package manifest

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload/corpus"
)

// TestCorpus reads the rules' own corpus as people's files are read: the same must be found, with a line for each finding.
// What needs a cluster (pods on nodes, nodes, versions) is left to the rules' own test.
func TestCorpus(t *testing.T) {
	files, err := corpus.Read(os.DirFS("../workload/testdata/corpus"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		if len(f.Live) > 0 || f.Server != "" || len(f.Unread) > 0 || strings.Contains(f.Body, "\nkind: Node\n") {
			continue
		}
		n++
		t.Run(f.Path, func(t *testing.T) {
			l := New("default")
			if _, err := l.Read(f.Path, strings.NewReader(f.Body)); err != nil {
				t.Fatal(err)
			}
			o := workload.Options{To: f.To}
			if f.From != "" {
				o.From = map[string]v1alpha1.RuntimeName{"node": f.From}
			}
			findings := workload.Check(l.Inventory(), o)
			for _, x := range findings {
				if x.File != f.Path || x.Line < 1 || x.Line > strings.Count(f.Body, "\n")+1 {
					t.Errorf("%s stands at %s:%d", x.ID, x.File, x.Line)
				}
			}
			if diff := cmp.Diff(f.Want, corpus.Said(findings)); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
		})
	}
	if n < 150 {
		t.Errorf("%d files, want 150", n)
	}
}
