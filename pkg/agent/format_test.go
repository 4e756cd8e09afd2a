package agent_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest/layout"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// another is an agent of another build than the test's own.
const another = journal.Dir + "/agents/fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

// askAnother is ask, of that agent.
func askAnother(n *hosttest.Node, req v1alpha1.Request) v1alpha1.Response {
	p := n.Process()
	req.APIVersion, req.Node = v1alpha1.APIVersion, "node-1"
	a := newAgent(p.Machine())
	a.Binary = another
	return a.Serve(p.Context(), req)
}

// recorded is the node of a case after commit e3d8f90 has worked on it, as its own code left it.
func recorded(t *testing.T, file string) (*hosttest.Node, layout.Case) {
	t.Helper()
	cases := layout.All()
	i := slices.IndexFunc(cases, func(c layout.Case) bool { return c.Name == "kubeadm-new-1.34/containerd-to-cri-o" })
	n := cases[i].Node.Build()
	n.Install(agentProgram())
	data, err := os.ReadFile("../apis/v1alpha1/testdata/format-1/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var files []hosttest.File
	if err := json.Unmarshal(data, &files); err != nil {
		t.Fatal(err)
	}
	stands := map[string]bool{}
	for _, f := range files {
		n.Lay(f)
		stands[f.Path] = true
	}
	for _, name := range slices.Backward(slices.Sorted(keys(n.Snapshot(watched...)))) {
		if !stands[name] {
			n.Remove(name)
		}
	}
	n.Animate()
	n.PowerOff(nil)
	return n, cases[i]
}

func keys(m map[string]hosttest.File) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// TestRollbackOfTheFirstFormat goes back from a run that commit e3d8f90 confirmed.
func TestRollbackOfTheFirstFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, c := recorded(t, "node-confirmed.json")
		n.Boot()
		defer n.PowerOff(nil)
		fresh := c.Node.Build()
		before := fresh.Snapshot(watched...)
		fresh.PowerOff(nil)
		f := gathered(t, n)
		if len(f.Runs) != 1 || f.Runs[0].Phase != v1alpha1.PhaseConfirmed || f.OpenRun != nil {
			t.Fatalf("runs %+v, open %+v", f.Runs, f.OpenRun)
		}
		view := must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbShow, Run: runID}).View
		back, err := plan.Inverse(*view, f, "r-0000000b")
		if err != nil {
			t.Fatal(err)
		}
		script(t, n, back, confirms)
		if run := rest(t, n); run == nil || run.ID != "r-0000000b" || run.Phase != v1alpha1.PhaseConfirmed || run.Format != v1alpha1.Format {
			t.Fatalf("the rollback ended as %+v", run)
		}
		age := func(files map[string]hosttest.File) map[string]hosttest.File {
			for name, f := range files {
				f.Modified = time.Time{}
				files[name] = f
			}
			return files
		}
		if diff := cmp.Diff(age(before), age(n.Snapshot(watched...))); diff != "" {
			t.Errorf("the node isn't as before (-before +now):\n%s", diff)
		}
		clean(t, n)
	})
}

