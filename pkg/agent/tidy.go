package agent

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

// keptRuns is how many closed runs stay of those that lead back to nothing: what was tried, and what was undone.
const keptRuns = 5

// handover is how long a plugin that has just asked is given to ask the next question.
const handover = 8 * time.Second

// tidyAlone tidies up at the end of a unit, unless the plugin is there to ask for that. It asks last of all, and must find
// its pod whole: where cgroups are of version 1, a systemd that reads its units anew may take the processes of a pod out
// of their cgroup, and the runtime then starts none beside them.
func (a *Agent) tidyAlone(ctx context.Context) error {
	for {
		watched, err := a.watched()
		if err != nil {
			return err
		}
		if !watched {
			return a.acting(ctx, func() error { return a.tidy(ctx) })
		}
		a.Machine.Units.Beat(idleBeat)
		if err := a.Machine.Clock.Sleep(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	}
}

// watched reports whether a plugin follows a run that is over.
func (a *Agent) watched() (bool, error) {
	runs, err := a.journal().Runs()
	return slices.ContainsFunc(runs, func(r v1alpha1.Run) bool { return !r.Phase.Open() && a.attended(r.ID, handover) }), err
}

// tidy puts away what runs that act no more have left: staging, the early unit and, when nobody needs it any longer, the
// watcher and this agent. It may be called at any time by who holds the actor's lock.
func (a *Agent) tidy(ctx context.Context) error {
	_, noted, err := a.made()
	if err != nil || !noted {
		return err
	}
	runs, err := a.journal().Runs()
	if err != nil {
		return err
	}
	open := slices.ContainsFunc(runs, func(r v1alpha1.Run) bool { return r.Phase.Open() })
	needed := open
	for i, r := range runs {
		if r.Phase.Open() {
			continue
		}
		p, err := a.journal().Plan(r.ID)
		if err != nil {
			return err
		}
		stands := p.Before
		if r.Phase == v1alpha1.PhaseConfirmed {
			stands = p.After
		}
		if err := a.clearStaging(ctx, r.ID); err != nil {
			return err
		}
		if err := a.uninstall(ctx, a.early(p), stands, earlyUnit); err != nil {
			return err
		}
		if slices.ContainsFunc(runs[:i], func(r v1alpha1.Run) bool { return r.Phase == v1alpha1.PhaseConfirmed }) {
			r.Restore.KubeadmSocket = "" // that one has set it since
		}
		// What an earlier run owes waits for the end of an open one, which may have taken it over: an uncordon would undo its drain.
		if !open && !a.restored(ctx, r, p, i == 0) {
			needed = true
		}
	}
	if !open {
		if err := a.release(); err != nil {
			return err
		}
	}
	if needed {
		return nil
	}
	// The last act: until then the watcher would finish what stays.
	pieces := a.watcher()
	slices.Reverse(pieces)
	if err := a.uninstall(ctx, pieces, v1alpha1.State{}, recoverTimer); err != nil {
		return err
	}
	if err := a.Machine.Files.Put(notePath, v1alpha1.FileState{Path: notePath, Type: v1alpha1.Absent}, nil); err != nil {
		return fmt.Errorf("removing the note of what was made: %w", err)
	}
	if err := a.sweep(); err != nil {
		return err
	}
	return a.dropAgents(ctx, nil)
}

// sweep removes what processes of ours that were killed have left half written beside the files that no plan names.
func (a *Agent) sweep() error { return a.Machine.Files.Sweep(append(Reserves(), notePath)...) }

// Finish removes what nothing needs, unasked: a host pod does that when its plugin is gone.
func (a *Agent) Finish(ctx context.Context) error {
	return a.finish(ctx, v1alpha1.Request{}, nil)
}

// finish removes what nothing needs. While a process of ours acts, that is nothing.
func (a *Agent) finish(ctx context.Context, req v1alpha1.Request, resp *v1alpha1.Response) error {
	j := a.journal()
	if req.Run != "" {
		// A plugin that finishes its run has put the API's side back itself, but for its pods, through which it asks. A run that never
		// began is nobody's.
		err := a.part(req.Run)
		if err == nil {
			err = a.acknowledge(req.Run)
		}
		if err == nil {
			err = a.tell(req.Run, resp)
		}
		if err != nil && !errors.Is(err, journal.ErrUnknown) {
			return err
		}
	}
	unlock, err := a.lock(ctx, patience/3)
	if err != nil {
		return nil //nolint:nilerr // an open run needs everything that there is
	}
	defer unlock()
	// First of all, as an agent that somebody runs isn't removed: the unit of the run stays until its plugin has asked for this.
	if err := a.endUnits(ctx); err != nil {
		return err
	}
	if err := a.tidy(ctx); err != nil {
		return err
	}
	open, err := j.OpenRun()
	if err != nil {
		return err
	}
	if err := errors.Join(j.Collect(keptRuns), a.sweep()); err != nil {
		return err
	}
	if _, noted, err := a.made(); err != nil || noted {
		return err // the units that still stand need their agent
	}
	return a.dropAgents(ctx, open)
}

// part remembers the pods of a run that is over: who takes over the rest takes over them, too.
func (a *Agent) part(run string) error {
	r, err := a.journal().Load(run)
	if err != nil || r.Phase.Open() || len(r.Restore.Pods) == 0 {
		return err
	}
	p, err := a.journal().Plan(run)
	if err != nil {
		return err
	}
	a.kubeconfig = credential(p)
	for _, pod := range r.Restore.Pods {
		a.parting = append(a.parting, deletion(pod, partingGrace))
	}
	return nil
}

const (
	// partingGrace leaves the end of a pod to its kubelet, in seconds.
	partingGrace = 1
	// partingLimit is what an answer that is already given may be followed by.
	partingLimit = 5 * time.Second
)

// Part deletes the pods of a plugin that has its last answer. It deletes them itself, too, unless something ends it right then: nobody would
// be left to do it. The pod through which this was asked is among them, and with it this process ends.
func (a *Agent) Part(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, partingLimit)
	defer cancel()
	for _, q := range a.parting {
		_ = a.send(ctx, a.kubeconfig, q) // the plugin's own request is the other try
	}
}

