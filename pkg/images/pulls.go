package images

import (
	"context"
	"fmt"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/imageref"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/pullrecord"
)

// origins remembers how images came into the target's store, by their complete names.
type origins struct{ open, copied map[string]bool }

// note tells that an image was copied from the source, or that a registry gave it without credentials.
func (s *stager) note(name imageref.Ref, copied bool) {
	s.noting.Lock()
	defer s.noting.Unlock()
	if s.from.open == nil {
		s.from = origins{open: map[string]bool{}, copied: map[string]bool{}}
	}
	if copied {
		s.from.copied[name.String()] = true
		return
	}
	s.from.open[name.String()] = true
}

// result lists the images of the target with what the kubelet's records must know of them: they name images by IDs, which differ between
// runtimes. Where the source doesn't list its images, every image counts as one for which pods must show credentials.
func (s *stager) result(ctx context.Context, list []image) ([]pullrecord.Image, error) {
	target, err := s.named(ctx)
	if err != nil {
		return nil, err
	}
	source, err := s.inSource(ctx)
	out := make([]pullrecord.Image, 0, len(target))
	for _, t := range target {
		names := namesOf(t.Image)
		i := pullrecord.Image{Tags: references(t.Tags), Private: err != nil || s.private(list, names)}
		if t.known {
			i.ID = t.ID
		}
		open := slices.ContainsFunc(names, func(name string) bool { return s.from.open[name] })
		for _, x := range source {
			tagged := slices.ContainsFunc(references(x.Tags), func(tag string) bool { return slices.Contains(i.Tags, tag) })
			copied := tagged && slices.ContainsFunc(i.Tags, func(tag string) bool { return s.from.copied[tag] })
			switch {
			case same(t.Image, x) || copied:
				i.Sources = append(i.Sources, x.ID)
			case tagged && !open:
				i.Namesakes = append(i.Namesakes, x.ID)
			}
		}
		out = append(out, i)
	}
	return out, nil
}

// private reports whether credentials came with the request for an image that no registry has given without.
func (s *stager) private(list []image, names []string) bool {
	return slices.ContainsFunc(list, func(i image) bool {
		name := i.name.String()
		return len(i.Auths) > 0 && !s.from.open[name] && slices.Contains(names, name)
	})
}

// listed is an image of the target; known says that the kubelet will find it under its ID.
type listed struct {
	v1alpha1.Image
	known bool
}

// named lists the images that will be there after the switch. A containerd without CRI gives the digests of their manifests for IDs; the
// instance that has pulled them for it knows better.
func (s *stager) named(ctx context.Context) ([]listed, error) {
	images, err := s.inStore(ctx)
	if err != nil {
		return nil, err
	}
	known, err := s.servesCRI(ctx)
	if err != nil {
		return nil, err
	}
	var out []listed
	seen := map[string]bool{}
	if s.handsOver() {
		own, err := s.target.Images(ctx)
		if err != nil {
			return nil, fmt.Errorf("asking the staging instance for its images: %w", err)
		}
		for _, i := range own {
			out = append(out, listed{i, true})
			for _, name := range namesOf(i) {
				seen[name] = true
			}
		}
	}
	for _, i := range images {
		if !known {
			i.Digests = slices.Clone(i.Digests)
			for _, tag := range i.Tags {
				if r, err := imageref.Parse(tag); err == nil {
					i.Digests = append(i.Digests, r.Repository()+"@"+i.ID)
				}
			}
		}
		if !slices.ContainsFunc(namesOf(i), func(name string) bool { return seen[name] }) {
			out = append(out, listed{i, known})
		}
	}
	return out, nil
}

// servesCRI reports whether the store's daemon lists images as it will to the kubelet. Docker does, over its own API.
func (s *stager) servesCRI(ctx context.Context) (bool, error) {
	if s.plan.To.Name != v1alpha1.Containerd {
		return true, nil
	}
	daemon := s.target
	if s.handsOver() {
		d, err := s.m.CRI.Dial(ctx, s.plan.To.Endpoint, "")
		if err != nil {
			return false, err
		}
		defer func() { _ = d.Close() }()
		daemon = d
	}
	return speaksCRI(ctx, daemon)
}

func speaksCRI(ctx context.Context, r host.Runtime) (bool, error) {
	info, err := r.Info(ctx)
	return info.APIVersion != "", err
}

// namesOf are the complete names of an image, with tags and with digests.
func namesOf(i v1alpha1.Image) []string { return references(slices.Concat(i.Tags, i.Digests)) }

// references completes names, and leaves out what is none.
func references(names []string) []string {
	var out []string
	for _, name := range names {
		if r, err := imageref.Parse(name); err == nil {
			out = append(out, r.String())
		}
	}
	return out
}
