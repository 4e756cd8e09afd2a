package hostpod

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	utilexec "k8s.io/client-go/util/exec"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

const theirs = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// recordOf is a record as it stands on a node. The header decides its format.
func recordOf(header string, phase v1alpha1.Phase) string {
	return fmt.Sprintf(`{%s,"kind":"Run","id":"r-0000000a","phase":%q,"by":"ana@laptop","agent":%q}`, header, phase, theirs)
}

const (
	first = `"apiVersion":"kubectl-runtime/v1alpha1"`
	ours  = `"apiVersion":"kubectl-runtime/v1alpha2","format":2,"version":"v0.4.0"`
	later = `"apiVersion":"kubectl-runtime/v1alpha2","format":3,"version":"v0.9.0"`
)

// records lists records as lookScript does, and says whether our agent is there.
func records(there bool, list ...string) answer {
	return func(_ []byte, out, _ io.Writer) error {
		for k, r := range list {
			_, _ = fmt.Fprintf(out, "\n%sr-0000000%x\n%s", recordMark, 10+k, r)
		}
		if !there {
			return utilexec.CodeExitError{Err: errors.New("exit"), Code: 1}
		}
		return nil
	}
}

// TestEnsureAgentBesideAnOpenRun: an open run is worked on by the agent that its record names. Nothing is brought where another
// one is to be asked, or none may be.
func TestEnsureAgentBesideAnOpenRun(t *testing.T) {
	agent := packed(t, "program")
	for _, c := range []struct {
		name    string
		answers []answer
		agent   string
		format  int
		err     string
	}{
		{"no run", []answer{records(false), ok}, agent.SHA256, v1alpha1.Format, ""},
		{"an earlier program's run", []answer{records(false, recordOf(first, v1alpha1.PhaseApplied)), ok}, theirs, v1alpha1.FormatAlpha1, ""},
		{"another build's run", []answer{records(true, recordOf(ours, v1alpha1.PhaseRollingBack)), ok}, theirs, v1alpha1.Format, ""},
		{"a stuck run", []answer{records(true, recordOf(ours, v1alpha1.PhaseStuck)), ok}, theirs, v1alpha1.Format, ""},
		{"the open one of several", []answer{
			records(false, recordOf(first, v1alpha1.PhaseConfirmed), recordOf(first, v1alpha1.PhaseStaged), recordOf(ours, v1alpha1.PhaseRemoved)), ok,
		}, theirs, v1alpha1.FormatAlpha1, ""},
		{"a run of ours", []answer{records(true, strings.ReplaceAll(recordOf(ours, v1alpha1.PhaseApplied), theirs, agent.SHA256))}, agent.SHA256, v1alpha1.Format, ""},
		{"a run of ours whose agent went", []answer{records(false, strings.ReplaceAll(recordOf(ours, v1alpha1.PhaseApplied), theirs, agent.SHA256)), ok}, agent.SHA256, v1alpha1.Format, ""},
		{"runs that are over", []answer{records(true, recordOf(first, v1alpha1.PhaseConfirmed), recordOf(ours, v1alpha1.PhaseRolledBack))}, agent.SHA256, v1alpha1.Format, ""},
		{"a damaged record", []answer{records(true, `{"apiVersion":`, ``, `{}`, `{"apiVersion":"v1","phase":"applied"}`)}, agent.SHA256, v1alpha1.Format, ""},
		{"a damaged record and an open run", []answer{records(true, `{"apiVersion":`, recordOf(first, v1alpha1.PhaseApplied)), ok}, theirs, v1alpha1.FormatAlpha1, ""},
		{
			"its agent went",
			[]answer{records(true, recordOf(ours, v1alpha1.PhaseApplied)), exit(1, "")},
			"abc", 0,
			"run r-0000000a of ana@laptop is applied on node worker-1, and its agent (sha256 9f86d081884c…) is not on the node any more; no other agent works on that run, " +
				"and nothing was changed: kubectl runtime v0.4.0, which began it, brings its agent back",
		},
		{
			"a later program's run",
			[]answer{records(true, recordOf(ours, v1alpha1.PhaseConfirmed), recordOf(later, v1alpha1.PhaseApplied))},
			"abc", 0,
			"node worker-1: the record of run r-0000000b was written by kubectl runtime v0.9.0 (format 3), and this one reads formats up to 2: use kubectl runtime v0.9.0 or later",
		},
		{
			"a later program's, in phases of its own",
			[]answer{records(false, `{"apiVersion":"kubectl-runtime/v3","phase":{"now":1},"agent":[]}`)},
			"abc", 0,
			"use the kubectl runtime that wrote it",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, x, _ := testPod(t, c.answers...)
			err := p.EnsureAgent(t.Context(), agent)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got %v, want %q", err, c.err)
			}
			if p.agent.SHA256 != c.agent || p.format != c.format {
				t.Errorf("asks %s in format %d, want %s in %d", p.agent.SHA256, p.format, c.agent, c.format)
			}
			for _, argv := range x.argv {
				if sends := slices.Contains(argv, uploadScript); sends && c.agent != agent.SHA256 {
					t.Error("our agent was brought")
				}
			}
		})
	}
}

