package v1alpha1_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func TestFirstLine(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "one": "one", "\n one \r\nHTTPS_PROXY=http://ana:hunter2@proxy\n": "one", strings.Repeat("ä", 400): strings.Repeat("ä", 400),
		strings.Repeat("ä", 401): strings.Repeat("ä", 399) + "…",
	} {
		if diff := cmp.Diff(want, v1alpha1.FirstLine(in)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func FuzzReadLastRun(f *testing.F) {
	for _, s := range []string{
		"", "{}", `{"run":"r-00000001","from":"docker","to":"cri-o","phase":"applied","when":"2026-01-01T00:00:00Z","reason":"a\nb","later":1}`, `[]`, `{"run":1}`,
		`{"reason":"` + strings.Repeat("x", 17<<10) + `"}`, `{"when":"x"}`, "{", `{"reason":"\u001b[2J"}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		last, err := v1alpha1.ReadLastRun(text)
		if (last == nil) == (err == nil) {
			t.Fatalf("%+v, %v", last, err)
		}
		if err != nil {
			return
		}
		if len(text) > 16<<10 || strings.Contains(last.Reason, "\n") || utf8.RuneCountInString(last.Reason) > 400 {
			t.Errorf("%d bytes are read as %+v", len(text), last)
		}
	})
}
