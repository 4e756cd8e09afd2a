package ui

import (
	"fmt"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/report"
)

func TestCheck(t *testing.T) {
	var places, many []string
	for i := range 7 {
		places, many = append(places, fmt.Sprintf("container c%d: mounts it", i)), append(many, fmt.Sprintf("worker-%d", i))
	}
	r := &report.Report{
		To: v1alpha1.CRIO, Workloads: 12, Nodes: []report.Node{{Name: "worker-1", Runtime: "docker 28.5.2"}, {Name: "worker-2", Runtime: "docker 28.5.2"}},
		Rules: []report.Rule{{ID: "N004"}, {ID: "W001"}, {ID: "W003"}, {ID: "W008"}},
		Findings: []v1alpha1.Finding{
			{ID: "W001", Severity: v1alpha1.SeverityError, Message: "mounts Docker's socket\x1b[2J", Object: "ci/Deployment/builder", Pods: 9, Nodes: many, Evidence: places, Hint: "use another builder"},
			{ID: "R003", Severity: v1alpha1.SeverityFixable, Message: "the cri plugin is disabled", Node: "worker-1", Evidence: []string{"/etc/containerd/config.toml:1"}},
			{ID: "N004", Severity: v1alpha1.SeverityWarning, Message: "6 GiB are free", Node: "worker-1"},
			{ID: "W002", Severity: v1alpha1.SeverityWarning, Message: "mounts /run", Object: "ci/StatefulSet/db", Pods: 1, Nodes: []string{"worker-1"}, Evidence: places[:4]},
			{ID: "W002", Severity: v1alpha1.SeverityError, Message: "mounts /run", Object: "ci/StatefulSet/db", Pods: 1, Nodes: []string{"worker-1"}, Suppressed: "goes away in May"},
			{ID: "C004", Severity: v1alpha1.SeverityWarning, Message: "its runtime differs", Object: "Node/worker-9"},
			{ID: "W009", Severity: v1alpha1.SeverityWarning, Message: "is told of a Docker host", Object: "Pod/bare", File: "deploy/pod.yaml", Line: 12},
		},
	}
	for name, wide := range map[string]bool{"check": false, "check-wide": true} {
		t.Run(name, func(t *testing.T) {
			s := newScreen(false, false, wide)
			s.Check(r, wide)
			s.CheckFooter(r, "kubectl runtime switch worker-1 --to cri-o --dry-run=server")
			s.golden(t, name)
		})
	}
	t.Run("check-coloured", func(t *testing.T) {
		s := newScreen(false, true, false)
		s.Check(r, false)
		s.golden(t, "check-coloured")
	})
	t.Run("check-nothing", func(t *testing.T) {
		s := newScreen(false, false, false)
		none := &report.Report{Rules: r.Rules, Workloads: 1}
		s.Check(none, false)
		s.CheckFooter(none, "")
		s.golden(t, "check-nothing")
	})
}