// TestOpenRunOfAnother: whatever another agent is asked while a run is open, it changes nothing of it: of commit e3d8f90's as of
// another build's.
func TestOpenRunOfAnother(t *testing.T) {
	check := func(t *testing.T, n *hosttest.Node, phase v1alpha1.Phase) {
		t.Helper()
		gathered(t, n) // once, as it makes the key that digests are sealed with
		before := n.Snapshot("/etc", "/var/lib/kubelet", journal.Dir)
		for _, verb := range []v1alpha1.Verb{v1alpha1.VerbApply, v1alpha1.VerbConfirm, v1alpha1.VerbRollback, v1alpha1.VerbDiscard, v1alpha1.VerbWatch} {
			resp := askAnother(n, v1alpha1.Request{Verb: verb, Run: runID, Restore: v1alpha1.APIRestore{Uncordon: true}})
			if !strings.Contains(resp.Error, "only the agent that began it works on it: "+path.Base(binary)) {
				t.Errorf("%s: answered %q", verb, resp.Error)
			}
		}
		other := must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbShow, Run: runID}).View.Plan
		other.Run, other.APIVersion, other.Format = "r-0000000b", v1alpha1.APIVersion, v1alpha1.Format
		if resp := askAnother(n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: &other}); resp.Code != v1alpha1.CodeBusy {
			t.Errorf("stage: answered %q (%s)", resp.Error, resp.Code)
		}
		seen := askAnother(n, v1alpha1.Request{Verb: v1alpha1.VerbGather})
		if seen.Facts == nil || seen.Facts.OpenRun == nil || seen.Facts.OpenRun.Phase != phase {
			t.Errorf("gather: %q, %+v", seen.Error, seen.Facts)
		}
		if resp := askAnother(n, v1alpha1.Request{Verb: v1alpha1.VerbFinish}); resp.Error != "" {
			t.Errorf("finish: %s", resp.Error)
		}
		if diff := cmp.Diff(before, n.Snapshot("/etc", "/var/lib/kubelet", journal.Dir)); diff != "" {
			t.Errorf("something was changed:\n%s", diff)
		}
	}
	t.Run("of the first format", func(t *testing.T) {
		n, _ := recorded(t, "node-applied.json")
		n.Remove(etc + "/timers.target.wants/kubectl-runtime-recover.timer") // what those units run isn't there
		for _, u := range []string{"kubelet", "containerd", "crio"} {
			n.Remove(etc + "/" + u + ".service.d/00-kubectl-runtime-early.conf")
		}
		synctest.Test(t, func(t *testing.T) {
			n.Boot()
			defer n.PowerOff(nil)
			check(t, n, v1alpha1.PhaseApplied)
		})
	})
	t.Run("of another build", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
			n.Boot()
			defer n.PowerOff(nil)
			reach(t, n, v1alpha1.PhaseStaged)
			check(t, n, v1alpha1.PhaseStaged)
			must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbDiscard, Run: runID})
		})
	})
}

// TestStageAfterAnother: who waited while another agent began a run leaves that run's watcher alone: it starts that agent.
func TestStageAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		m := n.Machine()
		j := journal.Open(m.Files, m.Clock, journal.Dir)
		unlock, err := j.Act()
		if err != nil {
			t.Fatal(err)
		}
		p := newPlan(t, n, "r-0000000b", v1alpha1.Containerd, v1alpha1.CRIO)
		answer := make(chan v1alpha1.Response)
		go func() { answer <- askAnother(n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: p}) }()
		time.Sleep(time.Second)
		first := *p
		first.Run = runID
		if err := j.Create(v1alpha1.Run{ID: runID, Phase: v1alpha1.PhaseStaging, Agent: path.Base(binary)}, &first); err != nil {
			t.Fatal(err)
		}
		unlock()
		if resp := <-answer; resp.Code != v1alpha1.CodeBusy {
			t.Errorf("answered %q (%s)", resp.Error, resp.Code)
		}
		if text, ok := n.Content(etc + "/kubectl-runtime-recover.service"); ok {
			t.Errorf("the watcher of the open run is now:\n%s", text)
		}
	})
}

