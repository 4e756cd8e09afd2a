package agent_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

// ending is how a plugin that nothing disturbs ends its run.
type ending string

const (
	confirms ending = "confirmed"
	leaves   ending = "left alone"
	takes    ending = "rolled back"
)

// script is what the plugin does. It gives up at the first failure, as one whose connection broke.
func script(t testing.TB, n *hosttest.Node, plan *v1alpha1.Plan, end ending) {
	step := func(req v1alpha1.Request, phase v1alpha1.Phase) bool {
		req.Run = plan.Run
		if resp := ask(t, n, req); resp.Error != "" {
			t.Logf("%s: %s", req.Verb, resp.Error)
			return false
		}
		for seq := 0; ; {
			resp := ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: plan.Run, Seq: seq, Wait: time.Second})
			if resp.Error != "" || resp.Run == nil {
				return false
			}
			for _, l := range resp.Progress {
				seq = l.Seq
			}
			if resp.Run.Phase == phase || !resp.Run.Phase.Open() {
				return resp.Run.Phase == phase
			}
			if resp.Run.Phase == v1alpha1.PhaseStuck || resp.Run.Phase == v1alpha1.PhaseRollingBack && phase == v1alpha1.PhaseApplied {
				return false
			}
		}
	}
	if !step(v1alpha1.Request{Verb: v1alpha1.VerbStage, Plan: plan, StageTimeout: 2 * time.Minute}, v1alpha1.PhaseStaged) {
		return
	}
	if !step(v1alpha1.Request{Verb: v1alpha1.VerbApply, ConfirmTimeout: time.Minute}, v1alpha1.PhaseApplied) {
		return
	}
	var ended bool
	switch end {
	case confirms:
		ended = step(v1alpha1.Request{Verb: v1alpha1.VerbConfirm}, v1alpha1.PhaseConfirmed)
	case takes:
		ended = step(v1alpha1.Request{Verb: v1alpha1.VerbRollback}, v1alpha1.PhaseRolledBack)
	}
	if ended {
		ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish, Run: plan.Run})
	}
}

// rest waits until the node has finished alone, and returns the run as the journal has it; nil: it never had it.
func rest(t testing.TB, n *hosttest.Node) *v1alpha1.Run {
	t.Helper()
	for range 200 {
		m := n.Machine()
		runs, err := journal.Open(m.Files, m.Clock, journal.Dir).Runs()
		if err != nil {
			t.Fatal(err)
		}
		if len(runs) == 0 || !runs[0].Phase.Open() {
			time.Sleep(6 * time.Second)
			if len(runs) == 0 {
				return nil
			}
			return &runs[0]
		}
		time.Sleep(5 * time.Second)
	}
	t.Errorf("the run is still open")
	return nil
}

// trial is one run that crashes at one place.
type trial struct {
	from, to v1alpha1.RuntimeName
	end      ending
	at       int
	before   bool
	kind     hosttest.CrashKind
	keep     func() bool
	// again crashes the recovery as well.
	again int
}

// do runs the trial and returns how many acts there were and what crashed.
func (x trial) do(t *testing.T, after photo) (acts int, crashed string) {
	n := newNode(t, x.from, hosttest.RealTime())
	n.Boot()
	defer func() { n.PowerOff(nil) }()
	before := photograph(n)
	plan := newPlan(t, n, runID, x.from, x.to)
	n.CrashAt(x.at, x.before, x.kind)
	script(t, n, plan, x.end)
	if x.end == leaves || x.again > 0 {
		time.Sleep(3 * time.Minute)
	}
	time.Sleep(20 * time.Second) // what the agent does after the plugin has seen the end
	acts, crashed = n.Acts()
	if x.again > 0 {
		n.CrashAt(x.again, x.before, x.kind)
	}
	x.reboot(t, n, before, after)
	if x.again > 0 {
		time.Sleep(time.Minute)
		x.reboot(t, n, before, after)
	}
	n.CrashAt(0, false, x.kind)
	run := rest(t, n)
	if resp := ask(t, n, v1alpha1.Request{Verb: v1alpha1.VerbFinish}); resp.Error != "" {
		t.Errorf("finish: %s", resp.Error)
	}
	want := before
	if run != nil && run.Phase == v1alpha1.PhaseConfirmed {
		want = after
	}
	if diff := cmp.Diff(want, photograph(n)); diff != "" {
		t.Errorf("%+v: the node isn't as it should be (-want +got):\n%s", run, diff)
	}
	clean(t, n)
	return acts, crashed
}

