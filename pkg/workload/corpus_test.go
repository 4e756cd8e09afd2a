package workload

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// entry is one file of the corpus: manifests headed by comments that say how to judge them and what must be found.
//
//	# to: cri-o                    the target; absent for none
//	# from: docker                 what every node has; absent for unknown
//	# live: node-1 node-2          every workload has a pod on each of these
//	# server: v1.34.1              the API server's version
//	# unread: secrets in ns app    what could not be read
//	# want: W001:error W005:warning
//	# near: W002                   what it almost is
//	# A sentence about the file.
type entry struct {
	path string
	inv  *Inventory
	o    Options
	want []string
	near []string
}

func corpus(t testing.TB) []entry {
	t.Helper()
	var out []entry
	err := filepath.WalkDir("testdata/corpus", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		out = append(out, read(t, path, string(body)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func read(t testing.TB, path, body string) entry {
	t.Helper()
	e := entry{path: path, inv: load(t, path, body)}
	from, live := "", []string(nil)
	for line := range strings.Lines(body) {
		head, ok := strings.CutPrefix(line, "# ")
		if !ok {
			break
		}
		field, value, _ := strings.Cut(strings.TrimSpace(head), ":")
		value = strings.TrimSpace(value)
		switch field {
		case "to":
			e.o.To = v1alpha1.RuntimeName(value)
		case "from":
			from = value
		case "live":
			live = strings.Fields(value)
		case "server":
			e.inv.ServerVersion = value
		case "unread":
			e.inv.Unread = append(e.inv.Unread, value)
		case "want":
			e.want = strings.Fields(value)
		case "near":
			e.near = strings.Fields(value)
		default:
			// A sentence says what the file is about.
			if !strings.Contains(field, " ") {
				t.Fatalf("%s: unknown field %q", path, field)
			}
		}
	}
	settle(e.inv, live)
	if from != "" {
		e.o.From = map[string]v1alpha1.RuntimeName{}
		for _, n := range slices.Concat(live, []string{"spare"}) {
			e.o.From[n] = v1alpha1.RuntimeName(from)
		}
	}
	return e
}

func TestCorpus(t *testing.T) {
	for _, e := range corpus(t) {
		t.Run(strings.TrimPrefix(e.path, "testdata/corpus/"), func(t *testing.T) {
			findings := Check(e.inv, e.o)
			var have []string
			for _, f := range findings {
				if f.Suppressed != "" {
					have = append(have, f.ID+":suppressed")
				} else {
					have = append(have, f.ID+":"+string(f.Severity))
				}
				if f.Message == "" || f.Hint == "" || len(f.Evidence) == 0 {
					t.Errorf("%s lacks message, hint or evidence: %+v", f.ID, f)
				}
			}
			slices.Sort(have)
			have = slices.Compact(have)
			slices.Sort(e.want)
			if diff := cmp.Diff(e.want, have); diff != "" {
				t.Errorf("(-want +have)\n%s%s", diff, show(findings))
			}
			for _, id := range e.near {
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
	all := corpus(t)
	if len(all) < 150 {
		t.Errorf("%d files, want 150", len(all))
	}
	for _, r := range Rules() {
		positive, negative, near := 0, 0, 0
		for _, e := range all {
			switch {
			case slices.ContainsFunc(e.want, func(w string) bool { return strings.HasPrefix(w, r.ID+":") }):
				positive++
			case slices.Contains(e.near, r.ID):
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
	for _, e := range corpus(t) {
		for _, w := range e.want {
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
