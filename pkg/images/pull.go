package images

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

const (
	// concurrency is what one link and one disk bear beside the pods that still run.
	concurrency = 3
	// pullTimeout is for one image through one registry. Runtimes give up earlier when nothing moves.
	pullTimeout = 20 * time.Minute
)

// pullAll pulls what isn't there yet, or is there under a tag that the source has for another image, and returns the images that no
// registry gave.
func (s *stager) pullAll(ctx context.Context, list []image, source tags) ([]image, error) {
	images, err := s.inStore(ctx)
	if err != nil {
		return nil, err
	}
	have, target := holds(images), byTag(images)
	for n := range list {
		i := &list[n]
		i.there = i.err == nil && have(*i)
		i.settled = i.there && (i.Repulled || !source.differs(target, *i))
	}
	room, err := s.measure(ctx)
	if err != nil {
		return nil, err
	}
	dead := &hosts{}
	return s.each(ctx, list, func(ctx context.Context, i image) error {
		if i.err != nil {
			return i.err
		}
		if i.settled {
			s.report(v1alpha1.Progress{Step: "pull", Detail: i.Ref + " is there already"})
			return nil
		}
		return s.timed("pull", i.Ref, func() error {
			if err := s.pull(ctx, i, room, dead); err != nil {
				return err
			}
			return s.handOver(ctx, i)
		})
	})
}

// each works through the images, a few at a time, and returns those that failed, in order. Only an end of ctx is an error.
func (s *stager) each(ctx context.Context, list []image, act func(context.Context, image) error) ([]image, error) {
	results := make([]error, len(list))
	var group errgroup.Group
	group.SetLimit(concurrency)
	for n, i := range list {
		group.Go(func() error {
			if results[n] = ctx.Err(); results[n] == nil {
				results[n] = act(ctx, i)
			}
			return nil
		})
	}
	_ = group.Wait() // results hold the errors
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var failed []image
	for n, err := range results {
		if err != nil {
			list[n].err = err
			failed = append(failed, list[n])
		}
	}
	return failed, nil
}

// timed reports one image.
func (s *stager) timed(step, ref string, act func() error) error {
	start := s.m.Clock.SinceBoot()
	s.report(v1alpha1.Progress{Step: step, Detail: ref})
	err := act()
	line := v1alpha1.Progress{Step: step, Detail: ref, Took: s.m.Clock.SinceBoot() - start}
	if err != nil {
		line.Error = err.Error()
	}
	s.report(line)
	return err
}

