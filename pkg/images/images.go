// Package images fills the target's image store while the old runtime still serves: it runs the plan's staging instance,
// lets it pull what the node's pods need, and serves from the old store what no registry gives.
package images

import (
	"context"
	"errors"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// Stage runs the staging instance of p in dir and brings the wanted images into its store. The machine
// must stand at the Before photograph. It leaves nothing but the images behind, whether it
// succeeds or fails: the instance is stopped, the loopback registry closed and dir removed. Credentials are never written down.
func Stage(ctx context.Context, m host.Machine, p *v1alpha1.Plan, wanted []v1alpha1.WantedImage, dir string,
	report func(v1alpha1.Progress)) error {
	return errors.New("not implemented")
}
