// Package agent is what runs on the node: it answers the plugin's requests and is the units that stage, apply, roll back
// and recover. It decides by the run's phase in the journal alone, so that any process may take over from any other.
package agent

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/pullrecord"
)

// Agent is the agent on one machine.
type Agent struct {
	Machine host.Machine
	// Binary is the path of the running agent, /var/lib/kubectl-runtime/agents/<sha256>: the units start it.
	Binary string
	// Gather is facts.Gather.
	Gather func(ctx context.Context, m host.Machine, node string) (*v1alpha1.Facts, error)
	// Images is images.Stage.
	Images func(ctx context.Context, m host.Machine, p *v1alpha1.Plan, wanted []v1alpha1.WantedImage, dir string,
		report func(v1alpha1.Progress)) ([]pullrecord.Image, error)
	// Version is facts.Version: it tells the version of a binary as ReadSet.Binaries has it.
	Version func(ctx context.Context, m host.Machine, path string) (string, error)

	secrets secrets
	// parting is what is asked of the API server once the plugin has its answer, with that kubeconfig.
	parting    []request
	kubeconfig string
}

func (a *Agent) journal() *journal.Journal {
	return journal.Open(a.Machine.Files, a.Machine.Clock, journal.Dir)
}

// Serve answers one request. What takes long it leaves to a unit of the host.
func (a *Agent) Serve(ctx context.Context, req v1alpha1.Request) v1alpha1.Response {
	verbs := map[v1alpha1.Verb]func(context.Context, v1alpha1.Request, *v1alpha1.Response) error{
		v1alpha1.VerbGather:   a.gather,
		v1alpha1.VerbStage:    a.stage,
		v1alpha1.VerbWatch:    a.watch,
		v1alpha1.VerbApply:    a.apply,
		v1alpha1.VerbConfirm:  a.confirm,
		v1alpha1.VerbRollback: a.rollback,
		v1alpha1.VerbDiscard:  a.discard,
		v1alpha1.VerbShow:     a.show,
		v1alpha1.VerbFinish:   a.finish,
	}
	resp := v1alpha1.Response{APIVersion: v1alpha1.APIVersion}
	a.learn(req.Images)
	err := fmt.Errorf("unknown verb %q", req.Verb)
	switch do := verbs[req.Verb]; {
	case req.APIVersion != v1alpha1.APIVersion:
		err = fmt.Errorf("the request is of version %q, this agent speaks %q", req.APIVersion, v1alpha1.APIVersion)
	case do != nil:
		if err = a.ours(req); err == nil {
			err = do(ctx, req, &resp)
		}
	}
	if err != nil {
		resp.Error, resp.Code = err.Error(), code(err)
	}
	a.hideAnswer(req, &resp)
	a.seal(&resp)
	return resp
}

// ours refuses to act on an open run that another agent began: it may be of another version, and its units run.
func (a *Agent) ours(req v1alpha1.Request) error {
	acts := []v1alpha1.Verb{v1alpha1.VerbApply, v1alpha1.VerbConfirm, v1alpha1.VerbRollback, v1alpha1.VerbDiscard}
	if !slices.Contains(acts, req.Verb) && (req.Verb != v1alpha1.VerbWatch || none(req.Restore)) {
		return nil
	}
	r, err := a.journal().Load(req.Run)
	if errors.Is(err, journal.ErrUnknown) {
		return nil // the verb says what that means to it
	}
	if err == nil && r.Phase.Open() && r.Agent != path.Base(a.Binary) {
		return &journal.OthersError{Run: r}
	}
	return err
}

// code is the kind of a failure, for the plugin to decide by.
func code(err error) v1alpha1.ErrorCode {
	var busy *journal.BusyError
	var phase *journal.PhaseError
	var stale *StaleError
	switch {
	case errors.As(err, &busy):
		return v1alpha1.CodeBusy
	case errors.As(err, &phase):
		return v1alpha1.CodePhase
	case errors.As(err, &stale):
		return v1alpha1.CodeStale
	case errors.Is(err, journal.ErrUnknown):
		return v1alpha1.CodeUnknown
	}
	return v1alpha1.CodeInternal
}

func (a *Agent) gather(ctx context.Context, req v1alpha1.Request, resp *v1alpha1.Response) error {
	f, err := a.Gather(ctx, a.Machine, req.Node)
	resp.Facts = f
	return err
}

// The transient units of a run.
func stageUnit(run string) string    { return "kubectl-runtime-stage-" + run + ".service" }
func applyUnit(run string) string    { return "kubectl-runtime-apply-" + run + ".service" }
func rollbackUnit(run string) string { return "kubectl-runtime-rollback-" + run + ".service" }
func stagingUnit(run string) string  { return "kubectl-runtime-staging-" + run + ".service" }

// launch starts a unit of this binary. One that changes the node comes back when it is killed, and then decides by the
// phase; one that only stages has nothing to come back for.
func (a *Agent) launch(ctx context.Context, name, what, run string, stdin []byte) error {
	err := a.Machine.Units.StartTransient(ctx, host.Transient{
		Name: name, Description: "kubectl runtime: " + what + " " + run, Argv: []string{a.Binary, "run", what, run},
		RestartOnFailure: what != "stage", Stdin: stdin, Watchdog: startBeat,
	})
	if err != nil {
		return fmt.Errorf("starting the unit that is to %s: %w", what, err)
	}
	return nil
}

// startBeat is how long a unit of ours may be silent that has just been started.
const startBeat = 10 * time.Minute

// untilFree is the patience of who has nothing else to do than to wait for that lock.
const untilFree = 365 * 24 * time.Hour

// lock takes the lock of the one process that acts, and gives up after a while: who holds it may go on for ever.
func (a *Agent) lock(ctx context.Context, patience time.Duration) (func(), error) {
	end := a.Machine.Clock.SinceBoot() + patience
	for {
		unlock, err := a.journal().Act()
		if !errors.Is(err, host.ErrLocked) {
			return unlock, err
		}
		if a.Machine.Clock.SinceBoot() >= end {
			return nil, err
		}
		a.Machine.Units.Beat(idleBeat)
		if err := a.Machine.Clock.Sleep(ctx, 50*time.Millisecond); err != nil {
			return nil, err
		}
	}
}
