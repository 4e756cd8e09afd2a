//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
)

// TestStartFigures measures what a user waits for before anything happens, beside kubectl's own: in turns, so that a busy
// machine is busy for both. It asserts no time: it prints the medians.
func TestStartFigures(t *testing.T) {
	b := bed.Open(t)
	rounds := setting(t, "KUBECTL_RUNTIME_E2E_START_ROUNDS", 25)
	commands := []struct {
		name string
		argv []string
	}{
		{"kubectl get nodes", []string{b.Kubectl(), "get", "nodes"}},
		{"kubectl runtime status", []string{b.Plugin, "status"}},
		{"kubectl version --client", []string{b.Kubectl(), "version", "--client"}},
		{"kubectl runtime --help", []string{b.Plugin, "--help"}},
	}
	took := make([][]time.Duration, len(commands))
	for range rounds {
		for i, c := range commands {
			cmd := exec.CommandContext(t.Context(), c.argv[0], c.argv[1:]...)
			cmd.Env = append(os.Environ(), "KUBECONFIG="+b.Kubeconfig)
			began := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", c.name, err, out)
			}
			took[i] = append(took[i], time.Since(began))
		}
	}
	var table strings.Builder
	median := func(i int) time.Duration {
		slices.Sort(took[i])
		return took[i][len(took[i])/2]
	}
	for i, c := range commands {
		fmt.Fprintf(&table, "%-26s %4d ms\n", c.name, median(i).Milliseconds())
	}
	t.Logf("medians of %d:\n%sstatus is %.2f of get nodes", rounds, &table, float64(median(1))/float64(median(0)))
}
