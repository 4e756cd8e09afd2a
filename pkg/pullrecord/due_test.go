package pullrecord_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/pullrecord"
)

// mapped is a record as kubelet 1.35 writes it.
func mapped(id, secret string) []byte {
	return fmt.Appendf(nil, `{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":"2024-10-21T12:26:40Z",`+
		`"imageRef":%q,"credentialMapping":{"reg.example/team/app":{"kubernetesSecrets":[{"uid":"u","namespace":"team","name":%q,"credentialHash":"h"}]}}}`, id, secret)
}

// closed is a record that lets nobody in unverified.
func closed(id, version string) string {
	return fmt.Sprintf(`{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/%s","lastUpdatedTime":"2026-01-02T03:04:05Z","imageRef":%q}`, version, id)
}

// intent says that a pull has begun.
func intent(image string) string {
	return fmt.Sprintf(`{"kind":"ImagePullIntent","apiVersion":"kubelet.config.k8s.io/v1beta1","image":%q}`, image)
}

const (
	old = "sha256:aa" // the source's name of the image
	id  = "aa"        // the target's
	tag = "reg.example/team/app:1"
	// The names that a kubelet gives the files of id and tag: sha256sum says so.
	idFile  = "/var/lib/kubelet/image_manager/pulled/sha256-961b6dd3ede3cb8ecbaacbd68de040cd78eb2ed5889130cceb4c49268ea4d506"
	tagFile = "/var/lib/kubelet/image_manager/pulling/sha256-42ce7f404ee1b622748afba88daa4a3980ca8a62033410a147bac87f9334d7da"
)

