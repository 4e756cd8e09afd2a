package ui

import (
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

func examplePlan() Plan {
	return Plan{
		Plan: &v1alpha1.Plan{
			Node: "worker-3", Run: "r-80aa0003", Digest: "4be1f0c29d",
			From: v1alpha1.RuntimeRef{Name: v1alpha1.Docker, Version: "28.5.2"},
			To:   v1alpha1.RuntimeRef{Name: v1alpha1.Containerd, Version: "2.2.1"},
		},
		Steps: []plan.Step{
			{Kind: plan.Change, Text: "stop unit kubelet.service"},
			{Kind: plan.Remove, Text: "remove the pods of docker"},
			{Kind: plan.Change, Text: "/etc/containerd/config.toml  the CRI plugin is disabled"},
			{Kind: plan.Create, Text: "/etc/systemd/system/docker.service.d/zz-kubectl-runtime-parked.conf  keeps docker from starting"},
			{Kind: plan.Create, Text: "/etc/systemd/system/multi-user.target.wants/containerd.service"},
			{Kind: plan.Create, Text: "start unit containerd.service"},
		},
		Diffs: []plan.FileDiff{
			{
				Path: "/etc/containerd/config.toml", Kind: plan.Change, Why: "the CRI plugin is disabled",
				Unified: "--- /etc/containerd/config.toml\n+++ /etc/containerd/config.toml\n@@ -1 +1 @@\n-disabled_plugins = [\"cri\"] # shipped\tby the package\n+disabled_plugins = [] # shipped\tby the package\n",
			},
			{
				Path: "/etc/systemd/system/docker.service.d/zz-kubectl-runtime-parked.conf", Kind: plan.Create, Why: "keeps docker from starting",
				Unified: "--- /dev/null\n+++ b\n@@ -0,0 +1,2 @@\n+[Unit]\n+ConditionPathExists=!/x\x1b[31m\n",
			},
			{Path: "/etc/systemd/system/multi-user.target.wants/containerd.service", Kind: plan.Create},
			{Path: "/etc/crictl.yaml", Kind: plan.Remove, Why: "nothing reads it any more"},
			{Path: "/etc/systemd/system/docker.service.d", Kind: plan.Create},
		},
		Findings: []v1alpha1.Finding{
			{ID: "R003", Severity: v1alpha1.SeverityFixable, Message: "containerd's configuration disables the CRI plugin", Evidence: []string{"/etc/containerd/config.toml:1"}},
			{ID: "W002", Severity: v1alpha1.SeverityWarning, Message: "2 pods mount Docker's socket", Evidence: []string{"ci/builder-0", "ops/agent"}, Hint: "move them to another builder"},
		},
		Evictions:      []string{"a/1", "a/2", "a/3", "a/4", "a/5", "a/6", "a/7", "a/8"},
		ConfirmTimeout: 5 * time.Minute,
	}
}

func TestPlan(t *testing.T) {
	blocked := examplePlan()
	blocked.Blocked = true
	blocked.Findings = []v1alpha1.Finding{{ID: "N001", Severity: v1alpha1.SeverityError, Message: "the system is read-only", Object: "kube-system/DaemonSet/x"}}
	resumed := examplePlan()
	resumed.Diffs, resumed.Findings, resumed.Evictions = nil, nil, nil
	resumed.Plan.Restores = "r-11111111"
	resumed.Resumes = &v1alpha1.Run{ID: "r-80aa0003", By: "ana@laptop", Phase: v1alpha1.PhaseStaged}
	for name, p := range map[string]Plan{"plan": examplePlan(), "plan-blocked": blocked, "plan-resumed": resumed} {
		t.Run(name, func(t *testing.T) {
			s := newScreen(false, false, false)
			s.Plan(p, true)
			s.golden(t, name)
		})
	}
	t.Run("colour", func(t *testing.T) {
		s := newScreen(false, true, false)
		s.Plan(examplePlan(), true)
		s.golden(t, "plan-colour")
	})
	t.Run("ascii on stderr", func(t *testing.T) {
		s := newScreen(false, false, true)
		s.Plan(examplePlan(), false)
		s.golden(t, "plan-ascii")
	})
}

func TestFindingsAndChanges(t *testing.T) {
	s := newScreen(false, false, false)
	s.Findings("worker-3", examplePlan().Findings)
	s.Changes("worker-3", "r-80aa0003", examplePlan().Diffs[:1])
	s.golden(t, "findings-changes")
}
