package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/agent"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

// TestStale: a node that isn't as the plan read it is left alone, and the answer names what changed.
func TestStale(t *testing.T) {
	changes := map[string]struct {
		do   func(n *hosttest.Node)
		want string
	}{
		"a file was edited":   {func(n *hosttest.Node) { n.Write("/etc/crictl.yaml", "debug: true\n") }, "/etc/crictl.yaml"},
		"a file went":         {func(n *hosttest.Node) { n.Remove("/var/lib/kubelet/instance-config.yaml") }, "instance-config.yaml is absent"},
		"a drop-in was added": {func(n *hosttest.Node) { n.Write(etc+"/kubelet.service.d/20-more.conf", "[Service]\n") }, etc + "/kubelet.service.d"},
		"a unit was stopped":  {func(n *hosttest.Node) { n.Stop("containerd.service") }, "containerd.service is loaded, inactive"},
		"a binary was upgraded": {func(n *hosttest.Node) {
			n.Install(hosttest.Kubelet("/usr/bin/kubelet", "1.34.5"))
		}, "/usr/bin/kubelet is version 1.34.5 and was 1.34.4"},
		"it was rebooted": {func(n *hosttest.Node) { n.PowerOff(nil); n.Boot() }, "rebooted"},
	}
	for name, c := range changes {
		for _, when := range []string{"before staging", "before applying"} {
			t.Run(name+" "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
					n.Boot()
					defer n.PowerOff(nil)
					plan := newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)
					if when == "before applying" {
						must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: plan, StageTimeout: time.Hour})
						until(t, n, runID, v1alpha1.PhaseStaged)
					}
					c.do(n)
					before := n.Snapshot("/etc", "/var/lib/kubelet")
					resp := ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: plan})
					if when == "before applying" {
						resp = ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
					}
					if resp.Code != v1alpha1.CodeStale || !strings.Contains(resp.Error, c.want) {
						t.Errorf("got %q (%s), want one that names %q", resp.Error, resp.Code, c.want)
					}
					if diff := cmp.Diff(before, n.Snapshot("/etc", "/var/lib/kubelet")); diff != "" {
						t.Errorf("something was changed all the same:\n%s", diff)
					}
				})
			})
		}
	}
}

// TestStagedWithoutLimit: a drain without a limit takes hours. The staged run lives while its plugin is heard, and no longer.
func TestStagedWithoutLimit(t *testing.T) {
	for name, heard := range map[string]bool{"its plugin is heard": true, "its plugin dies": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
				n.Boot()
				defer n.PowerOff(nil)
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)})
				until(t, n, runID, v1alpha1.PhaseStaged)
				for range 200 {
					time.Sleep(time.Minute)
					if heard {
						must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: runID})
					}
				}
				resp := ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID})
				if !strings.Contains(resp.Error, "doesn't say how long") {
					t.Errorf("a run that nobody would have to confirm: %q", resp.Error)
				}
				resp = ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
				if !heard {
					if resp.Code != v1alpha1.CodePhase || resp.Run != nil {
						t.Errorf("got %q (%s)", resp.Error, resp.Code)
					}
					return
				}
				if resp.Error != "" {
					t.Fatal(resp.Error)
				}
				until(t, n, runID, v1alpha1.PhaseApplied)
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: runID})
			})
		})
	}
}

// TestBusy: the node itself refuses a second run, and says whose the first one is.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		plan := newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: plan, By: "ana@laptop"})
		other := *plan
		other.Run = "r-0000000b"
		resp := ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: &other, By: "ben@laptop"})
		if resp.Code != v1alpha1.CodeBusy || !strings.Contains(resp.Error, "ana@laptop") || !strings.Contains(resp.Error, "since 2026-") {
			t.Errorf("got %q (%s)", resp.Error, resp.Code)
		}
		until(t, n, runID, v1alpha1.PhaseStaged)
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbDiscard, Run: runID, By: "ana@laptop"})
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: &other, By: "ben@laptop"})
		until(t, n, "r-0000000b", v1alpha1.PhaseStaged)
		if resp := ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: "r-ffffffff"}); resp.Code != v1alpha1.CodeUnknown {
			t.Errorf("an unknown run: %q (%s)", resp.Error, resp.Code)
		}
	})
}

// api is an API server that notes what it is asked.
type api struct {
	away bool
	log  []string
}

