package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/converge"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// patience is how long a verb waits for another process of ours to finish what it does.
const patience = 30 * time.Second

// stage takes a plan in and starts the unit that prepares it.
func (a *Agent) stage(ctx context.Context, req v1alpha1.Request, resp *v1alpha1.Response) error {
	p := req.Plan
	if err := validate(p, req); err != nil {
		return err
	}
	j := a.journal()
	if err := busy(j); err != nil {
		return err
	}
	unlock, err := a.lock(ctx, patience)
	if err != nil {
		return fmt.Errorf("another process of kubectl runtime is at work on this node: %w", err)
	}
	defer unlock()
	// Once more: whoever had the lock may have begun a run, and the watcher of that run starts its agent, not this one.
	if err := busy(j); err != nil {
		return err
	}
	if err := a.fresh(ctx, p); err != nil {
		return err
	}
	run := v1alpha1.Run{
		Version: p.Version, ID: p.Run, Node: p.Node, From: p.From.Name, To: p.To.Name, FromVersion: p.From.Version, ToVersion: p.To.Version,
		Restores: p.Restores, Phase: v1alpha1.PhaseStaging, By: req.By, Boot: a.Machine.Clock.Boot(),
		StageTimeout: req.StageTimeout, Restore: req.Restore, PlanDigest: p.Digest, Agent: path.Base(a.Binary),
	}
	wanted, err := json.Marshal(req.Images)
	if err != nil {
		return err
	}
	// The watcher first: there is no moment at which nobody would take the run over.
	if err := a.armWatcher(ctx); err != nil {
		return errors.Join(err, a.tidy(ctx))
	}
	if err := j.Create(run, p); err != nil {
		return errors.Join(err, a.tidy(ctx))
	}
	a.attend(p.Run) // a plugin that doesn't live to hear of it counts as silent from here on
	if err := a.launch(ctx, stageUnit(p.Run), "stage", p.Run, wanted); err != nil {
		return errors.Join(err, a.giveUp(ctx, p.Run, err.Error()))
	}
	return a.tell(p.Run, resp)
}

// busy refuses early what Create would refuse, so that the reason isn't hidden behind another one.
func busy(j *journal.Journal) error {
	open, err := j.OpenRun()
	if open != nil {
		return &journal.BusyError{Open: *open}
	}
	return err
}

// tell puts the run's record into the answer.
func (a *Agent) tell(run string, resp *v1alpha1.Response) error {
	r, err := a.journal().Load(run)
	if err == nil {
		resp.Run = &r
	}
	return err
}

// validate refuses plans that this program could not have been meant for.
func validate(p *v1alpha1.Plan, req v1alpha1.Request) error {
	switch {
	case p == nil:
		return errors.New("there is no plan in the request")
	case p.APIVersion != v1alpha1.APIVersion || p.Kind != v1alpha1.KindPlan || p.Format != v1alpha1.Format:
		return fmt.Errorf("the plan is a %q of %q in format %d, and this agent takes format %d", p.Kind, p.APIVersion, p.Format, v1alpha1.Format)
	case req.Node != "" && p.Node != req.Node:
		return fmt.Errorf("the plan is for node %s, not for %s", p.Node, req.Node)
	case !journal.ValidID(p.Run):
		return fmt.Errorf("%q can't name a run", p.Run)
	case req.StageTimeout < 0:
		return fmt.Errorf("the staged run can't wait for %s", req.StageTimeout)
	case p.Kubelet.Unit == "" || p.Kubelet.Healthz == "":
		return errors.New("the plan doesn't say how to start the kubelet and how to ask for its health")
	case len(p.Before.Files) != len(p.After.Files) || len(p.Before.Units) != len(p.After.Units):
		return errors.New("the plan's photographs don't show the same files and units")
	}
	if err := p.CheckGrace(); err != nil {
		return err
	}
	for k, f := range p.Before.Files {
		if f.Path != p.After.Files[k].Path || !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path {
			return fmt.Errorf("the plan's photographs don't agree about the file %s", f.Path)
		}
		for _, s := range []v1alpha1.FileState{f, p.After.Files[k]} {
			if err := v1alpha1.CheckPlanned(s); err != nil {
				return fmt.Errorf("the plan would write %w, which no plan may", err)
			}
		}
		if f.Type == v1alpha1.Regular && f.SHA256 == "" {
			return fmt.Errorf("the plan doesn't say what %s was before", f.Path)
		}
	}
	for k, u := range p.Before.Units {
		if u.Name != p.After.Units[k].Name || strings.Contains(u.Name, "/") {
			return fmt.Errorf("the plan's photographs don't agree about the unit %s", u.Name)
		}
	}
	return runtimes.Vet(p)
}

