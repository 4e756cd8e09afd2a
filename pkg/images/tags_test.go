package images

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// tagged is an image under app's name as a store lists it.
func tagged(id string) v1alpha1.Image {
	return v1alpha1.Image{ID: digest(id), Tags: []string{app}, Digests: []string{"reg.example/team/app@" + digest("manifest of "+id)}, Bytes: 1 << 20}
}

// TestMovedTag: a tag means after the switch what it means to the source, whatever the registry gives for it by now and whatever the
// target has from earlier. Both digests are told. Nothing that was possible before is lost.
func TestMovedTag(t *testing.T) {
	const (
		differs = "image " + app + ": the registry has %s under this tag, containerd has %s"
		copying = differs + "; copying that of containerd"
	)
	manifest := func(id string) string { return digest("manifest of " + id) }
	gone := errors.New("dial tcp: lookup reg.example: no such host")
	for _, c := range []struct {
		name string
		// What each has under the tag; empty: nothing.
		source, registry, target string
		repulled, required       bool
		// uncopied: the source's store can't give the image. astray: the mirror isn't asked.
		uncopied, astray bool
		want             string
		pulls            int
		warnings         []string
		err              string
	}{
		{name: "the same", source: "a", registry: "a", want: "a", pulls: 1},
		{name: "the source lacks it", registry: "b", want: "b", pulls: 1},
		{name: "another", source: "a", registry: "b", want: "a", pulls: 2, warnings: []string{fmt.Sprintf(copying, manifest("b"), manifest("a"))}},
		{name: "the registry lacks it", source: "a", want: "a", pulls: 2},
		{name: "the target has it", source: "a", registry: "b", target: "a", want: "a"},
		{name: "the target has an old one", source: "a", registry: "a", target: "old", want: "a", pulls: 1},
		{
			name: "all three differ", source: "a", registry: "b", target: "old", want: "a", pulls: 2,
			warnings: []string{fmt.Sprintf(copying, manifest("b"), manifest("a"))},
		},
		{name: "the target has an old one, and no registry", source: "a", target: "old", want: "a", pulls: 2},
		{name: "the target alone has it", registry: "b", target: "old", want: "old"},
		{
			name: "always pulled", source: "a", registry: "b", repulled: true, want: "b", pulls: 1,
			warnings: []string{fmt.Sprintf(differs, manifest("b"), manifest("a")) + "; imagePullPolicy is Always, so its pods start with the registry's"},
		},
		{name: "always pulled, the same", source: "a", registry: "a", repulled: true, want: "a", pulls: 1},
		{name: "always pulled, and no registry", source: "a", repulled: true, want: "a", pulls: 2},
		{name: "always pulled, there already", source: "a", registry: "b", target: "old", repulled: true, want: "old"},
		{
			name: "another that can't be copied", source: "a", registry: "b", uncopied: true, required: true, want: "b", pulls: 1,
			warnings: []string{
				fmt.Sprintf(copying, manifest("b"), manifest("a")),
				"image " + app + ": pods start with " + manifest("b") + " under cri-o, as that of containerd could not be copied: no such image",
			},
		},
		{
			name: "an old one that can't be replaced", source: "a", target: "old", uncopied: true, required: true, want: "old", pulls: 1,
			warnings: []string{"image " + app + ": pods start with " + manifest("old") + " under cri-o, as that of containerd could not be copied: no registry gives it (" +
				`rpc error: code = Unknown desc = failed to pull "` + app + `": ` + gone.Error() + "), nor does containerd: no such image"},
		},
		{name: "nobody has it", source: "a", uncopied: true, required: true, pulls: 1, err: "no such host"},
		{
			name: "the copy goes astray", source: "a", registry: "b", astray: true, want: "b", pulls: 2,
			warnings: []string{
				fmt.Sprintf(copying, manifest("b"), manifest("a")),
				"image " + app + ": pods start with " + manifest("b") + " under cri-o, although that of containerd was copied",
			},
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
				b.node.Images(v1alpha1.CRIO, tagged(c.target))
			}
			b.node.Pull = func(_, ref string, _ *v1alpha1.RegistryAuth) (v1alpha1.Image, error) {
				b.pulls = append(b.pulls, ref)
				if text, ok := b.node.Content(dir + "/mirrors.conf"); ok && !c.astray {
					address, secret, _ := strings.Cut(strings.Fields(text)[3], "/")
					a, err := http.Get("http://" + address + "/v2/" + secret + "/team/app/manifests/1")
					if err != nil {
						return v1alpha1.Image{}, err
					}
					if _ = a.Body.Close(); a.StatusCode != http.StatusOK {
						return v1alpha1.Image{}, errors.New(a.Status)
					}
					// The copy has the source's configuration below a manifest of its own.
					return v1alpha1.Image{ID: digest(c.source), Tags: []string{app}, Digests: []string{"reg.example/team/app@" + digest("made here")}}, nil
				}
				if c.registry == "" {
					return v1alpha1.Image{}, gone
				}
				return tagged(c.registry), nil
			}
			b.node.OpenImage = func(context.Context, v1alpha1.RuntimeName, string, string) (*host.StoredImage, error) {
				if c.uncopied || c.source == "" {
					return nil, errors.New("no such image")
				}
				return stored(), nil
			}
			err := b.stage(t.Context(), v1alpha1.WantedImage{Ref: app, Required: c.required, Repulled: c.repulled})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			b.nothingLeft(t)
			var warnings []string
			for _, l := range b.lines {
				if l.Step == "warning" {
					warnings = append(warnings, l.Detail)
				}
			}
			if diff := cmp.Diff(c.warnings, warnings); diff != "" {
				t.Errorf("warnings (-want +have)\n%s", diff)
			}
			if len(b.pulls) != c.pulls {
				t.Errorf("pulled %d times, want %d", len(b.pulls), c.pulls)
			}
			if have := byTag(b.store(t))[app].ID; have != digest(c.want) {
				t.Errorf("the tag leads to %s, want %s", have, digest(c.want))
			}
		})
	}
}