// TestLaterFormat: on a node that a later program was at, an agent leaves everything as it is and names that program.
func TestLaterFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		reach(t, n, v1alpha1.PhaseConfirmed)
		time.Sleep(time.Minute)
		for _, file := range []string{"run.json", "plan.json"} {
			name := journal.Dir + "/runs/" + runID + "/" + file
			text, _ := n.Content(name)
			n.Write(name, strings.Replace(text, fmt.Sprintf(`"format": %d`, v1alpha1.Format), `"format": 99, "version": "v9.1.0"`, 1))
		}
		next := newPlan(t, n, "r-0000000b", v1alpha1.CRIO, v1alpha1.Containerd)
		before := n.Snapshot("/etc", "/var/lib/kubelet", journal.Dir)
		for _, verb := range []v1alpha1.Verb{v1alpha1.VerbStage, v1alpha1.VerbShow, v1alpha1.VerbConfirm, v1alpha1.VerbRollback, v1alpha1.VerbDiscard, v1alpha1.VerbFinish} {
			resp := ask(t, n, v1alpha1.Request{Verb: verb, Run: runID, Plan: next})
			if !strings.Contains(resp.Error, "use kubectl runtime v9.1.0 or later") {
				t.Errorf("%s: answered %q", verb, resp.Error)
			}
		}
		if diff := cmp.Diff(before, n.Snapshot("/etc", "/var/lib/kubelet", journal.Dir)); diff != "" {
			t.Errorf("something was changed:\n%s", diff)
		}
	})
}

// TestFinishKeepsTheWayBack: a switch can be taken back however many dry runs and failed tries came after it.
func TestFinishKeepsTheWayBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := layout.All()[0]
		n, p := layoutNode(t, c)
		defer n.PowerOff(nil)
		before := n.Snapshot(watched...)
		script(t, n, p, confirms)
		inverse := func(run string) *v1alpha1.Plan {
			view := must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbShow, Run: runID}).View
			if view == nil {
				t.Fatal("the run isn't there")
			}
			back, err := plan.Inverse(*view, gathered(t, n), run)
			if err != nil {
				t.Fatal(err)
			}
			return back
		}
		for k := range 7 {
			run := fmt.Sprintf("r-0000001%d", k)
			n.Install(agentProgram())
			must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: inverse(run)})
			until(t, n, run, v1alpha1.PhaseStaged)
			must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbDiscard, Run: run})
			time.Sleep(time.Minute)
			n.Install(agentProgram())
			must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish, Run: run})
		}
		if runs := gathered(t, n).Runs; len(runs) != 6 || runs[5].ID != runID {
			t.Errorf("kept: %+v", runs)
		}
		n.Install(agentProgram())
		script(t, n, inverse("r-00000020"), confirms)
		if diff := cmp.Diff(before, n.Snapshot(watched...)); diff != "" {
			t.Errorf("the node isn't as before (-before +now):\n%s", diff)
		}
	})
}

// TestOlderDebtIsPaidLate: what an older run owes the API server is paid, in whatever order that lets it through; but the node's
// last run stays the newest one, and what a later switch has set stays.
func TestOlderDebtIsPaidLate(t *testing.T) {
	const patch = "PATCH /api/v1/nodes/node-1 application/merge-patch+json uncordon"
	for name, c := range map[string]struct {
		confirmed bool
		want      []string
	}{
		"both were rolled back":   {want: []string{patch + " unix:///old.sock r-00000001 rolledBack", patch + " unix:///old.sock"}},
		"the newer was confirmed": {confirmed: true, want: []string{patch}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
				server := &api{away: true}
				n.API = server.serve
				n.Boot()
				defer n.PowerOff(nil)
				for _, run := range []string{runID, "r-00000001"} { // the newer one has the lower name
					must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, run, v1alpha1.Containerd, v1alpha1.CRIO)})
					until(t, n, run, v1alpha1.PhaseStaged)
					must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: run, ConfirmTimeout: time.Minute, Restore: v1alpha1.APIRestore{
						Uncordon: true, KubeadmSocket: "unix:///old.sock",
					}})
					if c.confirmed && run != runID {
						until(t, n, run, v1alpha1.PhaseApplied)
						must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: run})
						time.Sleep(20 * time.Second)
						must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish, Run: run})
					}
					time.Sleep(3 * time.Minute)
				}
				server.away = false
				time.Sleep(2 * time.Hour)
				if diff := cmp.Diff(c.want, server.log); diff != "" {
					t.Errorf("what the API server was asked (-want +got):\n%s", diff)
				}
				clean(t, n)
			})
		})
	}
}
