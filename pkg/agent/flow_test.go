package agent_test

import (
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

// ask sends a request as the plugin does: through a process of its own.
func ask(t testing.TB, n *hosttest.Node, req v1alpha1.Request) v1alpha1.Response {
	t.Helper()
	p := n.Process()
	req.APIVersion, req.Node = v1alpha1.APIVersion, "node-1"
	return newAgent(p.Machine()).Serve(p.Context(), req)
}

// must is ask, and the answer isn't an error.
func must(t testing.TB, n *hosttest.Node, req v1alpha1.Request) v1alpha1.Response {
	t.Helper()
	resp := ask(t, n, req)
	if resp.Error != "" {
		t.Fatalf("%s: %s (%s)", req.Verb, resp.Error, resp.Code)
	}
	return resp
}

// gathered are the facts of the node as they leave it.
func gathered(t testing.TB, n *hosttest.Node) *v1alpha1.Facts {
	t.Helper()
	return must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbGather}).Facts
}

// until watches a run until it has reached one of the phases.
func until(t testing.TB, n *hosttest.Node, run string, want ...v1alpha1.Phase) v1alpha1.Run {
	t.Helper()
	seq := 0
	for range 2000 {
		resp := must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: run, Seq: seq, Wait: time.Second})
		for _, l := range resp.Progress {
			seq = l.Seq
			t.Logf("%s %-22s %s %s %s", l.Time.Format("15:04:05.000"), l.Step, l.Detail, l.Phase, l.Error)
		}
		for _, p := range want {
			if resp.Run.Phase == p {
				return *resp.Run
			}
		}
		if !resp.Run.Phase.Open() {
			t.Fatalf("the run ended as %s (%s)", resp.Run.Phase, resp.Run.Reason)
		}
	}
	t.Fatalf("the run never got %s", want)
	return v1alpha1.Run{}
}

var watched = []string{"/etc", "/var/lib/kubelet"}

type photo struct {
	Files  map[string]hosttest.File
	Units  map[string]string
	Loaded map[string]string
}

func photograph(n *hosttest.Node) photo {
	return photo{n.Snapshot(watched...), n.Active(), n.Loaded()}
}

func TestConfirmed(t *testing.T) {
	for _, d := range directions {
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, d.from, hosttest.RealTime())
				n.Boot()
				defer n.PowerOff(nil)
				plan := newPlan(t, n, runID, d.from, d.to)
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: plan, By: "ana@laptop"})
				until(t, n, runID, v1alpha1.PhaseStaged)
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
				r := until(t, n, runID, v1alpha1.PhaseApplied)
				if r.KubeletStarted.IsZero() || r.KubeletStopped.IsZero() || r.DeadlineIn <= 0 {
					t.Errorf("record of the applied run: %+v", r)
				}
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: runID})
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: runID})
				time.Sleep(10 * time.Second)
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish, Run: runID})
				if got := n.Sandboxes(d.to); len(got) != 2 {
					t.Errorf("pods in %s: %v", d.to, got)
				}
				clean(t, n)
			})
		})
	}
}

func TestDeadline(t *testing.T) {
	for _, d := range directions {
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, d.from, hosttest.RealTime())
				n.Boot()
				defer n.PowerOff(nil)
				before := photograph(n)
				plan := newPlan(t, n, runID, d.from, d.to)
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: plan, By: "ana@laptop"})
				until(t, n, runID, v1alpha1.PhaseStaged)
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
				until(t, n, runID, v1alpha1.PhaseRolledBack)
				time.Sleep(10 * time.Second)
				if diff := cmp.Diff(before, photograph(n)); diff != "" {
					t.Errorf("the node isn't as before (-before +now):\n%s", diff)
				}
				clean(t, n)
			})
		})
	}
}

var directions = []struct {
	name     string
	from, to v1alpha1.RuntimeName
}{
	{"containerd to cri-o", v1alpha1.Containerd, v1alpha1.CRIO},
	{"cri-o to containerd", v1alpha1.CRIO, v1alpha1.Containerd},
	{"containerd to docker", v1alpha1.Containerd, v1alpha1.Docker},
	{"docker to cri-o", v1alpha1.Docker, v1alpha1.CRIO},
}

// clean checks that nothing of ours and nothing broken is left.
func clean(t testing.TB, n *hosttest.Node) {
	t.Helper()
	for _, b := range n.Broken() {
		t.Errorf("broken: %s", b)
	}
	for _, l := range n.Leaks() {
		t.Errorf("leaked: %s", l)
	}
	for p := range n.Snapshot("/etc/systemd") {
		if ours(p) {
			t.Errorf("left behind: %s", p)
		}
	}
	for p := range n.Snapshot("/etc", "/var/lib") {
		// A record that is not written to its end makes way for the next one.
		if temp := strings.HasPrefix(path.Base(p), ".kubectl-runtime-"); strings.HasSuffix(p, "reserve") || temp && !strings.HasPrefix(p, journal.Dir+"/runs/") {
			t.Errorf("left behind: %s", p)
		}
	}
	for u := range n.Active() {
		if ours(u) {
			t.Errorf("left running: %s", u)
		}
	}
}
