package agent_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
)

// event is what may happen to a run.
type event string

const (
	killed   event = "agent killed"
	stopped  event = "its unit gone"
	boot     event = "boot"
	gone     event = "plugin gone, deadline"
	confirm  event = "confirm"
	rollback event = "rollback asked"
)

// outcome is what becomes of it: the phase in which the run ends when nobody asks any more, and the answer to what was
// asked.
type outcome struct {
	end  v1alpha1.Phase
	code v1alpha1.ErrorCode
}

// The table of design.md §4: each phase is on the disk before what it names, and this is what each event does to it.
var phaseTable = []struct {
	phase  v1alpha1.Phase
	events map[event]outcome
}{
	{v1alpha1.PhaseStaging, map[event]outcome{
		killed:   {end: v1alpha1.PhaseRemoved},
		stopped:  {end: v1alpha1.PhaseRemoved},
		boot:     {end: v1alpha1.PhaseRemoved},
		confirm:  {end: v1alpha1.PhaseRemoved, code: v1alpha1.CodePhase},
		rollback: {end: v1alpha1.PhaseRemoved},
	}},
	{v1alpha1.PhaseStaged, map[event]outcome{
		killed:   {end: v1alpha1.PhaseRemoved},
		stopped:  {end: v1alpha1.PhaseRemoved},
		boot:     {end: v1alpha1.PhaseRemoved},
		gone:     {end: v1alpha1.PhaseRemoved},
		confirm:  {end: v1alpha1.PhaseRemoved, code: v1alpha1.CodePhase},
		rollback: {end: v1alpha1.PhaseRemoved},
	}},
	{v1alpha1.PhaseApplying, map[event]outcome{
		killed:   {end: v1alpha1.PhaseRolledBack},
		stopped:  {end: v1alpha1.PhaseRolledBack},
		boot:     {end: v1alpha1.PhaseRolledBack},
		gone:     {end: v1alpha1.PhaseRolledBack},
		confirm:  {end: v1alpha1.PhaseRolledBack, code: v1alpha1.CodePhase},
		rollback: {end: v1alpha1.PhaseRolledBack},
	}},
	{v1alpha1.PhaseApplied, map[event]outcome{
		killed:   {end: v1alpha1.PhaseRolledBack}, // at the deadline
		stopped:  {end: v1alpha1.PhaseRolledBack},
		boot:     {end: v1alpha1.PhaseRolledBack},
		gone:     {end: v1alpha1.PhaseRolledBack},
		confirm:  {end: v1alpha1.PhaseConfirmed},
		rollback: {end: v1alpha1.PhaseRolledBack},
	}},
	{v1alpha1.PhaseConfirmed, map[event]outcome{
		killed:   {end: v1alpha1.PhaseConfirmed},
		stopped:  {end: v1alpha1.PhaseConfirmed},
		boot:     {end: v1alpha1.PhaseConfirmed},
		gone:     {end: v1alpha1.PhaseConfirmed},
		confirm:  {end: v1alpha1.PhaseConfirmed},
		rollback: {end: v1alpha1.PhaseConfirmed, code: v1alpha1.CodePhase}, // a new run does that
	}},
	{v1alpha1.PhaseRollingBack, map[event]outcome{
		killed:   {end: v1alpha1.PhaseRolledBack},
		stopped:  {end: v1alpha1.PhaseRolledBack},
		boot:     {end: v1alpha1.PhaseRolledBack},
		gone:     {end: v1alpha1.PhaseRolledBack},
		confirm:  {end: v1alpha1.PhaseRolledBack, code: v1alpha1.CodePhase},
		rollback: {end: v1alpha1.PhaseRolledBack},
	}},
	{v1alpha1.PhaseRolledBack, map[event]outcome{
		killed:   {end: v1alpha1.PhaseRolledBack},
		stopped:  {end: v1alpha1.PhaseRolledBack},
		boot:     {end: v1alpha1.PhaseRolledBack},
		gone:     {end: v1alpha1.PhaseRolledBack},
		confirm:  {end: v1alpha1.PhaseRolledBack, code: v1alpha1.CodePhase},
		rollback: {end: v1alpha1.PhaseRolledBack},
	}},
	{v1alpha1.PhaseStuck, map[event]outcome{
		killed:   {end: v1alpha1.PhaseStuck},
		stopped:  {end: v1alpha1.PhaseStuck},
		boot:     {end: v1alpha1.PhaseStuck},
		gone:     {end: v1alpha1.PhaseStuck},
		confirm:  {end: v1alpha1.PhaseStuck, code: v1alpha1.CodePhase},
		rollback: {end: v1alpha1.PhaseStuck, code: v1alpha1.CodePhase},
	}},
}

