// Package images fills the target's image store while the old runtime still serves: it runs the plan's staging instance,
// lets it pull what the node's pods need, and gives it from the old store what no registry does, or has another image for by now.
package images

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/imageref"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/pullrecord"
)

// cleanTimeout bounds what is taken back after a failure or an interruption.
const cleanTimeout = 2 * time.Minute

// Stage runs the staging instance of p in dir and brings the wanted images into its store. The machine
// must stand at the Before photograph. It leaves nothing but the images behind, whether it
// succeeds or fails: the instance is stopped, the loopback registry closed and dir removed. Credentials are never written down. It returns
// what the target's store has in the end.
func Stage(ctx context.Context, m host.Machine, p *v1alpha1.Plan, wanted []v1alpha1.WantedImage, dir string,
	report func(v1alpha1.Progress),
) (have []pullrecord.Image, err error) {
	if err := Unstage(ctx, m, p.Run, dir); err != nil {
		return nil, fmt.Errorf("removing an earlier staging: %w", err)
	}
	var mu sync.Mutex // images come in several at a time
	r := newRegistry()
	s := &stager{m: m, plan: p, dir: dir, registry: r, report: func(p v1alpha1.Progress) {
		mu.Lock()
		defer mu.Unlock()
		p.Detail, p.Error = r.hide(p.Detail), r.hide(p.Error)
		report(p)
	}}
	defer func() { err = r.hideError(err) }()
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
		defer cancel()
		err = errors.Join(err, s.close(clean))
	}()
	if have, err = s.stage(ctx, wanted); err != nil {
		return nil, err
	}
	return have, nil
}

// stage is Stage without what comes before and after it.
func (s *stager) stage(ctx context.Context, wanted []v1alpha1.WantedImage) ([]pullrecord.Image, error) {
	if err := s.listen(); err != nil {
		return nil, err
	}
	if err := s.step("lay out the staging directory", func() error { return s.layOut() }); err != nil {
		return nil, err
	}
	for _, argv := range s.plan.Staging.Validate {
		if err := s.step("validate the configuration", func() error { return s.validate(ctx, argv) }); err != nil {
			return nil, err
		}
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	list := merge(wanted, s.plan.Staging.Pinned)
	source := s.sourceTags(ctx)
	failed, err := s.pullAll(ctx, list, source)
	if err != nil {
		return nil, err
	}
	moved, err := s.moved(ctx, list, failed, source)
	if err != nil {
		return nil, err
	}
	if failed, err = s.carryAll(ctx, slices.Concat(failed, moved)); err != nil {
		return nil, err
	}
	if failed, err = s.settle(ctx, moved, failed, source); err != nil {
		return nil, err
	}
	if err := s.verdict(failed); err != nil {
		return nil, err
	}
	if err := s.verify(ctx, list, failed); err != nil {
		return nil, err
	}
	return s.result(ctx, list)
}

// Unstage removes what a staging that was killed may have left: its instance, and dir.
func Unstage(ctx context.Context, m host.Machine, run, dir string) error {
	if err := m.Units.Stop(ctx, unitName(run)); err != nil {
		return err
	}
	return m.Files.RemoveAll(dir)
}

// stager is one staging under way.
type stager struct {
	m        host.Machine
	plan     *v1alpha1.Plan
	dir      string
	report   func(v1alpha1.Progress)
	registry *registry
	// mirror is where the registry listens, as a runtime's configuration names it.
	mirror  string
	silence func() error
	// target is what takes images in, at endpoint: the staging instance, or else the daemon itself.
	target   host.Runtime
	endpoint string
	instance bool
	// store is the directory of the target's image store.
	store string
	// from is guarded by noting: images come in several at a time.
	from   origins
	noting sync.Mutex
	// handing is held while one image is handed over: the archive between has one name.
	handing sync.Mutex
}

// step reports the beginning and the end of an act.
func (s *stager) step(name string, act func() error) error {
	start := s.m.Clock.SinceBoot()
	s.report(v1alpha1.Progress{Step: name})
	err := act()
	end := v1alpha1.Progress{Step: name, Took: s.m.Clock.SinceBoot() - start}
	if err != nil {
		end.Error = err.Error()
	}
	s.report(end)
	return err
}

func (s *stager) listen() error {
	address, stop, err := s.m.HTTP.Serve(s.registry)
	if err != nil {
		return err
	}
	// Whoever doesn't know the path gets nothing: anybody on the node can dial its loopback.
	s.mirror, s.silence = address+"/"+s.registry.secret, stop
	return nil
}

// close takes everything back, whatever fails on the way.
func (s *stager) close(ctx context.Context) error {
	var errs []error
	if s.target != nil {
		errs = append(errs, s.target.Close())
	}
	errs = append(errs, s.m.Units.Stop(ctx, unitName(s.plan.Run)))
	if s.store != "" {
		// A power cut after the confirmation must not find layers whose bytes never came to the disk: no runtime looks at them again.
		errs = append(errs, s.m.Files.SyncFS(s.store))
	}
	if s.silence != nil {
		errs = append(errs, s.silence())
	}
	errs = append(errs, s.m.Files.RemoveAll(s.dir))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("ending the staging: %w", err)
	}
	return nil
}

