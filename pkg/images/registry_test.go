package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/imageref"
)

func digest(data string) string {
	sum := sha256.Sum256([]byte(data))
	return "sha256:" + hex.EncodeToString(sum[:])
}

func blob(mediaType, data string) host.Blob {
	return host.Blob{MediaType: mediaType, Size: int64(len(data)), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(data)), nil
	}}
}

const layerText = "the only layer"

// stored is an image with one layer below an index, whose other platform isn't there.
func stored() *host.StoredImage {
	config := `{"architecture":"amd64"}`
	manifest := fmt.Sprintf(`{"config":{"digest":%q},"layers":[{"digest":%q}]}`, digest(config), digest(layerText))
	index := fmt.Sprintf(`{"manifests":[{"digest":%q,"platform":{"os":"linux","architecture":"s390x"}},{"digest":%q,"platform":{"os":"linux","architecture":"amd64"}}]}`,
		digest("elsewhere"), digest(manifest))
	return &host.StoredImage{
		MediaType: "application/index", Digest: digest(index), Close: func() error { return nil },
		Blobs: map[string]host.Blob{
			digest(index): blob("application/index", index), digest(manifest): blob("application/manifest", manifest),
			digest(config): blob("application/config", config), digest(layerText): blob("application/layer", layerText),
		},
	}
}

func mustParse(t *testing.T, ref string) imageref.Ref {
	t.Helper()
	name, err := imageref.Parse(ref)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestRegistry(t *testing.T) {
	r := newRegistry()
	image := stored()
	withdraw := r.offer(mustParse(t, "docker.io/team/app:1"), image)
	withdrawPinned := r.offer(mustParse(t, "reg.io/x@"+image.Digest), image)
	server := httptest.NewServer(r)
	defer server.Close()
	before, behind := "/"+r.secret+"/v2", "/v2/"+r.secret
	index, layer := image.Digest, digest(layerText)
	for _, c := range []struct {
		name, path, bytes string
		code              int
		body              string
	}{
		{"ping of CRI-O", "/v2/", "", 200, "{}"},
		{"ping of containerd", before + "/", "", 200, "{}"},
		{"by tag, as containerd asks", before + "/team/app/manifests/1?ns=docker.io", "", 200, "*"},
		{"by tag, as CRI-O asks", behind + "/team/app/manifests/1", "", 200, "*"},
		{"with the host in the path", behind + "/docker.io/team/app/manifests/1", "", 200, "*"},
		{"by digest", before + "/team/app/manifests/" + index, "", 200, "*"},
		{"an image known by digest", before + "/x/manifests/" + index + "?ns=reg.io", "", 200, "*"},
		{"a layer", behind + "/team/app/blobs/" + layer, "", 200, layerText},
		{"the rest of a layer", behind + "/team/app/blobs/" + layer, "bytes=4-", 206, layerText[4:]},
		{"from its beginning", behind + "/team/app/blobs/" + layer, "bytes=0-", 200, layerText},
		{"some of a layer", behind + "/team/app/blobs/" + layer, "bytes=1-2", 200, layerText},
		{"beyond its end", behind + "/team/app/blobs/" + layer, "bytes=100-", 416, "*"},
		{"without the secret", "/v2/team/app/manifests/1", "", 404, "*"},
		{"with another secret", "/v2/" + strings.Repeat("a", len(r.secret)) + "/team/app/manifests/1", "", 404, "*"},
		{"another tag", behind + "/team/app/manifests/2", "", 404, "*"},
		{"another host", before + "/team/app/manifests/1?ns=reg.io", "", 404, "*"},
		{"another name", behind + "/team/other/manifests/1", "", 404, "*"},
		{"a blob that isn't there", behind + "/team/app/blobs/" + digest("elsewhere"), "", 404, "*"},
		{"a tag of an image known by digest", behind + "/x/manifests/latest", "", 404, "*"},
		{"another path", behind + "/team/app/tags/list", "", 404, "*"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				q, err := http.NewRequestWithContext(t.Context(), method, server.URL+c.path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if c.bytes != "" {
					q.Header.Set("Range", c.bytes)
				}
				a, err := http.DefaultClient.Do(q)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(a.Body)
				_ = a.Body.Close()
				if err != nil || a.StatusCode != c.code {
					t.Fatalf("%s: %s, %v", method, a.Status, err)
				}
				if method == http.MethodGet && c.body != "*" && string(body) != c.body {
					t.Errorf("got %q", body)
				}
				if strings.Contains(c.path, "/manifests/") && c.code == 200 {
					if a.Header.Get("Docker-Content-Digest") != index || a.Header.Get("Content-Type") != "application/index" || a.ContentLength <= 0 {
						t.Errorf("%s: headers %v", method, a.Header)
					}
				}
			}
		})
	}
	q, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+behind+"/team/app/manifests/1", nil)
	if a, err := http.DefaultClient.Do(q); err != nil || a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a push: %v %v", a, err)
	}
	withdraw()
	withdrawPinned()
	if _, _, ok := r.find("", "team/app", "1"); ok {
		t.Error("still offered")
	}
}
