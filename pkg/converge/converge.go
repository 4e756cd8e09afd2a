// Package converge is the one actor: it takes a machine to one of a plan's two photographs. Applying, rolling back and
// recovering are the same act with another photograph. It reaches the machine through host only.
package converge

import (
	"context"
	"errors"
	"fmt"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// NeitherError says that a path is neither as before nor as after: somebody else wrote it since the plan was made.
type NeitherError struct {
	Path string
	// Now says what stands there.
	Now string
}

func (e *NeitherError) Error() string {
	return fmt.Sprintf("%s is neither what it was before the switch nor what the switch makes it (%s)", e.Path, e.Now)
}

// To takes the machine to want, which is p.Before or p.After: it stops the kubelet, evacuates the pods, stops the
// runtimes, writes the files that differ, starts what want names, and waits until the kubelet is healthy. It may be
// called in any state that an earlier call left. A *NeitherError means that nothing was written.
func To(ctx context.Context, m host.Machine, p *v1alpha1.Plan, want v1alpha1.State, blobs func(sha string) ([]byte, error),
	report func(v1alpha1.Progress)) error {
	return errors.New("not implemented")
}