func TestDue(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)).Add(time.Hour)
	records := func(list ...[]byte) map[string][]byte {
		out := map[string][]byte{}
		for _, data := range list {
			var doc struct{ ImageRef string }
			if err := json.Unmarshal(data, &doc); err != nil {
				t.Fatal(err)
			}
			out[pullrecord.PathOf(doc.ImageRef)] = data
		}
		return out
	}
	for _, c := range []struct {
		name      string
		image     pullrecord.Image
		now, kept map[string][]byte
		kubelet   string
		want      map[string]string
	}{
		{
			name: "pulled with a secret", image: pullrecord.Image{ID: id, Sources: []string{old}}, now: records(mapped(old, "s")),
			want: map[string]string{idFile: string(mapped(id, "s"))},
		},
		{name: "put there by the operator", image: pullrecord.Image{ID: id, Sources: []string{old}}},
		{name: "put there by the operator, and pulled with credentials by staging", image: pullrecord.Image{ID: id, Sources: []string{old}, Private: true}},
		{name: "under the same ID", image: pullrecord.Image{ID: old, Sources: []string{old}}, now: records(mapped(old, "s"))},
		{name: "a record of its own", image: pullrecord.Image{ID: id, Sources: []string{old}}, now: records(mapped(old, "s"), mapped(id, "own"))},
		{
			name: "a record that can't be read", image: pullrecord.Image{ID: id, Sources: []string{old}}, now: map[string][]byte{pullrecord.PathOf(old): []byte("{")},
			want: map[string]string{idFile: closed(id, "v1beta1")},
		},
		{
			name: "a record of another image", image: pullrecord.Image{ID: id, Sources: []string{old}}, now: map[string][]byte{pullrecord.PathOf(old): mapped("other", "s")},
			want: map[string]string{idFile: closed(id, "v1beta1")},
		},
		{
			name: "one twin of two is free", image: pullrecord.Image{ID: id, Sources: []string{old, "free"}}, now: records(mapped(old, "s")),
		},
		{
			name: "pulled with credentials by staging", image: pullrecord.Image{ID: id, Private: true},
			want: map[string]string{idFile: closed(id, "v1beta1")},
		},
		{
			name: "pulled with credentials by staging, an older kubelet", image: pullrecord.Image{ID: id, Private: true}, kubelet: "1.34.2",
			want: map[string]string{idFile: closed(id, "v1alpha1")},
		},
		{name: "pulled without credentials by staging", image: pullrecord.Image{ID: id}},
		{
			name: "another image under a private one's tag", image: pullrecord.Image{ID: id, Namesakes: []string{old}}, now: records(mapped(old, "s")),
			want: map[string]string{idFile: closed(id, "v1beta1")},
		},
		{name: "another image under a free one's tag", image: pullrecord.Image{ID: id, Namesakes: []string{old}}},
		{
			name: "what an earlier run kept of an image that the source has no more", image: pullrecord.Image{ID: id}, kept: records(mapped(id, "kept")),
			want: map[string]string{idFile: string(mapped(id, "kept"))},
		},
		{
			name: "the source knows better than an earlier run", image: pullrecord.Image{ID: id, Sources: []string{old}}, now: records(mapped(old, "s")),
			kept: records(mapped(id, "kept")), want: map[string]string{idFile: string(mapped(id, "s"))},
		},
		{name: "free now, and guarded in an earlier run", image: pullrecord.Image{ID: id, Sources: []string{old}}, kept: records(mapped(id, "kept"))},
		{
			name: "an ID that isn't known", image: pullrecord.Image{Tags: []string{tag}, Sources: []string{old}}, now: records(mapped(old, "s")),
			want: map[string]string{tagFile: intent(tag)},
		},
		{
			name: "an ID that isn't known, with credentials", image: pullrecord.Image{Tags: []string{tag}, Private: true},
			want: map[string]string{tagFile: intent(tag)},
		},
		{name: "an ID that isn't known, and a free twin", image: pullrecord.Image{Tags: []string{tag}, Sources: []string{old}, Private: true}},
		{name: "an ID that isn't known, without credentials", image: pullrecord.Image{Tags: []string{tag}}},
		{
			name: "a pull that had begun", image: pullrecord.Image{Tags: []string{tag}, Private: true}, now: map[string][]byte{tagFile: []byte("as it was")},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.kubelet == "" {
				c.kubelet = "1.35.3"
			}
			got := map[string]string{}
			for file, data := range pullrecord.Due([]pullrecord.Image{c.image}, c.now, c.kept, c.kubelet, at) {
				got[file] = string(data)
			}
			for file := range c.want {
				if got[file] != "" {
					c.want[file], got[file] = canonical(t, c.want[file]), canonical(t, got[file])
				}
			}
			if c.want == nil {
				c.want = map[string]string{}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// canonical is a document without the order of its fields.
func canonical(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestUnknownFields: what a later kubelet says of an image isn't lost.
func TestUnknownFields(t *testing.T) {
	now := strings.Replace(string(mapped(old, "s")), `"imageRef"`, `"later":{"x":[1]},"imageRef"`, 1)
	got := pullrecord.Due([]pullrecord.Image{{ID: id, Sources: []string{old}}}, map[string][]byte{pullrecord.PathOf(old): []byte(now)}, nil, "1.39.0", time.Time{})
	if !strings.Contains(string(got[idFile]), `"later":{"x":[1]}`) {
		t.Errorf("got %s", got[idFile])
	}
}

func TestIsFile(t *testing.T) {
	good := strings.TrimPrefix(idFile, "/var/lib/kubelet/image_manager/pulled/")
	for name, want := range map[string]bool{good: true, good + ".tmp": false, ".kubectl-runtime-1": false, "sha256-": false, strings.ToUpper(good): false} {
		if pullrecord.IsFile(name) != want {
			t.Errorf("%s: not %v", name, want)
		}
	}
}

// TestFiles: what was there before beats what a run has added at the same path.
func TestFiles(t *testing.T) {
	r := pullrecord.Run{
		Before:  []pullrecord.File{{State: v1alpha1.FileState{Path: "a"}, Data: []byte("before")}},
		Written: map[string][]byte{"a": []byte("written"), "b": []byte("written")},
	}
	if diff := cmp.Diff(map[string][]byte{"a": []byte("before"), "b": []byte("written")}, r.Files()); diff != "" {
		t.Error(diff)
	}
}
