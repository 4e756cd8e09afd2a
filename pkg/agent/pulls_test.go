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
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/pullrecord"
)

// pulls are the kubelet's records of a node, by their base names.
func pulls(n *hosttest.Node) map[string]string {
	out := map[string]string{}
	for p, f := range n.Snapshot(pullrecord.Dir()) {
		if f.Type == v1alpha1.Regular {
			out[strings.TrimPrefix(p, pullrecord.Dir()+"/")] = f.Content
		}
	}
	return out
}

// named are records by the names that the kubelet gives their files.
func named(ids ...string) map[string]string {
	out := map[string]string{}
	for _, id := range ids {
		out["pulled/"+path.Base(pullrecord.PathOf(id))] = record(id)
	}
	return out
}

// served takes a run so far that the target serves.
func served(t *testing.T, n *hosttest.Node) {
	t.Helper()
	must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO), By: "ana@laptop"})
	until(t, n, runID, v1alpha1.PhaseStaged)
	if diff := cmp.Diff(named(privateBefore), pulls(n)); diff != "" {
		t.Errorf("staging has changed the records of a kubelet that runs (-before +now):\n%s", diff)
	}
	must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
	until(t, n, runID, v1alpha1.PhaseApplied)
}

// TestPullRecords: a private image is private under the target too, and after a rollback again, whatever the target's kubelet has done
// to the records meanwhile.
func TestPullRecords(t *testing.T) {
	before, after := pullrecord.PathOf(privateBefore), pullrecord.PathOf(privateAfter)
	learned := strings.Replace(record(privateBefore), `"h"`, `"h2"`, 1)
	for _, c := range []struct {
		name  string
		under func(n *hosttest.Node) // what the kubelet does under the target
		want  map[string]string
	}{
		{"nothing", func(*hosttest.Node) {}, named(privateBefore)},
		{"it frees disk space", func(n *hosttest.Node) { n.Remove(before) }, named(privateBefore)},
		{"it adds credentials", func(n *hosttest.Node) { n.Write(after, "more") }, named(privateBefore)},
		{"it adds credentials to an image of the same ID", func(n *hosttest.Node) { n.Write(before, learned) }, map[string]string{"pulled/" + path.Base(before): learned}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
				n.Boot()
				defer n.PowerOff(nil)
				served(t, n)
				if diff := cmp.Diff(named(privateBefore, privateAfter), pulls(n)); diff != "" {
					t.Errorf("records under the target (-want +got):\n%s", diff)
				}
				if f := n.Snapshot(after)[after]; f.Mode != 0o600 || f.UID != 0 || f.GID != 0 {
					t.Errorf("mode %04o, owner %d:%d", f.Mode, f.UID, f.GID)
				}
				c.under(n)
				until(t, n, runID, v1alpha1.PhaseRolledBack)
				if diff := cmp.Diff(c.want, pulls(n)); diff != "" {
					t.Errorf("records after the rollback (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestPullRecordsTooLong: a record that is longer than any keeps no node from its switch; lost, it comes back as one that lets nobody
// in unverified, as it was before.
func TestPullRecordsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		long, text := pullrecord.PathOf("sha256:long"), strings.Repeat(" ", 1<<20+1)
		n.Write(long, text)
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO), By: "ana@laptop"})
		until(t, n, runID, v1alpha1.PhaseStaged)
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
		until(t, n, runID, v1alpha1.PhaseApplied)
		if got, _ := n.Content(long); got != text {
			t.Errorf("it has %d bytes under the target", len(got))
		}
		n.Remove(long)
		until(t, n, runID, v1alpha1.PhaseRolledBack)
		if got, ok := n.Content(long); !ok || got != "" {
			t.Errorf("it is there %t, with %d bytes", ok, len(got))
		}
	})
}

// TestPullRecordsBoot: the kubelet that a boot starts finds the records of an unconfirmed run put back, before any of ours acts.
func TestPullRecordsBoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		served(t, n)
		n.Remove(pullrecord.PathOf(privateBefore))
		n.PowerOff(nil)
		n.Boot()
		if diff := cmp.Diff(named(privateBefore), pulls(n)); diff != "" {
			t.Errorf("records after the boot (-want +got):\n%s", diff)
		}
		if r := rest(t, n); r == nil || r.Phase != v1alpha1.PhaseRolledBack {
			t.Errorf("the run is %+v", r)
		}
	})
}

// TestPullRecordsBackLater: an image that the first target has lost, and with it its record, is private when the node is switched back to the
// runtime that has it still.
func TestPullRecordsBackLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		script(t, n, newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO), confirms)
		n.Remove(pullrecord.PathOf(privateBefore))
		n.Remove(pullrecord.PathOf(privateAfter))
		defer func(images []pullrecord.Image) { stagedImages = images }(stagedImages)
		stagedImages = []pullrecord.Image{{ID: privateBefore}}
		view := must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbShow, Run: runID}).View
		back, err := plan.Inverse(*view, gathered(t, n), "r-0000000b")
		if err != nil {
			t.Fatal(err)
		}
		n.Install(agentProgram()) // the first run took its own away
		script(t, n, back, confirms)
		if diff := cmp.Diff(named(privateBefore), pulls(n)); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
	})
}

// TestPullRecordsUnwritable: a switch that can't keep images private doesn't happen; a rollback that can't says so.
func TestPullRecordsUnwritable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		n.Immutable(pullrecord.PathOf(privateAfter))
		n.Immutable(path.Dir(pullrecord.PathOf(privateAfter)))
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO), By: "ana@laptop"})
		until(t, n, runID, v1alpha1.PhaseStaged)
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
		if r := until(t, n, runID, v1alpha1.PhaseRolledBack); !strings.Contains(r.Reason, "recording who may use an image") {
			t.Errorf("reason %q", r.Reason)
		}
	})
}

// TestPullRecordsDamaged: what is kept of the records can't be read. That keeps a switch from beginning, and no node from going back.
func TestPullRecordsDamaged(t *testing.T) {
	const kept = "/var/lib/kubectl-runtime/runs/" + runID + "/pulls.json"
	t.Run("when the node is to change", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
			n.Boot()
			defer n.PowerOff(nil)
			must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO), By: "ana@laptop"})
			until(t, n, runID, v1alpha1.PhaseStaged)
			n.Write(kept, "{")
			must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
			if r := until(t, n, runID, v1alpha1.PhaseRolledBack); !strings.Contains(r.Reason, "pulls.json") {
				t.Errorf("reason %q", r.Reason)
			}
		})
	})
	t.Run("when it goes back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
			n.Boot()
			defer n.PowerOff(nil)
			served(t, n)
			n.Write(kept, "{")
			until(t, n, runID, v1alpha1.PhaseRolledBack)
			if told := n.Snapshot(path.Dir(kept))[path.Dir(kept)+"/progress.jsonl"].Content; !strings.Contains(told, "pull records could be restored") {
				t.Errorf("nothing is said of the records:\n%s", told)
			}
		})
	})
}

// TestPullRecordsNone: nothing is kept where the kubelet has no records.
func TestPullRecordsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Remove(pullrecord.Dir())
		n.Boot()
		defer n.PowerOff(nil)
		script(t, n, newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO), confirms)
		for p := range n.Snapshot("/var/lib") {
			if path.Base(p) == "pulls.json" || strings.HasPrefix(p, pullrecord.Dir()) {
				t.Errorf("%s was made", p)
			}
		}
	})
}
