package images

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/redact"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

const (
	// startTimeout is for a daemon that looks through a large store before it answers.
	startTimeout = 2 * time.Minute
	poll         = 50 * time.Millisecond
	// maxContent is more than any configuration file.
	maxContent = 1 << 20
	logLines   = 20
)

// unitName is the transient unit of a run's staging instance.
func unitName(run string) string { return "kubectl-runtime-staging-" + run + ".service" }

// fill replaces the places that a plan leaves for what is only known on the node.
func (s *stager) fill(text string) string {
	return strings.NewReplacer("{dir}", s.dir, "{mirror}", s.mirror).Replace(text)
}

func (s *stager) fillAll(list []string) []string {
	out := make([]string, 0, len(list))
	for _, text := range list {
		out = append(out, s.fill(text))
	}
	return out
}

func (s *stager) layOut() error {
	if err := s.mkdir("."); err != nil {
		return err
	}
	for _, d := range s.plan.Staging.Dirs {
		if err := s.mkdir(d); err != nil {
			return err
		}
	}
	for _, f := range s.plan.Staging.Files {
		data, err := s.content(f)
		if err != nil {
			return fmt.Errorf("staging %s: %w", f.Path, err)
		}
		if f.Path == s.plan.Staging.EnvFile {
			if err := runtimes.ProxiesOnly(string(data)); err != nil {
				return err
			}
		}
		if err := s.write(f.Path, data); err != nil {
			return err
		}
	}
	return nil
}

// inside is the path of something in the staging directory.
func (s *stager) inside(rel string) (string, error) {
	p := path.Join(s.dir, rel)
	if p != s.dir && !strings.HasPrefix(p, s.dir+"/") {
		return "", fmt.Errorf("%q leads out of the staging directory", rel)
	}
	return p, nil
}

// mkdir makes a directory and those above it, up to the staging directory.
func (s *stager) mkdir(rel string) error {
	p, err := s.inside(rel)
	if err != nil {
		return err
	}
	if p != s.dir {
		if err := s.mkdir(path.Dir(path.Clean(rel))); err != nil {
			return err
		}
	}
	return s.m.Files.Put(p, v1alpha1.FileState{Path: p, Type: v1alpha1.Directory, Mode: 0o700}, nil)
}

func (s *stager) write(rel string, data []byte) error {
	p, err := s.inside(rel)
	if err != nil {
		return err
	}
	if err := s.mkdir(path.Dir(path.Clean(rel))); err != nil {
		return err
	}
	return s.m.Files.Put(p, v1alpha1.FileState{Path: p, Type: v1alpha1.Regular, Mode: 0o600}, data)
}

// content is the text of a staged file, or that of the After photograph which it stands for.
func (s *stager) content(f v1alpha1.StagedFile) ([]byte, error) {
	read := func(p string) ([]byte, error) { return s.m.Files.Read(p, maxContent) }
	if f.After == "" {
		return edit.Resolve(s.fillSegments(f.Content), read)
	}
	i := slices.IndexFunc(s.plan.After.Files, func(x v1alpha1.FileState) bool { return x.Path == f.After })
	if i < 0 {
		return nil, fmt.Errorf("the plan has no %s", f.After)
	}
	after := s.plan.After.Files[i]
	if after.SHA256 != "" {
		// The journal has it as it was resolved; a plan that goes back knows no other source.
		if data, err := journal.Open(s.m.Files, s.m.Clock, journal.Dir).Blob(after.SHA256); err == nil {
			return data, nil
		}
	}
	if after.Content == nil {
		return read(f.After)
	}
	return edit.Resolve(after.Content, read)
}

// fillSegments fills literal text alone: what an operator wrote is never changed.
func (s *stager) fillSegments(list []v1alpha1.Segment) []v1alpha1.Segment {
	out := slices.Clone(list)
	for i := range out {
		out[i].Text = s.fill(out[i].Text)
	}
	return out
}

func (s *stager) validate(ctx context.Context, argv []string) error {
	_, err := s.m.Commands.Output(ctx, s.fillAll(argv), s.fillAll(s.plan.Staging.Env))
	return err
}

