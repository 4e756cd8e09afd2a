package images

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/imageref"
)

// tags are the images of a store by their complete names with a tag. A registry may give another image under the same tag than it gave
// when the source pulled it.
type tags map[string]v1alpha1.Image

func byTag(images []v1alpha1.Image) tags {
	out := tags{}
	for _, i := range images {
		for _, tag := range i.Tags {
			out[imageref.Complete(tag)] = i
		}
	}
	return out
}

// inSource lists the images of the source.
func (s *stager) inSource(ctx context.Context) ([]v1alpha1.Image, error) {
	r, err := s.m.CRI.Dial(ctx, s.plan.From.Endpoint, "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return r.Images(ctx)
}

// sourceTags are the tags that the source knows; none where it doesn't answer.
func (s *stager) sourceTags(ctx context.Context) tags {
	images, err := s.inSource(ctx)
	if err != nil {
		s.warn("%s doesn't list its images, so they are not compared with those of registries: %v", s.plan.From.Name, err)
	}
	return byTag(images)
}

func (s *stager) warn(format string, args ...any) {
	s.report(v1alpha1.Progress{Step: "warning", Detail: fmt.Sprintf(format, args...)})
}

// differs reports whether an image that both stores have under the same tag is two. What is named by its digest is one.
func (source tags) differs(target tags, i image) bool {
	want, known := source[i.name.String()]
	have, there := target[i.name.String()]
	return i.name.Digest == "" && known && there && !same(want, have)
}

// same reports whether two stores' images are one: by the ID, which is the digest of the image's configuration in most stores, or by a
// digest under which a registry gave it to both.
func same(a, b v1alpha1.Image) bool {
	if strings.TrimPrefix(a.ID, "sha256:") == strings.TrimPrefix(b.ID, "sha256:") {
		return true
	}
	return slices.ContainsFunc(a.Digests, func(x string) bool {
		return slices.ContainsFunc(b.Digests, func(y string) bool { return imageref.Complete(x) == imageref.Complete(y) })
	})
}

// digestOf names what a store has under a tag: the digest by which a registry knows it, or else the image's ID.
func digestOf(i v1alpha1.Image, name imageref.Ref) string {
	for _, ref := range i.Digests {
		if r, err := imageref.Parse(ref); err == nil && r.Repository() == name.Repository() && r.Digest != "" {
			return r.Digest
		}
	}
	return i.ID
}

// moved tells of the images that registries gave under a tag that the source has for another image, and returns those to be copied in
// their place. Where the kubelet asks the registry at every start it would take that one again.
func (s *stager) moved(ctx context.Context, list, failed []image, source tags) ([]image, error) {
	images, err := s.inStore(ctx)
	if err != nil {
		return nil, err
	}
	target := byTag(images)
	var out []image
	for _, i := range list {
		lost := slices.ContainsFunc(failed, func(f image) bool { return f.Ref == i.Ref })
		if lost || i.settled || !source.differs(target, i) {
			continue
		}
		text := fmt.Sprintf("image %s: the registry has %s under this tag, %s has %s", i.Ref,
			digestOf(target[i.name.String()], i.name), s.plan.From.Name, digestOf(source[i.name.String()], i.name))
		if i.Repulled {
			s.warn("%s; imagePullPolicy is Always, so its pods start with the registry's", text)
			continue
		}
		s.warn("%s; copying that of %s", text, s.plan.From.Name)
		i.there = true
		out = append(out, i)
	}
	return out, nil
}

// settle returns the failed images that aren't there at all. It tells of those that are, but not as the source has them.
func (s *stager) settle(ctx context.Context, moved, failed []image, source tags) ([]image, error) {
	if len(moved)+len(failed) == 0 {
		return nil, nil
	}
	images, err := s.inStore(ctx)
	if err != nil {
		return nil, err
	}
	target := byTag(images)
	var out []image
	for _, f := range failed {
		if !f.there {
			out = append(out, f)
			continue
		}
		s.warn("image %s: pods start with %s under %s, as that of %s could not be copied: %v", f.Ref,
			digestOf(target[f.name.String()], f.name), s.plan.To.Name, s.plan.From.Name, f.err)
	}
	for _, i := range moved {
		lost := slices.ContainsFunc(failed, func(f image) bool { return f.Ref == i.Ref })
		if !lost && source.differs(target, i) {
			s.warn("image %s: pods start with %s under %s, although that of %s was copied", i.Ref,
				digestOf(target[i.name.String()], i.name), s.plan.To.Name, s.plan.From.Name)
		}
	}
	return out, nil
}