// pull tries the credentials in their order and none last. A registry that can't be reached isn't asked again.
func (s *stager) pull(ctx context.Context, i image, room *room, dead *hosts) error {
	release, err := room.take(i.name.String())
	if err != nil {
		return err
	}
	defer release()
	if why := dead.why(i.name.Host); why != nil {
		return fmt.Errorf("registry %s wasn't asked again: %w", i.name.Host, why)
	}
	var last error
	for _, auth := range attempts(i.Auths) {
		if last = s.pullWith(ctx, i, auth); last == nil {
			if auth == nil {
				s.note(i.name, false)
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if unreachable(last) {
			dead.add(i.name.Host, last)
			return last
		}
	}
	return last
}

func attempts(auths []v1alpha1.RegistryAuth) []*v1alpha1.RegistryAuth {
	var out []*v1alpha1.RegistryAuth
	for n := range auths {
		if (auths[n] != v1alpha1.RegistryAuth{}) {
			out = append(out, &auths[n])
		}
	}
	return append(out, nil)
}

func (s *stager) pullWith(ctx context.Context, i image, auth *v1alpha1.RegistryAuth) error {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	_, err := s.target.Pull(ctx, i.Ref, auth)
	return err
}

// unreachable reports whether an error is about the way to a registry and not about what it said. Runtimes hand such errors
// on as text.
func unreachable(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	text := err.Error()
	return slices.ContainsFunc([]string{
		"no such host", "server misbehaving", "connection refused", "no route to host", "network is unreachable", "i/o timeout",
		"TLS handshake timeout", "Client.Timeout", "temporary failure in name resolution", "context deadline exceeded",
	}, func(phrase string) bool { return strings.Contains(text, phrase) })
}

// hosts are the registries that can't be reached.
type hosts struct {
	mu   sync.Mutex
	dead map[string]error
}

func (h *hosts) add(host string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dead == nil {
		h.dead = map[string]error{}
	}
	h.dead[host] = err
}

func (h *hosts) why(host string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dead[host]
}

// carryAll brings images over from the old store: through the loopback registry where the target can be told of it, else as
// archives. It returns those that the old store couldn't give.
func (s *stager) carryAll(ctx context.Context, failed []image) ([]image, error) {
	if len(failed) == 0 {
		return nil, nil
	}
	room, err := s.measure(ctx)
	if err != nil {
		return nil, err
	}
	carry, err := s.carrier(ctx, failed)
	if err != nil {
		return nil, err
	}
	return s.each(ctx, failed, func(ctx context.Context, i image) error {
		if i.name.Path == "" {
			return i.err // not a reference at all
		}
		why := i.err
		err := s.timed("copy", i.Ref, func() error {
			release, err := room.take(i.name.String())
			if err != nil {
				return err
			}
			defer release()
			stored, err := s.m.Stores.Image(ctx, s.plan.From.Name, i.Ref, s.dir)
			if err != nil {
				return err
			}
			if err := errors.Join(carry(ctx, i, stored), stored.Close()); err != nil {
				return err
			}
			s.note(i.name, true)
			return s.handOver(ctx, i)
		})
		if err != nil && why != nil {
			return fmt.Errorf("no registry gives it (%w), nor does %s: %w", why, s.plan.From.Name, err)
		}
		return err
	})
}

// carrier chooses the way in.
func (s *stager) carrier(ctx context.Context, failed []image) (func(context.Context, image, *host.StoredImage) error, error) {
	if s.instance && s.plan.Staging.Mirror.Path != "" {
		if err := s.writeMirror(failed); err != nil {
			return nil, err
		}
		if err := s.restart(ctx); err != nil {
			return nil, err
		}
		return s.throughMirror, nil
	}
	if loader, ok := s.target.(host.Loader); ok {
		return func(ctx context.Context, i image, stored *host.StoredImage) error {
			return s.load(ctx, loader, i, stored)
		}, nil
	}
	return func(context.Context, image, *host.StoredImage) error {
		return fmt.Errorf("%s takes images from registries only", s.plan.To.Name)
	}, nil
}

func (s *stager) throughMirror(ctx context.Context, i image, stored *host.StoredImage) error {
	if _, ok := stored.Blobs[i.name.Digest]; i.name.Digest != "" && !ok {
		return errors.New("it has the image without the manifest that the digest names")
	}
	withdraw := s.registry.offer(i.name, stored)
	defer withdraw()
	return s.pullWith(ctx, i, nil)
}

// writeMirror tells the instance of the loopback registry for the hosts of the images that failed, and for them alone: the
// operator's own configuration of these hosts, which has failed, is replaced.
func (s *stager) writeMirror(failed []image) error {
	texts := map[string]string{}
	seen := map[string]bool{}
	for _, i := range failed {
		if i.name.Host == "" || seen[i.name.Host] {
			continue
		}
		seen[i.name.Host] = true
		fill := func(text string) string { return strings.ReplaceAll(s.fill(text), "{host}", i.name.Host) }
		file := fill(s.plan.Staging.Mirror.Path)
		if texts[file] == "" {
			texts[file] = s.plan.Staging.Mirror.Header
		}
		texts[file] += fill(s.plan.Staging.Mirror.Entry)
	}
	for file, text := range texts {
		if err := s.write(file, []byte(text)); err != nil {
			return err
		}
	}
	return nil
}
