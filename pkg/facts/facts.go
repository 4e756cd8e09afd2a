// Package facts gathers what the agent sees on a node. It looks through host only and asks the pure packages kubelet and
// runtimes what to look at next; it decides nothing.
package facts

import (
	"context"
	"errors"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// Gather looks at the machine, changes nothing, and returns Facts whose secrets are masked. What can't be looked at is
// a line of Facts.Problems; an error means that there is nothing to report at all.
func Gather(ctx context.Context, m host.Machine, node string) (*v1alpha1.Facts, error) {
	return nil, errors.New("not implemented")
}
