package ui

import (
	"errors"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func TestResult(t *testing.T) {
	docker := v1alpha1.RuntimeRef{Name: v1alpha1.Docker, Version: "28.5.2"}
	crio := v1alpha1.RuntimeRef{Name: v1alpha1.CRIO, Version: "1.35.0"}
	results := []Result{
		{Node: "worker-1", Verdict: Good, Outcome: "switched", From: docker, To: crio, Took: 64 * time.Second, Outage: 1240 * time.Millisecond, State: "cri-o 1.35.0, Ready"},
		{Node: "worker-2", Verdict: Good, Outcome: "nothing to do"},
		{
			Node: "worker-3", Verdict: Caught, Outcome: "rolled back", From: docker, To: crio,
			Err:   errors.New("cri-o did not answer within 60s\ncrio[2211]: unknown key \"pids_limit\"\x1b[2J"),
			State: "rolled back to docker 28.5.2, Ready, schedulable",
			Next:  "kubectl runtime status worker-3 --deep",
		},
		{Node: "worker-4", Verdict: Bad, Outcome: "stuck", Err: errors.New("/etc/crio/crio.conf is neither as before nor as after"), State: "stuck", Next: "see docs/recovery.md"},
		{Node: "worker-5", Verdict: Caught, Outcome: "refused"},
	}
	for name, onStdout := range map[string]bool{"results": true, "results-beside-documents": false} {
		t.Run(name, func(t *testing.T) {
			s := newScreen(false, false, false)
			var outcomes []string
			for _, r := range results {
				s.Result(r, onStdout)
				outcomes = append(outcomes, r.Outcome)
			}
			s.Summary(append(outcomes, "switched"))
			s.golden(t, name)
		})
	}
}

func TestSummaryOfOne(t *testing.T) {
	s := newScreen(false, false, false)
	s.Summary([]string{"switched"})
	if s.err.Len() > 0 {
		t.Errorf("one node needs no summary: %q", s.err.String())
	}
}