// RunStage is the unit "run stage RUN". It reads the wanted images, a JSON list, from stdin.
func (a *Agent) RunStage(ctx context.Context, run string, stdin io.Reader) error {
	j := a.journal()
	unlock, err := a.lock(ctx, untilFree)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := j.Load(run)
	if err != nil || r.Phase != v1alpha1.PhaseStaging {
		return err
	}
	dir := j.StagingDir(run)
	if f, err := a.Machine.Files.Lstat(dir); err != nil || f.Type != v1alpha1.Absent {
		return errors.Join(err, a.giveUp(ctx, run, "the agent died while it was staging"))
	}
	if err := a.prepare(ctx, run, dir, stdin); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return a.giveUp(ctx, run, err.Error())
	}
	_, err = j.Advance(run, []v1alpha1.Phase{v1alpha1.PhaseStaging}, v1alpha1.PhaseStaged, func(r *v1alpha1.Run) {
		r.Boot = a.Machine.Clock.Boot()
		if r.StageTimeout > 0 {
			r.Deadline = int64(a.Machine.Clock.SinceBoot() + r.StageTimeout)
		}
	})
	return err
}

// prepare makes everything ready that the switch needs, while the old runtime serves.
func (a *Agent) prepare(ctx context.Context, run, dir string, stdin io.Reader) error {
	j := a.journal()
	var wanted []v1alpha1.WantedImage
	if err := json.NewDecoder(stdin).Decode(&wanted); err != nil {
		return errors.New("the list of images did not come in") // the decoder's words could hold a credential
	}
	a.learn(wanted)
	p, err := j.Plan(run)
	if err != nil {
		return err
	}
	if err := a.keep(p); err != nil {
		return err
	}
	if err := a.replaceable(p); err != nil {
		return err
	}
	if err := a.reserve(p); err != nil {
		return err
	}
	if err := j.Resolved(p); err != nil {
		return err
	}
	if err := a.Machine.Files.Put(dir, v1alpha1.FileState{Path: dir, Type: v1alpha1.Directory, Mode: 0o700}, nil); err != nil {
		return fmt.Errorf("making the staging directory: %w", err)
	}
	// A staging instance is misled by what stands there, too: dockerd takes anything at containerd's socket for a containerd that runs.
	converge.ClearSockets(a.Machine, p, a.report(run))
	images, err := a.Images(ctx, a.Machine, p, wanted, dir, a.heard(a.report(run)))
	if err != nil {
		return err
	}
	if err := a.noteImages(run, images); err != nil {
		return err
	}
	return a.clearStaging(ctx, run)
}

// stageBeat is how long staging may be silent: an image that comes in tells nothing meanwhile.
const stageBeat = time.Hour

// heard tells PID 1, too, that there is progress.
func (a *Agent) heard(report func(v1alpha1.Progress)) func(v1alpha1.Progress) {
	a.Machine.Units.Beat(stageBeat)
	return func(p v1alpha1.Progress) {
		a.Machine.Units.Beat(stageBeat)
		report(p)
	}
}

