package hostpod

import (
	"errors"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// FuzzAnswer: whatever a node sends, it is read, it is said to be cut off, which may be asked again, or it is none that asking again would
// change; nothing of an answer is taken that can't be read whole.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"apiVersion":"kubectl-runtime/v1alpha2","run":{"id":"r-00000001","phase":"applied"}}`, `{"apiVersion":"kubectl-runtime/v1alpha2"`, `{"apiVersion":"x"}`,
		`{"apiVersion":"kubectl-runtime/v1alpha2","error":"\u001b[2J","code":"stale"}`, `{"apiVersion":1}`, `null`, `{}{}`, "sh: not found\n", "[", `{"facts":{"files":[{"size":"x"}]}}`, "\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		answer, err := read("asking", out, v1alpha1.APIVersion, AgentError{}, nil)
		if err == nil && answer.APIVersion != v1alpha1.APIVersion {
			t.Errorf("%q is taken for an answer: %+v", out, answer)
		}
		if said := errors.As(err, new(*AgentError)); said != (err != nil && answer.Error != "" && answer.APIVersion == v1alpha1.APIVersion) {
			t.Errorf("%q: %v", out, err)
		}
		if err != nil && !final(err) && !cutOff(out) {
			t.Errorf("%q would be asked for again: %v", out, err)
		}
	})
}