// image is a wanted image and what became of it.
type image struct {
	v1alpha1.WantedImage
	name imageref.Ref
	err  error
	// there says that the target's store has an image under this name, if maybe not the one that it should be; settled, that it stays so.
	there, settled bool
}

// merge makes one entry of each image, the pinned ones first: pods can't do without them.
func merge(wanted []v1alpha1.WantedImage, pinned []string) []image {
	var all []v1alpha1.WantedImage
	for _, ref := range pinned {
		all = append(all, v1alpha1.WantedImage{Ref: ref, Required: true, For: "every pod"})
	}
	// Required ones come before the others, which the drain moves away anyway.
	for _, required := range []bool{true, false} {
		for _, w := range wanted {
			if w.Required == required {
				all = append(all, w)
			}
		}
	}
	var out []image
	at := map[string]int{}
	for _, w := range all {
		name, err := imageref.Parse(w.Ref)
		key := w.Ref
		if err == nil {
			key = name.String()
		}
		i, known := at[key]
		if !known {
			at[key] = len(out)
			out = append(out, image{WantedImage: w, name: name, err: err})
			continue
		}
		for _, auth := range w.Auths {
			if !slices.Contains(out[i].Auths, auth) {
				out[i].Auths = append(slices.Clone(out[i].Auths), auth)
			}
		}
		out[i].Required = out[i].Required || w.Required
		out[i].Repulled = out[i].Repulled && w.Repulled
	}
	return out
}

// verdict is an error when the switch can't go on without what is missing, and a warning otherwise.
func (s *stager) verdict(failed []image) error {
	var required []string
	for _, i := range failed {
		text := i.Ref
		if i.For != "" {
			text += " (for " + i.For + ")"
		}
		text += ": " + i.err.Error()
		if i.Required {
			required = append(required, text)
			continue
		}
		s.report(v1alpha1.Progress{Step: "warning", Detail: "image not brought along: " + text})
	}
	if len(required) > 0 {
		return fmt.Errorf("no way to bring the image %s", strings.Join(required, "; and "))
	}
	return nil
}

// verify looks whether the store really has what was pulled, before the instance is stopped.
func (s *stager) verify(ctx context.Context, list, failed []image) error {
	have, err := s.have(ctx)
	if err != nil {
		return err
	}
	for _, i := range list {
		lost := slices.ContainsFunc(failed, func(f image) bool { return f.Ref == i.Ref })
		if !lost && !have(i) {
			return fmt.Errorf("image %s was pulled and isn't in the store of %s", i.Ref, s.plan.To.Name)
		}
	}
	return nil
}

// have asks the target what it holds.
func (s *stager) have(ctx context.Context) (func(image) bool, error) {
	images, err := s.inStore(ctx)
	if err != nil {
		return nil, err
	}
	return holds(images), nil
}

// holds tells which images are in a store, under whatever name.
func holds(images []v1alpha1.Image) func(image) bool {
	held := map[string]bool{}
	for _, x := range images {
		held[strings.TrimPrefix(x.ID, "sha256:")] = true
		for _, ref := range slices.Concat(x.Tags, x.Digests) {
			held[imageref.Complete(ref)] = true
		}
	}
	return func(i image) bool {
		return held[imageref.Complete(i.Ref)] || held[strings.TrimPrefix(i.Ref, "sha256:")]
	}
}