// endUnits stops the units of runs that are over: one that was killed at its very end would be started again for ever once
// its agent is gone.
func (a *Agent) endUnits(ctx context.Context) error {
	runs, err := a.journal().Runs()
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.Phase.Open() {
			continue
		}
		for _, name := range []string{stageUnit(r.ID), applyUnit(r.ID), rollbackUnit(r.ID)} {
			u, err := a.Machine.Units.Show(ctx, name)
			if err != nil {
				return fmt.Errorf("asking for %s: %w", name, err)
			}
			if u.ActiveState == "inactive" || u.ActiveState == "failed" {
				continue
			}
			if err := a.Machine.Units.Stop(ctx, name); err != nil {
				return fmt.Errorf("stopping %s: %w", name, err)
			}
		}
	}
	return nil
}

// acknowledge notes that the plugin has given back itself what the node would have given back alone.
func (a *Agent) acknowledge(run string) error {
	r, err := a.journal().Load(run)
	if err != nil || r.Phase.Open() || none(r.Restore) {
		return err
	}
	_, err = a.journal().Advance(run, []v1alpha1.Phase{r.Phase}, r.Phase, func(r *v1alpha1.Run) {
		r.Restore, r.Retry = v1alpha1.APIRestore{}, v1alpha1.Retry{}
	})
	return ignorePhase(err)
}

// dropAgents removes the agents that no open run needs and nobody runs or has just brought. Which one a run needs whose record
// can't be read isn't known.
func (a *Agent) dropAgents(ctx context.Context, open *v1alpha1.Run) error {
	if open != nil && open.Agent == "" {
		return nil
	}
	dir := path.Join(journal.Dir, "agents")
	names, err := a.Machine.Files.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("looking for agents: %w", err)
	}
	for _, name := range names {
		file, mine := path.Join(dir, name), path.Join(dir, name) == a.Binary
		f, err := a.Machine.Files.Lstat(file)
		if err != nil {
			return fmt.Errorf("looking at %s: %w", file, err)
		}
		others, err := a.others(ctx, name, mine)
		if err != nil {
			return err
		}
		wanted, err := a.wanted(name, a.Machine.Clock.Now().Sub(f.Modified))
		if err != nil {
			return err
		}
		if open != nil && open.Agent == name || others > 0 || wanted && !mine {
			continue
		}
		if err := a.Machine.Files.RemoveAll(file); err != nil {
			return fmt.Errorf("removing an agent: %w", err)
		}
	}
	return nil
}

// wanted reports whether somebody is about to run an agent of that age, or still brings it. A part of one is of use while the shell lives
// that writes it, whose number ends the part's name: the power, or the end of its pod, may have cut an upload off.
func (a *Agent) wanted(name string, age time.Duration) (bool, error) {
	if _, writer, part := strings.Cut(name, ".tmp."); part {
		pid, err := strconv.Atoi(writer)
		if err != nil || age > a.Machine.Clock.SinceBoot() {
			return false, nil //nolint:nilerr // no upload of ours is called so
		}
		shell, err := a.Machine.Files.Lstat(fmt.Sprintf("/proc/%d", pid))
		if err != nil {
			return false, fmt.Errorf("looking whether %s is still written: %w", name, err)
		}
		if shell.Type == v1alpha1.Absent {
			return false, nil
		}
	}
	return age < 10*time.Minute, nil
}

// others counts the processes of an agent beside this one. A call that was cut off, and a unit whose run has just ended,
// need a moment to go.
func (a *Agent) others(ctx context.Context, name string, mine bool) (int, error) {
	for end := a.Machine.Clock.SinceBoot() + 3*time.Second; ; {
		running, err := a.Machine.Procs.Find(name)
		if err != nil {
			return 0, fmt.Errorf("looking for running agents: %w", err)
		}
		n := len(running)
		if mine {
			n-- // this process
		}
		if n <= 0 || a.Machine.Clock.SinceBoot() >= end {
			return n, nil
		}
		if err := a.Machine.Clock.Sleep(ctx, 50*time.Millisecond); err != nil {
			return n, err
		}
	}
}

// none reports whether there is nothing to give back.
func none(r v1alpha1.APIRestore) bool {
	return !r.Uncordon && len(r.Pods) == 0 && r.KubeadmSocket == ""
}
