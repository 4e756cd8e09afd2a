package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

var update = flag.Bool("update", false, "write what is made into testdata")

// sample has a finding of every sort, with text that wants escaping.
func sample() *Report {
	return &Report{
		To: v1alpha1.CRIO, Scope: "the cluster", Workloads: 41, Pods: 120, Program: "kubectl runtime", Version: "v1.2.3",
		When:  time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC),
		Nodes: []Node{{"worker-1", "docker 28.5.2"}, {"worker-2", "docker 28.5.2"}},
		Rules: []Rule{
			{"C004", "all nodes have the same runtime", "Nodes that differ were forgotten."},
			{"N004", "there is room", "Images are pulled again.\n\nFree some space."},
			{"R003", "the cri plugin is on", "The plan turns it on."},
			{"W001", "nobody mounts Docker's socket", "It goes away."},
			{"W002", "nobody mounts <others>", "They & theirs."},
			{"W009", "nobody is told of a Docker host", ""},
		},
		Problems: []string{"node worker-3 could not be asked: it is NotReady"},
		Findings: []v1alpha1.Finding{
			{
				ID: "W001", Severity: v1alpha1.SeverityError, Message: `mounts "docker.sock" <script>alert(1)</script>`, Object: "ci/Deployment/builder", Pods: 3, Nodes: []string{"worker-1", "worker-2"},
				Evidence: []string{"container c: mounts /run/docker.sock at /x (volume <d>)", "container d: \x1b[31mred\x01"}, Hint: "use a builder that needs no daemon & no socket",
			},
			{ID: "W001", Severity: v1alpha1.SeverityError, Message: "mounts it", Object: "ops/DaemonSet/agent", Pods: 1, Nodes: []string{"worker-1"}, Suppressed: "goes away in May"},
			{ID: "N004", Severity: v1alpha1.SeverityWarning, Message: "6 GiB are free", Node: "worker-1", Evidence: []string{"/var"}},
			{ID: "R003", Severity: v1alpha1.SeverityFixable, Message: "the cri plugin is disabled", Node: "worker-1", Evidence: []string{"/etc/containerd/config.toml:1"}},
			{ID: "C004", Severity: v1alpha1.SeverityWarning, Message: "its runtime differs", Node: "worker-9", Object: "Node/worker-9"},
			{ID: "W002", Severity: v1alpha1.SeverityWarning, Message: "mounts /run", Object: "Pod/bare", File: "deploy/my app/pod#1.yaml", Line: 12},
			{ID: "X001", Severity: v1alpha1.SeverityWarning, Message: "of a rule that nobody lists", Object: "ci/Job/j", File: "stdin"},
		},
	}
}

func failsOnErrors(f v1alpha1.Finding) bool {
	return f.Suppressed == "" && f.Severity == v1alpha1.SeverityError
}

func write(t *testing.T, r *Report, f Format) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b, f, failsOnErrors); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	for _, f := range Formats() {
		t.Run(string(f), func(t *testing.T) {
			path := filepath.Join("testdata", "sample."+string(f))
			got := write(t, sample(), f)
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("go test -update writes it anew (-want +got)\n%s", diff)
			}
		})
	}
}

// TestNothing writes a report without a finding: every format has a document for it.
func TestNothing(t *testing.T) {
	for _, f := range Formats() {
		got := write(t, &Report{Scope: "0 files", Program: "x"}, f)
		if len(got) == 0 {
			t.Errorf("%s: nothing is written", f)
		}
		switch f {
		case JSON, SARIF:
			if !json.Valid(got) || bytes.Contains(got, []byte("null")) {
				t.Errorf("%s: %s", f, got)
			}
		case HTML:
			if !bytes.Contains(got, []byte("Nothing was found")) {
				t.Errorf("%s: %s", f, got)
			}
		}
	}
}

// TestListsRead reads back what programs get.
func TestListsRead(t *testing.T) {
	for _, f := range []Format{JSON, YAML} {
		var got list
		if err := yaml.UnmarshalStrict(write(t, sample(), f), &got); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if diff := cmp.Diff(sample().list(), got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", f, diff)
		}
	}
}

