package images

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/pullrecord"
)

// TestResult: staging tells what the source calls each image of the target, and which of them pods need credentials for.
func TestResult(t *testing.T) {
	const secret = "right"
	auths := []v1alpha1.RegistryAuth{{Username: secret}}
	hex := func(id string) string { return strings.TrimPrefix(digest(id), "sha256:") }
	// As CRI-O calls it: the same digest by itself.
	crio := func(id string) v1alpha1.Image { i := tagged(id); i.ID = hex(id); return i }
	for _, c := range []struct {
		name string
		// What each has under the tag; empty: nothing.
		source, registry, target string
		open                     bool // the registry asks for no credentials
		wanted                   v1alpha1.WantedImage
		want                     pullrecord.Image
	}{
		{name: "one image", source: "a", registry: "a", wanted: v1alpha1.WantedImage{Auths: auths}, want: pullrecord.Image{ID: hex("a"), Sources: []string{digest("a")}, Private: true}},
		{name: "one image, for all", source: "a", registry: "a", open: true, want: pullrecord.Image{ID: hex("a"), Sources: []string{digest("a")}}},
		{
			name: "the source lacks it", registry: "a", wanted: v1alpha1.WantedImage{Auths: auths}, want: pullrecord.Image{ID: hex("a"), Private: true},
		},
		{name: "the source lacks it, and it is for all", registry: "a", open: true, want: pullrecord.Image{ID: hex("a")}},
		{
			name: "there from earlier", target: "a", wanted: v1alpha1.WantedImage{Auths: auths}, want: pullrecord.Image{ID: hex("a"), Private: true},
		},
		{
			name: "another under the tag", source: "a", registry: "b", wanted: v1alpha1.WantedImage{Auths: auths, Repulled: true},
			want: pullrecord.Image{ID: hex("b"), Namesakes: []string{digest("a")}, Private: true},
		},
		{
			name: "another under the tag, for all", source: "a", registry: "b", open: true, wanted: v1alpha1.WantedImage{Repulled: true},
			want: pullrecord.Image{ID: hex("b")},
		},
		{
			name: "copied", source: "a", wanted: v1alpha1.WantedImage{Auths: auths},
			// The copy has a manifest of its own, and the store's ID of it isn't the source's.
			want: pullrecord.Image{ID: "made-here", Sources: []string{digest("a")}, Private: true},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.plan.Staging.Pinned = nil
			b.node.Forget(v1alpha1.Containerd)
			if c.source != "" {
				b.node.Images(v1alpha1.Containerd, tagged(c.source))
			}
			if c.target != "" {
				b.node.Images(v1alpha1.CRIO, crio(c.target))
			}
			b.node.Pull = func(_, _ string, auth *v1alpha1.RegistryAuth) (v1alpha1.Image, error) {
				if text, ok := b.node.Content(dir + "/mirrors.conf"); ok {
					address, secret, _ := strings.Cut(strings.Fields(text)[3], "/")
					a, err := http.Get("http://" + address + "/v2/" + secret + "/team/app/manifests/1")
					if err != nil {
						return v1alpha1.Image{}, err
					}
					if _ = a.Body.Close(); a.StatusCode != http.StatusOK {
						return v1alpha1.Image{}, errors.New(a.Status)
					}
					return v1alpha1.Image{ID: "made-here", Tags: []string{app}}, nil
				}
				if c.registry == "" || !c.open && (auth == nil || auth.Username != secret) {
					return v1alpha1.Image{}, errors.New("401 Unauthorized")
				}
				return crio(c.registry), nil
			}
			b.node.OpenImage = func(context.Context, v1alpha1.RuntimeName, string, string) (*host.StoredImage, error) {
				return stored(), nil
			}
			c.wanted.Ref, c.wanted.Required = app, true
			if err := b.stage(t.Context(), c.wanted); err != nil {
				t.Fatal(err)
			}
			c.want.Tags = []string{app}
			if diff := cmp.Diff([]pullrecord.Image{c.want}, b.have); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
		})
	}
}

// TestResultUnlisted: where the source doesn't list its images, nobody is let in unverified.
func TestResultUnlisted(t *testing.T) {
	b := newBench(t)
	b.plan.Staging.Pinned = nil
	b.plan.From.Endpoint = "unix:///run/none.sock"
	if err := b.stage(t.Context(), v1alpha1.WantedImage{Ref: app, Required: true, Auths: []v1alpha1.RegistryAuth{{Username: "right"}}}); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(b.have, func(i pullrecord.Image) bool { return i.ID == "sha256:1" && i.Private }) {
		t.Errorf("have %+v", b.have)
	}
}

// TestResultWithoutCRI: a containerd that serves Docker alone gives manifests' digests for IDs, and the kubelet will ask by others. What the
// instance has pulled for it is known by its ID all the same.
func TestResultWithoutCRI(t *testing.T) {
	b := newBench(t)
	s := &stager{m: b.node.Machine(), plan: b.plan, report: func(v1alpha1.Progress) {}}
	b.plan.To.Name = v1alpha1.Containerd
	manifest := digest("manifest of a")
	s.target = docker{images: []v1alpha1.Image{{ID: manifest, Tags: []string{app}}}}
	b.node.Forget(v1alpha1.Containerd)
	b.node.Images(v1alpha1.Containerd, tagged("a"))
	have, err := s.result(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]pullrecord.Image{{Tags: []string{app}, Sources: []string{digest("a")}}}, have); diff != "" {
		t.Errorf("(-want +have)\n%s", diff)
	}
	s.instance, b.plan.Staging.Handover = true, [][]string{{"ctr"}}
	s.m.CRI = one{s.target}
	s.target = docker{images: []v1alpha1.Image{tagged("a")}, api: "v1"}
	if have, err = s.result(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if len(have) != 1 || have[0].ID != digest("a") {
		t.Errorf("have %+v", have)
	}
}

// docker is a daemon that lists images.
type docker struct {
	host.Runtime
	images []v1alpha1.Image
	api    string
}

func (d docker) Images(context.Context) ([]v1alpha1.Image, error) { return d.images, nil }

func (d docker) Info(context.Context) (v1alpha1.CRIInfo, error) {
	return v1alpha1.CRIInfo{RuntimeName: "containerd", APIVersion: d.api}, nil
}

func (docker) Close() error { return nil }

// one leads to one daemon whatever is dialled.
type one struct{ runtime host.Runtime }

func (o one) Dial(context.Context, string, string) (host.Runtime, error) { return o.runtime, nil }
