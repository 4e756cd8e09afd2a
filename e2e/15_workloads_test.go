//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
)

// TestWorkloads holds the bed's workloads against a cluster that nobody touches: what the other tests look for must be
// seen here.
func TestWorkloads(t *testing.T) {
	b := bed.Open(t)
	n, elsewhere := b.Worker(t, 0), b.Worker(t, 1)
	annotate(t, n)
	w := deployAll(t, b, n)
	before, settings := n.Photo(t), n.Sh(t, readSettings)
	w.serve(t, b, n, elsewhere, bed.Home)
	moved(t, b, n, target, settings)

	prober := b.Probe(t, elsewhere, fmt.Sprintf("http://%s:%d/", w.service, bed.Port))
	time.Sleep(3 * time.Second)
	seen := prober.Stop(t)
	if seen.Sent < 20 || seen.Lost > 0 || len(seen.Servers) != 2 {
		t.Errorf("an undisturbed Service was seen as %+v", seen)
	}
	n.Same(t, before)
}