// TestLookScript runs in a real shell: what is printed tells the records apart, whatever they hold.
func TestLookScript(t *testing.T) {
	agent := packed(t, "#!/bin/sh\necho here\n")
	base := filepath.Join(t.TempDir(), "kubectl-runtime")
	dir := filepath.Join(base, "agents")
	look := func() (string, error) {
		argv := script(lookScript, dir, agent.SHA256)
		out, err := exec.Command(argv[0], argv[1:]...).Output()
		return string(out), err
	}
	if out, err := look(); err == nil || out != "" {
		t.Errorf("on an empty node: %q, %v", out, err)
	}
	for name, text := range map[string]string{
		"r-00000001": recordOf(first, v1alpha1.PhaseConfirmed) + "\n", "r-00000002": "", "r-00000003": "{",
		"r-00000004": recordOf(first, v1alpha1.PhaseApplied), "r-00000005": strings.Repeat("\n", 3), "other": "{}",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Join(base, "runs", name), 0o700), os.WriteFile(filepath.Join(base, "runs", name, "run.json"), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(base, "runs", "r-00000006"), 0o700); err != nil {
		t.Fatal(err)
	}
	argv := script(uploadScript, dir, agent.SHA256)
	upload := exec.Command(argv[0], argv[1:]...)
	upload.Stdin = bytes.NewReader(agent.Gzip)
	if out, err := upload.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := look()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	open, err := openRecord([]byte(out))
	if err != nil || open == nil || open.ID != "r-00000004" || open.Agent != theirs || open.By != "ana@laptop" || open.format != v1alpha1.FormatAlpha1 {
		t.Errorf("read %+v, %v from %s", open, err, out)
	}
}

