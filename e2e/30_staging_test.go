//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
)

// TestStagingDisturbsNobody probes a pod on the node ten times a second while the target is staged beside it, its store
// empty, so that everything has to be taken in. A budget keeps the pod where it is, so no drain ever reaches it: not one
// answer may be lost from before the switch began until all of it was taken back.
func TestStagingDisturbsNobody(t *testing.T) {
	b := bed.Open(t)
	n := b.Worker(t, 0)
	elsewhere := b.Worker(t, 1)
	emptyStore(t, n)
	pod := blocked(t, b, n)
	before := n.Photo(t)

	prober := b.Probe(t, elsewhere, fmt.Sprintf("http://%s:%d/", pod.Status.PodIP, bed.Port))
	s := b.Expect(t, 1, patience, switchArgs(n, "--drain-timeout", "5s", "--ignore", neverMoves)...)
	s.Says(t, "blocker")
	unchanged(t, b, n, before)
	seen := prober.Stop(t)

	t.Logf("%d probes in %s of a switch that was staged and given up: %d lost, longest gap %.0f ms, slowest %.0f ms",
		seen.Sent, s.Took.Round(time.Second/10), seen.Lost, seen.LongestGap, seen.Slowest)
	if least := int(s.Took.Seconds() * 9); seen.Sent < least {
		t.Errorf("only %d probes were sent, want %d: the prober itself was held up", seen.Sent, least)
	}
	for _, loss := range seen.Losses {
		t.Errorf("lost an answer %.0f ms after the prober's start: %s", loss.At, loss.Error)
	}
	if len(seen.Servers) != 1 || seen.Servers[pod.Name] == 0 {
		t.Errorf("the answers came from %v, want them all from %s", seen.Servers, pod.Name)
	}
	// What staging took in stands in the target's store, or it did nothing that could have disturbed anybody.
	if images := n.Sh(t, "jq length /var/lib/containers/storage/overlay-images/images.json"); images == "0" {
		t.Error("staging took in no image")
	}
}

// emptyStore throws the target's images away, so that a run has to stage them all.
func emptyStore(t *testing.T, n *bed.Node) {
	t.Helper()
	n.Sh(t, `[ "$(systemctl is-active crio.service)" != active ]
		umount /var/lib/containers/storage/overlay 2>/dev/null || true
		rm -rf /var/lib/containers/storage /var/lib/crio`)
}