// TestSARIF holds a log against what the standard's schema demands of the parts that are written, and against what servers do
// with them: every result leads to its rule, a region has a line, a URI is one.
func TestSARIF(t *testing.T) {
	var log struct {
		Schema  string `json:"$schema"`
		Version string `json:"version"`
		Runs    []struct {
			Tool struct {
				Driver struct {
					Name  string `json:"name"`
					Rules []struct {
						ID      string            `json:"id"`
						HelpURI string            `json:"helpUri"`
						Short   map[string]string `json:"shortDescription"`
						Full    map[string]string `json:"fullDescription"`
						Help    map[string]string `json:"help"`
					} `json:"rules"`
				} `json:"driver"`
			} `json:"tool"`
			Invocations []struct {
				OK            *bool `json:"executionSuccessful"`
				Notifications []struct {
					Level   string            `json:"level"`
					Message map[string]string `json:"message"`
				} `json:"toolExecutionNotifications"`
			} `json:"invocations"`
			ColumnKind string `json:"columnKind"`
			Results    []struct {
				RuleID       string            `json:"ruleId"`
				RuleIndex    *int              `json:"ruleIndex"`
				Level        string            `json:"level"`
				Message      map[string]string `json:"message"`
				Fingerprints map[string]string `json:"partialFingerprints"`
				Properties   map[string]any    `json:"properties"`
				Locations    []struct {
					Physical *struct {
						Artifact map[string]string `json:"artifactLocation"`
						Region   map[string]int    `json:"region"`
					} `json:"physicalLocation"`
					Logical []map[string]string `json:"logicalLocations"`
				} `json:"locations"`
				Suppressions []map[string]string `json:"suppressions"`
			} `json:"results"`
		} `json:"runs"`
	}
	r := sample()
	dec := json.NewDecoder(bytes.NewReader(write(t, r, SARIF)))
	dec.DisallowUnknownFields()
	var whole map[string]any
	if err := json.Unmarshal(write(t, r, SARIF), &whole); err != nil {
		t.Fatal(err)
	}
	// The driver has two more fields; everything else is above.
	driver := whole["runs"].([]any)[0].(map[string]any)["tool"].(map[string]any)["driver"].(map[string]any)
	for _, name := range []string{"version", "informationUri"} {
		if driver[name] == "" {
			t.Errorf("no %s", name)
		}
		delete(driver, name)
	}
	rest, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	dec = json.NewDecoder(bytes.NewReader(rest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&log); err != nil {
		t.Fatalf("a field that this test doesn't hold against the standard: %v", err)
	}
	if log.Version != "2.1.0" || !strings.HasSuffix(log.Schema, "sarif-2.1.0.json") || len(log.Runs) != 1 {
		t.Fatalf("version %q, schema %q, %d runs", log.Version, log.Schema, len(log.Runs))
	}
	run := log.Runs[0]
	if run.ColumnKind != "utf16CodeUnits" || run.Tool.Driver.Name == "" {
		t.Errorf("%+v", run)
	}
	seen := map[string]bool{}
	for _, rule := range run.Tool.Driver.Rules {
		if rule.ID == "" || seen[rule.ID] || rule.Short["text"] == "" || rule.Full["text"] == "" || rule.Help["text"] == "" {
			t.Errorf("rule %+v", rule)
		}
		seen[rule.ID] = true
		absolute(t, rule.HelpURI)
	}
	if i := run.Invocations; len(i) != 1 || i[0].OK == nil || *i[0].OK || len(i[0].Notifications) != 1 || i[0].Notifications[0].Message["text"] != r.Problems[0] {
		t.Errorf("invocations %+v", i)
	}
	if len(run.Results) != len(r.Findings) {
		t.Fatalf("%d results", len(run.Results))
	}
	for i, got := range run.Results {
		f := r.Findings[i]
		if got.RuleIndex == nil || *got.RuleIndex < 0 || *got.RuleIndex >= len(run.Tool.Driver.Rules) || run.Tool.Driver.Rules[*got.RuleIndex].ID != f.ID || got.RuleID != f.ID {
			t.Errorf("result %d: rule %s, index %v", i, got.RuleID, got.RuleIndex)
		}
		if want := map[v1alpha1.Severity]string{"error": "error", "warning": "warning", "fixable": "note"}[f.Severity]; got.Level != want {
			t.Errorf("result %d: level %q, want %q", i, got.Level, want)
		}
		if !strings.Contains(got.Message["text"], f.Message) || len(got.Fingerprints) != 1 || len(got.Locations) != 1 {
			t.Errorf("result %d: %+v", i, got)
		}
		for _, l := range got.Locations {
			if p := l.Physical; p != nil {
				if u, err := url.Parse(p.Artifact["uri"]); err != nil || u.String() != p.Artifact["uri"] || strings.ContainsAny(p.Artifact["uri"], " \\#") {
					t.Errorf("result %d: URI %q: %v", i, p.Artifact["uri"], err)
				}
				if line, ok := p.Region["startLine"]; p.Region != nil && (!ok || line < 1) {
					t.Errorf("result %d: region %v", i, p.Region)
				}
			}
			if l.Physical == nil && len(l.Logical) == 0 {
				t.Errorf("result %d is nowhere", i)
			}
		}
		for _, s := range got.Suppressions {
			if s["kind"] != "external" || s["justification"] != f.Suppressed {
				t.Errorf("result %d: suppression %v", i, s)
			}
		}
		if (len(got.Suppressions) > 0) != (f.Suppressed != "") {
			t.Errorf("result %d: %d suppressions", i, len(got.Suppressions))
		}
	}
}

func absolute(t *testing.T, uri string) {
	t.Helper()
	if u, err := url.Parse(uri); err != nil || !u.IsAbs() {
		t.Errorf("%q is no absolute URI", uri)
	}
}

func TestFileURI(t *testing.T) {
	for name, want := range map[string]string{
		"deploy/a.yaml": "deploy/a.yaml", "./a b.yaml": "a%20b.yaml", "/srv/a.yaml": "file:///srv/a.yaml", `sub\a.yaml`: "sub/a.yaml",
		`C:\x\a.yaml`: "file:///C:/x/a.yaml", "a:b.yaml": "a:b.yaml", "../x/../a.yaml": "../a.yaml", "#1?.yaml": "%231%3F.yaml",
	} {
		got := fileURI(name)
		if name == "a:b.yaml" {
			// What stands before a colon would be a scheme.
			want = "./a:b.yaml"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

// TestJUnit counts what it says.
func TestJUnit(t *testing.T) {
	var got junitSuites
	if err := xml.Unmarshal(write(t, sample(), JUnit), &got); err != nil {
		t.Fatal(err)
	}
	var sum junitSuites
	for _, s := range got.Suites {
		var cases junitSuite
		for _, c := range s.Cases {
			if c.Class == "" || c.Name == "" {
				t.Errorf("a case without a name in %s", s.Name)
			}
			cases.add(c)
		}
		if cases.Tests != s.Tests || cases.Failures != s.Failures || cases.Errors != s.Errors || cases.Skipped != s.Skipped || s.Tests == 0 {
			t.Errorf("%s says %d/%d/%d/%d, has %d/%d/%d/%d", s.Name, s.Tests, s.Failures, s.Errors, s.Skipped, cases.Tests, cases.Failures, cases.Errors, cases.Skipped)
		}
		sum.add(s)
	}
	if got.Tests != sum.Tests || got.Failures != 1 || got.Errors != 1 || got.Skipped != 1 {
		t.Errorf("%d tests, %d failures, %d errors, %d skipped", got.Tests, got.Failures, got.Errors, got.Skipped)
	}
}

// TestHTML keeps the page to itself: nothing is loaded, nothing is run, what came from elsewhere is escaped.
func TestHTML(t *testing.T) {
	text := string(write(t, sample(), HTML))
	for _, pattern := range []string{`<script`, `<link`, `<img`, `<iframe`, `src=`, `url\(`, `@import`, `href="[^#]`, ` on[a-z]+=`, `javascript:`} {
		if found := regexp.MustCompile(pattern).FindString(text); found != "" {
			t.Errorf("the page has %q", found)
		}
	}
	for _, want := range []string{"&lt;script&gt;alert(1)", "node worker-3 could not be asked", "goes away in May", "deploy/my app/pod#1.yaml:12", `name="viewport"`, "@media print"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	// Every link of the page leads somewhere.
	for _, m := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(text, `id="`+m[1]+`"`) {
			t.Errorf("nothing has the name %s", m[1])
		}
	}
}

func TestGroups(t *testing.T) {
	var got []string
	for _, g := range sample().Groups() {
		line := string(g.Kind) + " " + g.Title + ":"
		for _, o := range g.Objects {
			line += " " + o.Kind + "/" + o.Name
			for _, f := range o.Findings {
				line += " " + f.ID
			}
		}
		got = append(got, line)
	}
	want := []string{"node worker-1: / N004 R003", "cluster cluster: Node/worker-9 C004", "namespace : Pod/bare W002", "namespace ci: Deployment/builder W001 Job/j X001", "namespace ops: DaemonSet/agent W001"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
