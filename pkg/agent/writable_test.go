package agent_test

import (
	"math"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/agent"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/pullrecord"
)

// TestOwnPaths: what is the agent's own is what it writes while a run is open, and nothing besides. That it writes nothing else hosttest
// sees to in every test.
func TestOwnPaths(t *testing.T) {
	written := slices.Clone(agent.Reserves())
	// Of an image whose ID isn't known yet the kubelet is told that its pull has begun.
	defer func(images []pullrecord.Image) { stagedImages = images }(stagedImages)
	stagedImages = append(slices.Clone(stagedImages), pullrecord.Image{Tags: []string{"reg.example/team/late:1"}, Private: true})
	for _, to := range []v1alpha1.RuntimeName{v1alpha1.CRIO, v1alpha1.Docker} {
		synctest.Test(t, func(t *testing.T) {
			n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
			n.Boot()
			defer n.PowerOff(nil)
			must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, runID, v1alpha1.Containerd, to)})
			until(t, n, runID, v1alpha1.PhaseStaged)
			must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
			until(t, n, runID, v1alpha1.PhaseApplied)
			for name, x := range n.Snapshot("/etc", "/var/lib/kubelet", "/var/lib/kubectl-runtime") {
				if x.Type != v1alpha1.Directory {
					written = append(written, name)
				}
			}
			until(t, n, runID, v1alpha1.PhaseRolledBack)
		})
	}
	for _, w := range v1alpha1.WritablePaths() {
		for _, pattern := range w.Patterns() {
			if w.Name == "" {
				pattern = w.Root + "/*"
			}
			used := slices.ContainsFunc(written, func(name string) bool {
				ok, err := path.Match(pattern, name)
				return ok && err == nil
			})
			if w.Own && !used {
				t.Errorf("the agent doesn't write %s", pattern)
			}
		}
	}
	for _, name := range agent.Reserves() {
		if !slices.ContainsFunc(v1alpha1.WritablePaths(), func(w v1alpha1.WritablePath) bool { return w.Own && w.Matches(name) }) {
			t.Errorf("%s is no path of the agent's own", name)
		}
	}
}

// TestForeignPaths: whatever a plugin sends, a plan that would write elsewhere, or something else than plans write, is refused before
// anything is done, for either of its states.
func TestForeignPaths(t *testing.T) {
	n := newNode(t, v1alpha1.Containerd)
	n.Boot()
	defer n.PowerOff(nil)
	before := n.Snapshot("/etc", "/var/lib")
	for _, x := range []v1alpha1.FileState{
		{Path: "/etc/passwd", Type: v1alpha1.Regular},
		{Path: "/etc/containerd/../passwd", Type: v1alpha1.Regular},
		{Path: etc + "/evil.service", Type: v1alpha1.Regular},
		{Path: etc + "/sshd.service.d/x.conf", Type: v1alpha1.Regular},
		{Path: etc + "/sshd.service.d", Type: v1alpha1.Directory},
		{Path: etc + "/crio.service", Type: v1alpha1.Symlink, Target: "/dev/null"},
		{Path: etc + "/multi-user.target.wants/crio.service", Type: v1alpha1.Symlink, Target: "/tmp/crio.service"},
		{Path: etc + "/kubectl-runtime-recover.service", Type: v1alpha1.Regular},
		{Path: "/etc/docker/plugins/evil.json", Type: v1alpha1.Regular},
		{Path: "/etc/docker/daemon.json", Type: v1alpha1.Symlink, Target: "/etc/shadow"},
		{Path: "/etc/kubernetes/manifests/evil.yaml", Type: v1alpha1.Regular},
		{Path: "/var/lib/kubectl-runtime/agents/x", Type: v1alpha1.Regular},
	} {
		x.Content, x.SHA256 = []v1alpha1.Segment{{Text: "x"}}, strings.Repeat("0", 64)
		absent := v1alpha1.FileState{Path: x.Path, Type: v1alpha1.Absent}
		for _, states := range [][2]v1alpha1.FileState{{absent, x}, {x, absent}} {
			p := newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)
			p.Before.Files, p.After.Files = append(p.Before.Files, states[0]), append(p.After.Files, states[1])
			resp := ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: p})
			if want := "which no plan may"; !strings.Contains(resp.Error, want) && !strings.Contains(resp.Error, "don't agree about the file") {
				t.Errorf("%s %s %s: %q, want %q", x.Path, x.Type, x.Target, resp.Error, want)
			}
		}
	}
	if diff := cmp.Diff(before, n.Snapshot("/etc", "/var/lib")); diff != "" {
		t.Errorf("something was changed all the same:\n%s", diff)
	}
}

// TestForeignGraces: a plan that would keep the node without a kubelet for ever, or whose time can't be counted, is refused.
func TestForeignGraces(t *testing.T) {
	n := newNode(t, v1alpha1.Containerd)
	n.Boot()
	defer n.PowerOff(nil)
	for _, grace := range []time.Duration{-1, 24*time.Hour + 1, math.MaxInt64} {
		p := newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)
		p.EvacuationGrace = grace
		if resp := ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: p}); !strings.Contains(resp.Error, "to end") {
			t.Errorf("%s: %q", grace, resp.Error)
		}
	}
}