// TestFirstFormat talks with what the agent of commit e3d8f90 answered: it is asked in fields that it knows, and its answers are
// understood.
func TestFirstFormat(t *testing.T) {
	recorded := filepath.Join("..", "apis", "v1alpha1", "testdata", "format-1")
	known, err := os.ReadFile(filepath.Join(recorded, "fields.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file string
		req  v1alpha1.Request
		fits func(a v1alpha1.Response) bool
		err  string
	}{
		{"answer-gather-applied.json", v1alpha1.Request{Verb: v1alpha1.VerbGather}, func(a v1alpha1.Response) bool {
			return a.Facts != nil && a.Facts.OpenRun != nil && a.Facts.OpenRun.Phase == v1alpha1.PhaseApplied && a.Facts.OpenRun.Restore.Uncordon
		}, ""},
		{
			"answer-watch-applied.json",
			v1alpha1.Request{
				Verb: v1alpha1.VerbWatch, Run: "r-0000000a", Seq: 3, Wait: 20 * time.Second,
				Restore: v1alpha1.APIRestore{Uncordon: true, KubeadmSocket: "unix:///x", Pods: []v1alpha1.PodRef{{Namespace: "a", Name: "b", UID: "c"}}},
			},
			func(a v1alpha1.Response) bool {
				return a.Run != nil && a.Run.Phase == v1alpha1.PhaseApplied && len(a.Progress) > 0
			}, "",
		},
		{"answer-show-applied.json", v1alpha1.Request{Verb: v1alpha1.VerbShow, Run: "r-0000000a"}, func(a v1alpha1.Response) bool {
			return a.View != nil && a.View.Plan.To.Name == v1alpha1.CRIO && len(a.View.Contents) > 0
		}, ""},
		{"answer-confirm.json", v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: "r-0000000a", By: "ana@laptop"}, func(a v1alpha1.Response) bool {
			return a.Run != nil && a.Run.Phase == v1alpha1.PhaseConfirmed
		}, ""},
		{
			"answer-rollback-confirmed.json",
			v1alpha1.Request{Verb: v1alpha1.VerbRollback, Run: "r-0000000a", By: "ana@laptop", Reason: "asked"},
			func(a v1alpha1.Response) bool { return a.Code == v1alpha1.CodePhase }, "run r-0000000a is confirmed",
		},
	} {
		t.Run(c.file, func(t *testing.T) {
			answer, err := os.ReadFile(filepath.Join(recorded, c.file))
			if err != nil {
				t.Fatal(err)
			}
			var asked map[string]any
			p, x, _ := testPod(t, records(false, recordOf(first, v1alpha1.PhaseApplied)), ok, func(in []byte, out, _ io.Writer) error {
				if err := json.Unmarshal(in, &asked); err != nil {
					t.Error(err)
				}
				_, err := out.Write(answer)
				return err
			})
			if err := p.EnsureAgent(t.Context(), packed(t, "program")); err != nil {
				t.Fatal(err)
			}
			got, err := p.Call(t.Context(), c.req)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || !c.fits(got) {
				t.Errorf("got %+v, %v", got, err)
			}
			if sha := x.argv[2][len(x.argv[2])-1]; sha != theirs {
				t.Errorf("asked %s", sha)
			}
			if asked["apiVersion"] != v1alpha1.APIVersionAlpha1 {
				t.Errorf("asked in %v", asked["apiVersion"])
			}
			for _, name := range names("Request", asked) {
				if !slices.Contains(strings.Fields(string(known)), name) {
					t.Errorf("asked with %s, which that agent refuses", name)
				}
			}
			// It means the same as in our own words.
			var same v1alpha1.Request
			text, _ := json.Marshal(asked)
			if err := json.Unmarshal(text, &same); err != nil {
				t.Fatal(err)
			}
			want := c.req
			want.APIVersion, want.Node = v1alpha1.APIVersionAlpha1, "worker-1"
			if diff := cmp.Diff(want, same); diff != "" {
				t.Errorf("-want +asked:\n%s", diff)
			}
		})
	}
	t.Run("a plan", func(t *testing.T) {
		p, _, _ := testPod(t, records(false, recordOf(first, v1alpha1.PhaseApplied)), ok)
		if err := p.EnsureAgent(t.Context(), packed(t, "program")); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Call(t.Context(), v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: &v1alpha1.Plan{Format: 2}}); err == nil || !strings.Contains(err.Error(), "takes no plan") {
			t.Errorf("got %v", err)
		}
	})
}

// names lists the fields of a document.
func names(prefix string, v any) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			out = append(append(out, prefix+"."+key), names(prefix+"."+key, value)...)
		}
	case []any:
		for _, value := range v {
			out = append(out, names(prefix, value)...)
		}
	}
	return out
}

// TestAgentTakenAwayBesideAnOpenRun: while we ask, somebody else begins a run and ends the agent that we brought.
func TestAgentTakenAwayBesideAnOpenRun(t *testing.T) {
	p, x, _ := testPod(t, exit(127, "no such file"), records(false, recordOf(ours, v1alpha1.PhaseStaged)), ok, say(v1alpha1.Response{}))
	if _, err := p.Call(t.Context(), v1alpha1.Request{Verb: v1alpha1.VerbGather}); err != nil {
		t.Error(err)
	}
	if sha := x.argv[3][len(x.argv[3])-1]; sha != theirs {
		t.Errorf("asked %s", sha)
	}
}
