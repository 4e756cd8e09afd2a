package images

import (
	"context"
	"fmt"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// handsOver reports whether the instance has a store of its own, since the target's daemon runs for somebody else and
// holds the real one: containerd, for Docker and without CRI.
func (s *stager) handsOver() bool { return s.instance && len(s.plan.Staging.Handover) > 0 }

// handOver brings an image out of the instance's store into the daemon's.
func (s *stager) handOver(ctx context.Context, i image) error {
	if !s.handsOver() {
		return nil
	}
	s.handing.Lock()
	defer s.handing.Unlock()
	for _, argv := range s.plan.Staging.Handover {
		filled := s.fillAll(argv)
		for n := range filled {
			filled[n] = strings.ReplaceAll(filled[n], "{ref}", i.name.String())
		}
		if _, err := s.m.Commands.Output(ctx, filled, nil); err != nil {
			return fmt.Errorf("handing %s over to %s: %w", i.Ref, s.plan.To.Name, err)
		}
	}
	return nil
}

// inStore lists the images that will be there after the switch.
func (s *stager) inStore(ctx context.Context) ([]v1alpha1.Image, error) {
	if !s.handsOver() {
		return s.target.Images(ctx)
	}
	daemon, err := s.m.CRI.Dial(ctx, s.plan.To.Endpoint, "")
	if err != nil {
		return nil, fmt.Errorf("asking the %s that runs for its images: %w", s.plan.To.Name, err)
	}
	defer func() { _ = daemon.Close() }()
	return daemon.Images(ctx)
}