// start starts the instance, or dials the daemon that serves already.
func (s *stager) start(ctx context.Context) error {
	if !s.plan.Staging.Needed {
		s.endpoint = s.fill(s.plan.Staging.Endpoint)
		return s.dial(ctx, "ask "+string(s.plan.To.Name))
	}
	running, err := s.holdsStore()
	if err != nil {
		return err
	}
	if running && len(s.plan.Staging.Handover) == 0 {
		s.instance, s.endpoint = false, s.plan.To.Endpoint
		return s.dial(ctx, "ask "+string(s.plan.To.Name))
	}
	s.instance, s.endpoint = true, s.fill(s.plan.Staging.Endpoint)
	unit := host.Transient{
		Name:        unitName(s.plan.Run),
		Description: fmt.Sprintf("kubectl runtime: %s takes images in", s.plan.To.Name),
		Argv:        s.fillAll(s.plan.Staging.Argv),
		Env:         s.fillAll(s.plan.Staging.Env),
		// A daemon that takes over the host's mounts here would leave them behind.
		PrivateMounts: true,
	}
	if s.plan.Staging.EnvFile != "" {
		file, err := s.inside(s.plan.Staging.EnvFile)
		if err != nil {
			return err
		}
		unit.EnvFile = file
	}
	if err := s.m.Units.StartTransient(ctx, unit); err != nil {
		return s.blame(ctx, err)
	}
	return s.dial(ctx, "start the staging instance")
}

// holdsStore reports whether containerd runs for somebody else than the kubelet, usually for Docker and without CRI. It
// locks its store: a second instance would wait for ever. Unless the plan gives the instance a store of its own, the one
// that runs takes images in, as archives.
func (s *stager) holdsStore() (bool, error) {
	if s.plan.To.Name != v1alpha1.Containerd || s.instance {
		return false, nil
	}
	list, err := s.m.Procs.Find("containerd")
	return len(list) > 0, err
}

func (s *stager) dial(ctx context.Context, step string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return s.step(step, func() error {
		for {
			r, err := s.ready(ctx)
			if err == nil {
				s.target = r
				return nil
			}
			if !s.instance || errors.Is(err, errNoCRI) || !s.alive(ctx) {
				return s.blame(ctx, err)
			}
			if errSleep := s.m.Clock.Sleep(ctx, poll); errSleep != nil {
				return s.blame(ctx, errors.Join(errSleep, err))
			}
		}
	})
}

// errNoCRI is final: containerd answers once all of its plugins are loaded, and this one is off or has failed.
var errNoCRI = errors.New("containerd serves, but no CRI")

// ready dials the endpoint. Nothing is asked of its network: the instance sees none.
func (s *stager) ready(ctx context.Context) (host.Runtime, error) {
	r, err := s.m.CRI.Dial(ctx, s.endpoint, "")
	if err != nil {
		return nil, err
	}
	info, err := r.Info(ctx)
	if err == nil && !info.RuntimeReady {
		err = fmt.Errorf("%s says that it isn't ready", s.endpoint)
	}
	if err == nil && s.instance && s.plan.To.Name == v1alpha1.Containerd && info.APIVersion == "" {
		err = fmt.Errorf("%s: %w", s.endpoint, errNoCRI)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (s *stager) alive(ctx context.Context) bool {
	u, err := s.m.Units.Show(ctx, unitName(s.plan.Run))
	return err != nil || u.ActiveState == "active" || u.ActiveState == "activating"
}

// blame adds what the daemon itself said.
func (s *stager) blame(ctx context.Context, err error) error {
	err = fmt.Errorf("the staged %s doesn't serve: %w", s.plan.To.Name, err)
	if !s.instance {
		return err
	}
	if log := s.m.Units.Log(context.WithoutCancel(ctx), unitName(s.plan.Run), logLines); log != "" {
		err = fmt.Errorf("%w; its last log lines:\n%s", err, redact.Text(log))
	}
	return err
}

// restart ends the instance and starts it anew, for configuration that it reads once.
func (s *stager) restart(ctx context.Context) error {
	if err := errors.Join(s.target.Close(), s.m.Units.Stop(ctx, unitName(s.plan.Run))); err != nil {
		return err
	}
	s.target = nil
	return s.start(ctx)
}