// reboot switches the machine on again if the crash has switched it off. The kubelet and the runtimes that the boot starts
// must find files that belong together already.
func (x trial) reboot(t *testing.T, n *hosttest.Node, before, after photo) {
	if n.On() {
		return
	}
	n.PowerOff(x.keep)
	n.Boot()
	if !n.On() {
		return // the crash that was asked for came while it booted
	}
	m := n.Machine()
	open, err := journal.Open(m.Files, m.Clock, journal.Dir).OpenRun()
	if err != nil {
		t.Fatal(err)
	}
	want := before
	if open == nil {
		if runs, _ := journal.Open(m.Files, m.Clock, journal.Dir).Runs(); len(runs) > 0 && runs[0].Phase == v1alpha1.PhaseConfirmed {
			want = after
		}
	}
	got := photograph(n)
	for p, f := range got.Files {
		if ours(p) || f.Type == v1alpha1.Directory {
			delete(got.Files, p)
		}
	}
	for u := range got.Units {
		if ours(u) {
			delete(got.Units, u)
		}
	}
	files := maps.Clone(want.Files)
	maps.DeleteFunc(files, func(_ string, f hosttest.File) bool { return f.Type == v1alpha1.Directory })
	want.Files = files
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after the boot the node isn't as it should be (-want +got):\n%s", diff)
	}
}

// afterPhoto is what a run that nothing disturbs ends in.
func afterPhoto(t *testing.T, from, to v1alpha1.RuntimeName) (p photo) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, from, hosttest.RealTime())
		n.Boot()
		defer n.PowerOff(nil)
		script(t, n, newPlan(t, n, runID, from, to), confirms)
		if run := rest(t, n); run == nil || run.Phase != v1alpha1.PhaseConfirmed {
			t.Fatalf("the run without a crash: %+v", run)
		}
		p = photograph(n)
	})
	return p
}

// kinds are the crashes. Off and on again is the same before an act as after the one before it; but who dies differs.
var kinds = []struct {
	name   string
	kind   hosttest.CrashKind
	before bool
	keep   func(at int) func() bool
}{
	{"process dies before", hosttest.ProcessDeath, true, func(int) func() bool { return nil }},
	{"process dies after", hosttest.ProcessDeath, false, func(int) func() bool { return nil }},
	{"power fails, nothing unsynced stays", hosttest.PowerLoss, false, func(int) func() bool { return func() bool { return false } }},
	{"power fails, some of it stays", hosttest.PowerLoss, false, func(at int) func() bool {
		r := rand.New(rand.NewPCG(uint64(at), 1))
		return func() bool { return r.IntN(2) == 0 }
	}},
}

var every = flag.Bool("crash.every", false, "crash at every place of every run, not of the first pair of runtimes alone")

// TestCrashAnywhere crashes before or after every act of a run, and looks whether the node comes to rest all new or all
// old.
func TestCrashAnywhere(t *testing.T) {
	for i, d := range directions {
		for _, end := range []ending{confirms, leaves, takes} {
			stride := 1
			switch {
			case *every:
			case testing.Short():
				stride = 17
			case i > 0:
				stride = 11
			case end == takes:
				stride = 3
			}
			t.Run(d.name+"/"+string(end), func(t *testing.T) {
				t.Parallel()
				after := afterPhoto(t, d.from, d.to)
				for _, k := range kinds {
					total := 0
					for at := 1; ; at += stride {
						x := trial{from: d.from, to: d.to, end: end, at: at, before: k.before, kind: k.kind, keep: k.keep(at)}
						crashed := ""
						ok := t.Run(fmt.Sprintf("%s/%d", k.name, at), func(t *testing.T) {
							synctest.Test(t, func(t *testing.T) { total, crashed = x.do(t, after) })
						})
						if !ok {
							t.Logf("crashed at %q", crashed)
						}
						if crashed == "" {
							break
						}
					}
					t.Logf("%s: %d crash points", k.name, total)
				}
			})
		}
	}
}

// TestCrashTwice crashes the recovery too.
func TestCrashTwice(t *testing.T) {
	after := afterPhoto(t, v1alpha1.Containerd, v1alpha1.CRIO)
	for i := range 60 {
		r := rand.New(rand.NewPCG(uint64(i), 2))
		k := kinds[r.IntN(len(kinds))]
		x := trial{
			from: v1alpha1.Containerd, to: v1alpha1.CRIO, end: leaves, at: 100 + r.IntN(200), kind: k.kind, before: k.before,
			keep: k.keep(i), again: 1 + r.IntN(120),
		}
		t.Run(fmt.Sprintf("%s at %d and %d", k.name, x.at, x.again), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { x.do(t, after) })
		})
	}
}
