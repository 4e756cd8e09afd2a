package workload

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload/corpus"
)

// entry is one file of the corpus with what it holds.
type entry struct {
	corpus.File
	inv *Inventory
	o   Options
}

func entries(t testing.TB) []entry {
	t.Helper()
	files, err := corpus.Read(os.DirFS("testdata/corpus"))
	if err != nil {
		t.Fatal(err)
	}
	var out []entry
	for _, f := range files {
		e := entry{File: f, inv: load(t, f.Path, f.Body), o: Options{To: f.To, From: f.Runtimes()}}
		e.inv.ServerVersion, e.inv.Unread = f.Server, append(e.inv.Unread, f.Unread...)
		settle(e.inv, f.Live)
		out = append(out, e)
	}
	return out
}

func TestCorpus(t *testing.T) {
	for _, e := range entries(t) {
		t.Run(e.Path, func(t *testing.T) {
			findings := Check(e.inv, e.o)
			for _, f := range findings {
				if f.Message == "" || f.Hint == "" || len(f.Evidence) == 0 {
					t.Errorf("%s lacks message, hint or evidence: %+v", f.ID, f)
				}
			}
			have := corpus.Said(findings)
			if diff := cmp.Diff(e.Want, have); diff != "" {
				t.Errorf("(-want +have)\n%s%s", diff, show(findings))
			}
			for _, id := range e.Near {
				for _, h := range have {
					if strings.HasPrefix(h, id) {
						t.Errorf("%s is a near miss and was found", id)
					}
				}
			}
		})
	}
}

func show(findings []v1alpha1.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		b.WriteString(f.ID + " " + string(f.Severity) + " " + f.Object + ": " + f.Message + "\n")
		for _, e := range f.Evidence {
			b.WriteString("    " + e + "\n")
		}
	}
	return b.String()
}

// TestCorpusIsWhole fails when a rule has no file that it finds something in, or none that it almost does.
func TestCorpusIsWhole(t *testing.T) {
	all := entries(t)
	if len(all) < 150 {
		t.Errorf("%d files, want 150", len(all))
	}
	for _, r := range Rules() {
		positive, negative, near := 0, 0, 0
		for _, e := range all {
			switch {
			case slices.ContainsFunc(e.Want, func(w string) bool { return strings.HasPrefix(w, r.ID+":") }):
				positive++
			case slices.Contains(e.Near, r.ID):
				near++
			default:
				negative++
			}
		}
		t.Logf("%s: %d positive, %d near misses, %d further negatives", r.ID, positive, near, negative)
		if positive == 0 || near == 0 || negative == 0 {
			t.Errorf("%s: %d positive, %d near misses, %d further negatives; want some of each", r.ID, positive, near, negative)
		}
	}
}

// TestSeverities fails when the reference names a gravity that no file of the corpus shows, or shows one beyond it.
func TestSeverities(t *testing.T) {
	seen := map[string]v1alpha1.Severity{}
	for _, e := range entries(t) {
		for _, w := range e.Want {
			id, s, _ := strings.Cut(w, ":")
			if old, ok := seen[id]; s != "suppressed" && (!ok || rank(v1alpha1.Severity(s)) < rank(old)) {
				seen[id] = v1alpha1.Severity(s)
			}
		}
	}
	for _, r := range Rules() {
		if seen[r.ID] != r.Severity {
			t.Errorf("%s: the reference says %s, the gravest in the corpus is %q", r.ID, r.Severity, seen[r.ID])
		}
	}
}
