package manifest

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// TestCorpus reads the rules' own corpus as people's files are read: the same must be found, with a line for each finding.
// What needs a cluster (pods on nodes, nodes, versions) is left to the rules' own test.
func TestCorpus(t *testing.T) {
	n := 0
	err := filepath.WalkDir("../workload/testdata/corpus", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var o workload.Options
		var want []string
		for line := range strings.Lines(string(body)) {
			field, value, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "# ")), ": ")
			switch {
			case !strings.HasPrefix(line, "# "):
			case field == "live", field == "server", field == "unread":
				return nil
			case field == "to":
				o.To = v1alpha1.RuntimeName(value)
			case field == "from":
				o.From = map[string]v1alpha1.RuntimeName{"node": v1alpha1.RuntimeName(value)}
			case field == "want":
				want = strings.Fields(value)
			}
		}
		if strings.Contains(string(body), "\nkind: Node\n") {
			return nil
		}
		n++
		t.Run(strings.TrimPrefix(path, "../workload/testdata/corpus/"), func(t *testing.T) {
			l := New("default")
			if _, err := l.Read(path, strings.NewReader(string(body))); err != nil {
				t.Fatal(err)
			}
			var have []string
			for _, f := range workload.Check(l.Inventory(), o) {
				if f.Suppressed != "" {
					f.Severity = "suppressed"
				}
				have = append(have, f.ID+":"+string(f.Severity))
				if f.File != path || f.Line < 1 || f.Line > strings.Count(string(body), "\n")+1 {
					t.Errorf("%s stands at %s:%d", f.ID, f.File, f.Line)
				}
			}
			slices.Sort(have)
			slices.Sort(want)
			if diff := cmp.Diff(want, slices.Compact(have)); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n < 150 {
		t.Errorf("%d files, want 150", n)
	}
}