// keep puts the contents of both photographs into the journal and fills in their digests as the journal has them: the way back needs no
// key.
func (a *Agent) keep(p *v1alpha1.Plan) error {
	j := a.journal()
	sealer, err := j.Sealer()
	if err != nil {
		return err
	}
	for k := range p.Before.Files {
		if err := a.keepBefore(sealer, &p.Before.Files[k]); err != nil {
			return err
		}
	}
	if err := converge.Check(a.Machine, &v1alpha1.Plan{Run: p.Run, Before: p.Before}); err != nil {
		return &StaleError{Changes: []string{err.Error()}}
	}
	for k := range p.After.Files {
		f := &p.After.Files[k]
		if f.Type != v1alpha1.Regular {
			continue
		}
		if len(f.Content) == 0 && f.SHA256 != "" {
			// As before, or what a run before has kept.
			sha, err := j.Unseal(sealer, f.SHA256)
			if err == nil {
				_, err = j.Blob(sha)
			}
			if err != nil {
				return fmt.Errorf("the content that %s is to have: %w", f.Path, err)
			}
			f.SHA256 = sha
			continue
		}
		data, err := edit.Resolve(f.Content, a.source(sealer, p))
		if err != nil {
			return fmt.Errorf("composing %s: %w", f.Path, err)
		}
		sha, err := j.Put(data)
		if err != nil {
			return err
		}
		if f.SHA256 != "" && !sealer.Matches(f.SHA256, data) {
			return fmt.Errorf("the content composed for %s isn't the one that the plan names", f.Path)
		}
		f.SHA256 = sha
	}
	return nil
}

// keepBefore keeps a file that stands as the plan saw it.
func (a *Agent) keepBefore(s *journal.Sealer, f *v1alpha1.FileState) error {
	if f.Type != v1alpha1.Regular {
		return nil
	}
	switch now, err := a.Machine.Files.Lstat(f.Path); {
	case err != nil:
		return fmt.Errorf("looking at %s: %w", f.Path, err)
	case now.Type != f.Type:
		return &StaleError{Changes: []string{fmt.Sprintf("%s is %s and was %s", f.Path, now.Type, f.Type)}}
	}
	data, err := a.Machine.Files.Read(f.Path, fileLimit)
	if err != nil {
		return fmt.Errorf("reading %s: %w", f.Path, err)
	}
	if !s.Matches(f.SHA256, data) {
		return &StaleError{Changes: []string{f.Path + " has another content"}}
	}
	f.SHA256, err = a.journal().Put(data)
	return err
}

// source reads files that a new content takes spans from, and refuses those that aren't what the plan read: its offsets
// would mean something else.
func (a *Agent) source(s *journal.Sealer, p *v1alpha1.Plan) func(string) ([]byte, error) {
	want := map[string]string{}
	for _, f := range p.ReadSet.Files {
		want[f.Path] = f.SHA256
	}
	for _, f := range p.Before.Files {
		want[f.Path] = f.SHA256
	}
	return func(path string) ([]byte, error) {
		if want[path] == "" {
			return nil, fmt.Errorf("the plan takes text from %s and doesn't say what that was", path)
		}
		data, err := a.Machine.Files.Read(path, fileLimit)
		if err != nil {
			return nil, err
		}
		if !s.Matches(want[path], data) {
			return nil, &StaleError{Changes: []string{path + " has another content"}}
		}
		return data, nil
	}
}

// clearStaging ends the staging instance and removes its directory.
func (a *Agent) clearStaging(ctx context.Context, run string) error {
	if err := a.Machine.Units.Stop(ctx, stagingUnit(run)); err != nil {
		return fmt.Errorf("stopping the staging instance: %w", err)
	}
	dir := a.journal().StagingDir(run)
	f, err := a.Machine.Files.Lstat(dir)
	if err != nil || f.Type == v1alpha1.Absent {
		return err
	}
	if err := a.Machine.Files.RemoveAll(dir); err != nil && !errors.Is(err, host.ErrNotExist) {
		return fmt.Errorf("removing the staging directory: %w", err)
	}
	return nil
}

// giveUp ends a run that has changed nothing yet.
func (a *Agent) giveUp(ctx context.Context, run, reason string) error {
	if err := a.clearStaging(ctx, run); err != nil {
		return err
	}
	if err := a.release(); err != nil {
		return err
	}
	from := []v1alpha1.Phase{v1alpha1.PhaseStaging, v1alpha1.PhaseStaged}
	reason = a.hide(run, reason)
	_, err := a.journal().Advance(run, from, v1alpha1.PhaseRemoved, func(r *v1alpha1.Run) { r.Reason, r.Deadline = reason, 0 })
	return err
}
