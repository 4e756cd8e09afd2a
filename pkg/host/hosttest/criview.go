package hosttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// cri is host.CRI for one process.
type cri struct{ p *Process }

// Hang makes an endpoint accept connections and answer nothing, or answer again.
func (n *Node) Hang(endpoint string, hangs bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hung == nil {
		n.hung = map[string]bool{}
	}
	n.hung[socketPath(endpoint)] = hangs
	n.cond.Broadcast()
}

func (c cri) Dial(ctx context.Context, endpoint, apiVersion string) (host.Runtime, error) {
	if !strings.HasPrefix(endpoint, "unix://") {
		return nil, fmt.Errorf("endpoint %q has no unix:// scheme", endpoint)
	}
	r := &remote{p: c.p, endpoint: endpoint, socket: socketPath(endpoint), version: apiVersion}
	leave, err := c.p.enter()
	if err != nil {
		return nil, err
	}
	err = c.p.n.dial(ctx, endpoint)
	leave()
	if err != nil {
		return nil, err
	}
	return r, r.call(ctx, func(*proc, *store) error { return nil })
}

// remote is a connection to a runtime.
type remote struct {
	p                *Process
	endpoint, socket string
	version          string
}

// call asks the daemon that answers now; one that hangs is waited for as long as ctx allows.
func (r *remote) call(ctx context.Context, do func(*proc, *store) error) error {
	leave, err := r.p.enter()
	if err != nil {
		return err
	}
	defer leave()
	n := r.p.n
	if err := n.wait(ctx, func() bool { return !n.hung[r.socket] || r.p.dead }); err != nil {
		return fmt.Errorf("rpc error: code = DeadlineExceeded desc = %w", err)
	}
	if r.p.dead {
		return errDead
	}
	server := n.serving(r.socket)
	if server == nil {
		return fmt.Errorf("rpc error: code = Unavailable desc = connection error: dial unix %s: connect: connection refused", r.socket)
	}
	speaks := orElse(server.program.CRI.APIVersion, "v1")
	if r.version != "" && r.version != speaks && (r.version != "v1alpha2" || !server.program.SpeaksBoth) {
		return fmt.Errorf("rpc error: code = Unimplemented desc = unknown service runtime.%s.RuntimeService", r.version)
	}
	return do(server, n.store(server.program.Runtime))
}

func (r *remote) Info(ctx context.Context) (v1alpha1.CRIInfo, error) {
	var info v1alpha1.CRIInfo
	err := r.call(ctx, func(p *proc, s *store) error {
		info = p.program.CRI
		info.Endpoint = r.endpoint
		info.APIVersion = orElse(info.APIVersion, "v1")
		info.RuntimeVersion = orElse(info.RuntimeVersion, p.program.Version)
		info.Images = slices.Clone(s.images)
		for _, b := range s.sandboxes {
			info.Sandboxes++
			info.Containers += len(b.pod.Containers)
		}
		return nil
	})
	return info, err
}

func (r *remote) Sandboxes(ctx context.Context) ([]host.Sandbox, error) {
	var out []host.Sandbox
	err := r.call(ctx, func(_ *proc, s *store) error {
		for _, b := range s.sandboxes {
			if !b.unborn {
				out = append(out, b.view())
			}
		}
		for _, p := range s.late {
			s.run(p)
		}
		s.late = nil
		return nil
	})
	return out, err
}

func (s *store) byID(id string) *sandbox {
	for _, b := range s.sandboxes {
		if b.id == id {
			return b
		}
	}
	return nil
}

// change is a call that changes the pod id, named for crash points and faults.
func (r *remote) change(ctx context.Context, what, id string, do func(*store, *sandbox)) error {
	return r.call(ctx, func(_ *proc, s *store) error {
		b := s.byID(id)
		if b == nil {
			return nil
		}
		if b.pod.Unkillable {
			return fmt.Errorf("rpc error: code = DeadlineExceeded desc = %s %s/%s: context deadline exceeded", what, b.pod.Namespace, b.pod.Name)
		}
		return r.p.n.act(r.p, fmt.Sprintf("%s %s/%s", what, b.pod.Namespace, b.pod.Name), func() error { do(s, b); return nil })
	})
}

func (r *remote) StopContainer(ctx context.Context, id string, grace time.Duration) error {
	box, name, ok := strings.Cut(id, "/")
	if !ok {
		return fmt.Errorf("rpc error: code = InvalidArgument desc = container %q", id)
	}
	stubborn := false
	err := r.call(ctx, func(_ *proc, s *store) error {
		b := s.byID(box)
		stubborn = b != nil && b.running[name] && b.pod.Stubborn
		return nil
	})
	if err != nil {
		return err
	}
	if stubborn {
		if err := (processClock{r.p}).Sleep(ctx, grace); err != nil {
			return fmt.Errorf("rpc error: code = DeadlineExceeded desc = %w", err)
		}
	}
	return r.change(ctx, "stop container "+name+" of", box, func(_ *store, b *sandbox) { b.running[name] = false })
}

func (r *remote) StopSandbox(ctx context.Context, id string) error {
	return r.change(ctx, "stop sandbox", id, func(_ *store, b *sandbox) { b.kill(); b.attached, b.stopped = false, true })
}

func (r *remote) RemoveSandbox(ctx context.Context, id string) error {
	return r.change(ctx, "remove sandbox", id, func(s *store, b *sandbox) {
		b.kill()
		s.sandboxes = slices.DeleteFunc(s.sandboxes, func(x *sandbox) bool { return x == b })
	})
}

func (r *remote) Images(ctx context.Context) ([]v1alpha1.Image, error) {
	var out []v1alpha1.Image
	err := r.call(ctx, func(_ *proc, s *store) error { out = slices.Clone(s.images); return nil })
	return out, err
}

func (r *remote) Pull(ctx context.Context, ref string, auth *v1alpha1.RegistryAuth) (string, error) {
	pull := r.p.n.Pull
	if pull == nil {
		pull = func(string, string, *v1alpha1.RegistryAuth) (v1alpha1.Image, error) {
			return v1alpha1.Image{}, errors.New("no such host")
		}
	}
	if err := r.call(ctx, func(*proc, *store) error { return nil }); err != nil {
		return "", err
	}
	img, err := pull(r.endpoint, ref, auth)
	if err != nil {
		return "", fmt.Errorf("rpc error: code = Unknown desc = failed to pull %q: %w", ref, err)
	}
	return img.ID, r.call(ctx, func(_ *proc, s *store) error {
		return r.p.n.act(r.p, "pull "+ref, func() error { s.images = append(s.images, img); return nil })
	})
}

func (r *remote) ImageFs(ctx context.Context) (host.ImageStore, error) {
	var out host.ImageStore
	err := r.call(ctx, func(p *proc, s *store) error {
		out.Path = orElse(p.program.ImageStore, "/var/lib/"+string(p.program.Runtime))
		for _, i := range s.images {
			out.Bytes += i.Bytes
		}
		return nil
	})
	return out, err
}

func (r *remote) Close() error { return nil }