func (a *api) serve(method, path, contentType string, body []byte) (int, []byte) {
	if a.away {
		return http.StatusServiceUnavailable, []byte("etcd is away")
	}
	var doc struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
		Spec          map[string]any    `json:"spec"`
		Preconditions map[string]string `json:"preconditions"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return http.StatusBadRequest, nil
	}
	what := fmt.Sprintf("%s %s %s", method, path, contentType)
	if _, ok := doc.Spec["unschedulable"]; ok {
		what += " uncordon"
	}
	if s := doc.Metadata.Annotations["kubeadm.alpha.kubernetes.io/cri-socket"]; s != "" {
		what += " " + s
	}
	var last v1alpha1.LastRun
	if json.Unmarshal([]byte(doc.Metadata.Annotations[v1alpha1.LastRunAnnotation]), &last) == nil {
		what += fmt.Sprintf(" %s %s", last.Run, last.Phase)
	}
	if uid := doc.Preconditions["uid"]; uid != "" {
		what += " uid=" + uid
	}
	a.log = append(a.log, what)
	if method == http.MethodDelete && strings.HasSuffix(path, "/canary") {
		return http.StatusConflict, []byte("another uid")
	}
	return http.StatusOK, []byte("{}")
}

// TestFinishesAlone: a node that nobody watches gives back what the run has taken, also when the API server is away for a
// while, and one that is watched leaves that to the plugin.
func TestFinishesAlone(t *testing.T) {
	alone := []string{
		"PATCH /api/v1/nodes/node-1 application/merge-patch+json uncordon unix:///old.sock " + runID + " rolledBack",
		"DELETE /api/v1/namespaces/kube-system/pods/host application/json uid=1",
		"DELETE /api/v1/namespaces/kube-system/pods/canary application/json uid=2",
	}
	cases := map[string]struct {
		away    time.Duration
		reboot  bool
		watched bool
		want    []string
	}{
		"nobody watches":                   {want: alone},
		"the API server is away":           {away: 6 * time.Minute, want: alone},
		"it is rebooted meanwhile":         {away: 6 * time.Minute, reboot: true, want: alone},
		"the API server is away for hours": {away: 5 * time.Hour, reboot: true, want: alone},
		"the plugin is there all along":    {watched: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
				server := &api{away: c.away > 0}
				n.API = server.serve
				n.Boot()
				defer func() { n.PowerOff(nil) }()
				plan := newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: plan})
				until(t, n, runID, v1alpha1.PhaseStaged)
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: 3 * time.Minute, Restore: v1alpha1.APIRestore{
					Uncordon: true, KubeadmSocket: "unix:///old.sock",
					Pods: []v1alpha1.PodRef{{Namespace: "kube-system", Name: "host", UID: "1"}, {Namespace: "kube-system", Name: "canary", UID: "2"}},
				}})
				if c.watched {
					until(t, n, runID, v1alpha1.PhaseRolledBack)
					time.Sleep(20 * time.Second)
					must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish, Run: runID})
				}
				time.Sleep(4*time.Minute + c.away)
				if c.reboot {
					n.PowerOff(nil)
					n.Boot()
				}
				server.away = false
				time.Sleep(11 * time.Minute) // the longest pause between two tries
				if diff := cmp.Diff(c.want, server.log); diff != "" {
					t.Errorf("what the API server was asked (-want +got):\n%s", diff)
				}
				clean(t, n)
			})
		})
	}
}

// TestPart: a plugin that is killed once it has had the node tidied up leaves no pods: the agent that has answered deletes them, and the
// plugin's own request finds them gone. What is still open keeps its pods, and asking twice asks nobody twice.
func TestPart(t *testing.T) {
	for _, c := range []struct {
		name  string
		reach v1alpha1.Phase
		want  []string
	}{
		{"a run that is kept", v1alpha1.PhaseConfirmed, []string{
			"DELETE /api/v1/namespaces/kube-system/pods/host application/json uid=1",
			"DELETE /api/v1/namespaces/kube-system/pods/canary application/json uid=2",
		}},
		{"a run that is open", v1alpha1.PhaseApplied, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
				server := &api{}
				n.API = server.serve
				n.Boot()
				defer n.PowerOff(nil)
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)})
				until(t, n, runID, v1alpha1.PhaseStaged)
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute, Restore: v1alpha1.APIRestore{
					Uncordon: true, Pods: []v1alpha1.PodRef{{Namespace: "kube-system", Name: "host", UID: "1"}, {Namespace: "kube-system", Name: "canary", UID: "2"}},
				}})
				until(t, n, runID, v1alpha1.PhaseApplied)
				if c.reach == v1alpha1.PhaseConfirmed {
					must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: runID})
				}
				for asked := range 2 {
					p := n.Process()
					a := newAgent(p.Machine())
					resp := a.Serve(p.Context(), v1alpha1.Request{APIVersion: v1alpha1.APIVersion, Node: "node-1", Verb: v1alpha1.VerbFinish, Run: runID})
					if resp.Error != "" || asked == 0 && len(server.log) > 0 {
						t.Errorf("before the answer: %q, %q", resp.Error, server.log)
					}
					a.Part(p.Context())
				}
				if diff := cmp.Diff(c.want, server.log); diff != "" {
					t.Errorf("what the API server was asked (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestConfirmLooksAgain: a runtime that has died since its proof isn't kept.
func TestConfirmLooksAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		reach(t, n, v1alpha1.PhaseApplied)
		n.Hang(refs[v1alpha1.CRIO].Endpoint, true)
		resp := ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: runID})
		if resp.Code != v1alpha1.CodePhase || !strings.Contains(resp.Error, "cri-o doesn't serve") {
			t.Errorf("a dead runtime was answered with %q (%s)", resp.Error, resp.Code)
		}
		until(t, n, runID, v1alpha1.PhaseRolledBack)
		time.Sleep(time.Minute)
		clean(t, n)
	})
}

// TestDeserted: a staged run whose plugin went away in its drain is removed soon, and the cordon with it; one whose plugin
// asks now and then stays.
func TestDeserted(t *testing.T) {
	for name, asks := range map[string]bool{"the plugin went away": false, "the plugin still drains": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
				server := &api{}
				n.API = server.serve
				n.Boot()
				defer n.PowerOff(nil)
				plan := newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)
				must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: plan, StageTimeout: time.Hour})
				until(t, n, runID, v1alpha1.PhaseStaged)
				ask := v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: runID, Restore: v1alpha1.APIRestore{
					Uncordon: true, Pods: []v1alpha1.PodRef{{Namespace: "kube-system", Name: "host", UID: "1"}},
				}}
				must(t, n, ask)
				for range 30 {
					time.Sleep(20 * time.Second)
					if asks {
						must(t, n, ask)
					}
				}
				if asks {
					must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbDiscard, Run: runID})
					must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish, Run: runID})
				}
				m := n.Machine()
				if r, err := journal.Open(m.Files, m.Clock, journal.Dir).Load(runID); err != nil || r.Phase != v1alpha1.PhaseRemoved {
					t.Errorf("the run is %s (%v), want %s", r.Phase, err, v1alpha1.PhaseRemoved)
				}
				var want []string
				if !asks {
					want = []string{
						"PATCH /api/v1/nodes/node-1 application/merge-patch+json uncordon " + runID + " removed",
						"DELETE /api/v1/namespaces/kube-system/pods/host application/json uid=1",
					}
				}
				if diff := cmp.Diff(want, server.log); diff != "" {
					t.Errorf("what the API server was asked (-want +got):\n%s", diff)
				}
				clean(t, n)
			})
		})
	}
}

// TestDesertedAtOnce: a plugin that dies over the question that begins a run never asks for it.
func TestDesertedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		// The answer is not waited for.
		ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO), StageTimeout: time.Hour})
		time.Sleep(5 * time.Minute)
		m := n.Machine()
		if r, err := journal.Open(m.Files, m.Clock, journal.Dir).Load(runID); err != nil || r.Phase != v1alpha1.PhaseRemoved {
			t.Errorf("the run is %s (%v), want %s", r.Phase, err, v1alpha1.PhaseRemoved)
		}
		clean(t, n)
	})
}

// TestDiscardWaits: who gives a run up while the question that begins it is still at work, waits for that.
func TestDiscardWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		m := n.Machine()
		unlock, err := journal.Open(m.Files, m.Clock, journal.Dir).Act()
		if err != nil {
			t.Fatal(err)
		}
		begins := make(chan v1alpha1.Response)
		plan := newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)
		go func() { begins <- ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: plan}) }()
		time.Sleep(10 * time.Millisecond)
		ends := make(chan v1alpha1.Response)
		go func() { ends <- ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbDiscard, Run: runID}) }()
		time.Sleep(1025 * time.Millisecond) // between the beginning's looks at the lock and the end's
		unlock()
		if resp := <-begins; resp.Error != "" {
			t.Errorf("to the beginning: %s", resp.Error)
		}
		if resp := <-ends; resp.Error != "" || resp.Run == nil || resp.Run.Phase != v1alpha1.PhaseRemoved {
			t.Errorf("to the end: %q, %+v", resp.Error, resp.Run)
		}
	})
}

// TestWaitingUnitStops: who holds the lock may stop the units that wait for it.
func TestWaitingUnitStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)})
		until(t, n, runID, v1alpha1.PhaseStaged)
		m := n.Machine()
		unlock, err := journal.Open(m.Files, m.Clock, journal.Dir).Act()
		if err != nil {
			t.Fatal(err)
		}
		defer unlock()
		for what, run := range map[string]func(ctx context.Context, a *agent.Agent) error{
			"stage":    func(ctx context.Context, a *agent.Agent) error { return a.RunStage(ctx, runID, strings.NewReader("")) },
			"apply":    func(ctx context.Context, a *agent.Agent) error { return a.RunApply(ctx, runID) },
			"rollback": func(ctx context.Context, a *agent.Agent) error { return a.RunRollback(ctx, runID) },
		} {
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			if err := run(ctx, newAgent(n.Machine())); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s ended with %v", what, err)
			}
			stop()
		}
	})
}

// TestPartsOfAgents: what an upload has left that the power or the end of its pod cut off goes with the next plugin that finishes, however
// young it is; one that is under way is let be.
func TestPartsOfAgents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		part := func(writer string) string {
			return path.Join(journal.Dir, "agents", strings.Repeat("a", 64)+".tmp."+writer)
		}
		n.Boot()
		defer n.PowerOff(nil)
		now := n.Machine().Clock
		n.Lay(hosttest.File{Path: part("4711"), Content: "of before the boot", Modified: now.Now().Add(-now.SinceBoot() - time.Second)})
		n.Write("/proc/4711/stat", "another's by now")
		for _, writer := range []string{"31", "4712", "x"} {
			n.Write(part(writer), "cut off")
		}
		n.Write("/proc/4712/stat", "a shell that writes")
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish})
		for writer, want := range map[string]bool{"4711": false, "31": false, "x": false, "4712": true} {
			if _, ok := n.Content(part(writer)); ok != want {
				t.Errorf("the part that %s writes stands: %v", writer, ok)
			}
		}
		time.Sleep(10 * time.Minute)
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish})
		if _, ok := n.Content(part("4712")); ok {
			t.Error("a part that nobody can still be writing stays")
		}
	})
}

// TestFinish: what nothing needs goes, what an open or kept run needs stays.
func TestFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		from, to := v1alpha1.Containerd, v1alpha1.CRIO
		var last string
		for i := range 7 {
			last = fmt.Sprintf("r-0000000%d", i)
			n.Install(agentProgram())
			must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, last, from, to)})
			until(t, n, last, v1alpha1.PhaseStaged)
			must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: last, ConfirmTimeout: time.Minute})
			until(t, n, last, v1alpha1.PhaseApplied)
			must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish, Run: last})
			if _, ok := n.Content(binary); !ok {
				t.Fatal("the agent of an open run was removed")
			}
			must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbRollback, Run: last})
			until(t, n, last, v1alpha1.PhaseRolledBack)
			time.Sleep(3 * time.Second)
		}
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish, Run: last})
		if _, ok := n.Content(binary); ok {
			t.Error("an agent that nothing needs stays")
		}
		m := n.Machine()
		runs, err := journal.Open(m.Files, m.Clock, journal.Dir).Runs()
		if err != nil || len(runs) != 5 || runs[0].ID != last {
			t.Errorf("kept runs: %v, %v", runs, err)
		}
		view := must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbShow, Run: last}).View
		for _, s := range []v1alpha1.State{view.Plan.Before, view.Plan.After} {
			for _, f := range s.Files {
				if _, ok := view.Contents[f.SHA256]; f.Type == v1alpha1.Regular && !ok {
					t.Errorf("the content of %s is gone", f.Path)
				}
			}
		}
	})
}
