// Package agent is what runs on the node: it answers the plugin's requests and is the units that stage, apply, roll back
// and recover. It decides by the run's phase in the journal alone, so that any process may take over from any other.
package agent

import (
	"context"
	"errors"
	"io"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
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
		report func(v1alpha1.Progress)) error
	// Version tells the version of a binary on the node, as ReadSet.Binaries has it.
	Version func(ctx context.Context, m host.Machine, path string) (string, error)
}

// Serve answers one request.
func (a *Agent) Serve(ctx context.Context, req v1alpha1.Request) v1alpha1.Response {
	return v1alpha1.Response{APIVersion: v1alpha1.APIVersion, Error: "not implemented", Code: v1alpha1.CodeInternal}
}

// RunStage is the unit "run stage RUN". It reads the wanted images, a JSON list, from stdin.
func (a *Agent) RunStage(ctx context.Context, run string, stdin io.Reader) error {
	return errors.New("not implemented")
}

// RunApply is the unit "run apply RUN": it applies, waits for the confirmation, and rolls back without one.
func (a *Agent) RunApply(ctx context.Context, run string) error {
	return errors.New("not implemented")
}

// RunRollback is the unit "run rollback RUN".
func (a *Agent) RunRollback(ctx context.Context, run string) error {
	return errors.New("not implemented")
}

// Recover is the unit "recover", started by a timer while a run is open: it does nothing while another process acts, and
// else takes the run over by its phase.
func (a *Agent) Recover(ctx context.Context) error {
	return errors.New("not implemented")
}

// Early is the unit "early", ordered before kubelet and runtimes at boot: it puts the files of an unconfirmed run back and
// starts nothing.
func (a *Agent) Early(ctx context.Context) error {
	return errors.New("not implemented")
}
