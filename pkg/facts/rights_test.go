package facts

import (
	"slices"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestAskedMayBeRun: what is asked for its version is among what the agent may run, which the page on security lists.
func TestAskedMayBeRun(t *testing.T) {
	for name := range asked {
		if !slices.ContainsFunc(v1alpha1.Programs(), func(r v1alpha1.Right) bool { return r.What == name }) {
			t.Errorf("%s may not be run", name)
		}
	}
}