// TestMovedTags compares by tags alone: what is named by its digest can't move. A source that doesn't list its images is told of, and
// nothing is compared.
func TestMovedTags(t *testing.T) {
	b := newBench(t)
	pinned := "reg.example/team/app@" + digest("manifest of a")
	b.node.Forget(v1alpha1.Containerd)
	b.node.Images(v1alpha1.Containerd, tagged("a"))
	b.node.Pull = func(_, ref string, _ *v1alpha1.RegistryAuth) (v1alpha1.Image, error) {
		return v1alpha1.Image{ID: digest("b"), Digests: []string{ref}, Tags: []string{pause}}, nil
	}
	if err := b.stage(t.Context(), v1alpha1.WantedImage{Ref: pinned, Required: true}); err != nil {
		t.Fatal(err)
	}
	b.plan.From.Endpoint = "unix:///run/none.sock"
	if err := b.stage(t.Context(), v1alpha1.WantedImage{Ref: pinned, Required: true}); err != nil {
		t.Fatal(err)
	}
	var warnings []string
	for _, l := range b.lines {
		if l.Step == "warning" {
			warnings = append(warnings, l.Detail)
		}
	}
	if len(warnings) != 1 || !strings.HasPrefix(warnings[0], "containerd doesn't list its images, so they are not compared") {
		t.Errorf("warnings %q", warnings)
	}
}

func TestSame(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b v1alpha1.Image
		want bool
	}{
		{"one ID", v1alpha1.Image{ID: "sha256:1"}, v1alpha1.Image{ID: "1"}, true},
		{"a digest in common", v1alpha1.Image{ID: "1", Digests: []string{"nginx@" + digest("x"), "nginx@" + digest("y")}}, v1alpha1.Image{ID: "2", Digests: []string{"docker.io/library/nginx@" + digest("y")}}, true},
		{"nothing in common", v1alpha1.Image{ID: "1", Digests: []string{"nginx@" + digest("x")}}, v1alpha1.Image{ID: "2", Digests: []string{"nginx@" + digest("y")}}, false},
		{"of another repository", v1alpha1.Image{ID: "1", Digests: []string{"nginx@" + digest("x")}}, v1alpha1.Image{ID: "2", Digests: []string{"other@" + digest("x")}}, false},
	} {
		if same(c.a, c.b) != c.want || same(c.b, c.a) != c.want {
			t.Errorf("%s: not %v", c.name, c.want)
		}
	}
	name := mustParse(t, app)
	if have := digestOf(v1alpha1.Image{ID: "sha256:1", Digests: []string{"other@" + digest("x"), "reg.example/team/app@" + digest("y")}}, name); have != digest("y") {
		t.Errorf("have %s", have)
	}
	if have := digestOf(v1alpha1.Image{ID: "sha256:1", Digests: slices.Repeat([]string{"other@" + digest("x")}, 2)}, name); have != "sha256:1" {
		t.Errorf("have %s", have)
	}
}