// reach takes a node's run to a phase and holds it there; release lets it go on.
func reach(t *testing.T, n *hosttest.Node, phase v1alpha1.Phase) (release func()) {
	release = func() {}
	plan := newPlan(t, n, runID, v1alpha1.Containerd, v1alpha1.CRIO)
	if phase == v1alpha1.PhaseStaging {
		n.Write(slow, "")
		release = func() { n.Remove(slow) }
	}
	must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: plan, StageTimeout: 2 * time.Minute})
	if phase == v1alpha1.PhaseStaging {
		time.Sleep(time.Second)
		return release
	}
	until(t, n, runID, v1alpha1.PhaseStaged)
	if phase == v1alpha1.PhaseStaged {
		return release
	}
	crio := refs[v1alpha1.CRIO].Endpoint
	if phase == v1alpha1.PhaseApplying {
		n.Hang(crio, true)
		release = func() { n.Hang(crio, false) }
	}
	must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbApply, Run: runID, ConfirmTimeout: time.Minute})
	if phase == v1alpha1.PhaseApplying {
		until(t, n, runID, v1alpha1.PhaseApplying)
		time.Sleep(time.Second)
		return release
	}
	until(t, n, runID, v1alpha1.PhaseApplied)
	switch phase {
	case v1alpha1.PhaseConfirmed:
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: runID})
	case v1alpha1.PhaseStuck:
		n.Write("/etc/crictl.yaml", "timeout: 5\n")
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbRollback, Run: runID})
		until(t, n, runID, v1alpha1.PhaseStuck)
	case v1alpha1.PhaseRollingBack, v1alpha1.PhaseRolledBack:
		if phase == v1alpha1.PhaseRollingBack {
			n.Fault(func(act string) error {
				if act == "start containerd.service" {
					return errors.New("no space left on device")
				}
				return nil
			})
			release = func() { n.Fault(nil) }
		}
		must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbRollback, Run: runID})
		until(t, n, runID, phase)
		time.Sleep(time.Second)
	}
	return release
}

func TestPhases(t *testing.T) {
	for _, row := range phaseTable {
		for e, want := range row.events {
			t.Run(string(row.phase)+"/"+string(e), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
					n.Boot()
					defer n.PowerOff(nil)
					release := reach(t, n, row.phase)
					var resp v1alpha1.Response
					switch e {
					case killed:
						for _, what := range []string{"stage", "apply", "rollback"} {
							n.Kill("kubectl-runtime-" + what + "-" + runID + ".service")
						}
					case stopped:
						n.Stop("kubectl-runtime-stage-"+runID+".service", "kubectl-runtime-apply-"+runID+".service", "kubectl-runtime-rollback-"+runID+".service")
					case boot:
						n.PowerOff(nil)
						n.Boot()
					case confirm:
						resp = ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: runID})
					case rollback:
						resp = ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbRollback, Run: runID})
					}
					if resp.Code != want.code {
						t.Errorf("the answer is %q (%s), want code %q", resp.Code, resp.Error, want.code)
					}
					time.Sleep(time.Second)
					if row.phase != v1alpha1.PhaseStaging || e != confirm {
						release()
					}
					time.Sleep(10 * time.Minute)
					r := must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: runID}).Run
					if row.phase == v1alpha1.PhaseStaging && e == confirm {
						// Nothing has happened to it: it still stages.
						must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbDiscard, Run: runID})
						r = must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: runID}).Run
					}
					if r.Phase != want.end {
						t.Errorf("the run ended as %s (%s), want %s", r.Phase, r.Reason, want.end)
					}
					must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish, Run: runID})
					if want.end == v1alpha1.PhaseStuck {
						// It serves as before, and looks for the file to be put back.
						if up := n.Active(); up["kubelet.service"] != "active" || up["containerd.service"] != "active" || up["crio.service"] == "active" {
							t.Errorf("a stuck node doesn't serve as before: %v", up)
						}
						return
					}
					clean(t, n)
				})
			})
		}
	}
}

// TestStuck: nothing is overwritten, the words say what to do, and doing it helps.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, v1alpha1.Containerd, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		before := photograph(n)
		reach(t, n, v1alpha1.PhaseStuck)
		text := "timeout: 5\n"
		if got, _ := n.Content("/etc/crictl.yaml"); got != text {
			t.Errorf("somebody else's file was overwritten: %q", got)
		}
		if got := n.Active()["kubelet.service"]; got != "active" {
			t.Errorf("the kubelet was taken down for nothing: %q", got)
		}
		resp := ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbRollback, Run: runID})
		for _, want := range []string{"/etc/crictl.yaml", "kubectl runtime rollback"} {
			if !strings.Contains(resp.Error, want) {
				t.Errorf("%q doesn't name %s", resp.Error, want)
			}
		}
		other := must(t, n, v1alpha1.Request{Verb: v1alpha1.VerbShow, Run: runID}).View.Plan
		other.Run = "r-0000000b"
		busy := ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: &other})
		if busy.Code != v1alpha1.CodeBusy {
			t.Errorf("beside a stuck run another one got %q (%s)", busy.Code, busy.Error)
		}
		n.Write("/etc/crictl.yaml", before.Files["/etc/crictl.yaml"].Content)
		until(t, n, runID, v1alpha1.PhaseRolledBack) // nobody has to ask
		time.Sleep(10 * time.Second)
		clean(t, n)
	})
}
