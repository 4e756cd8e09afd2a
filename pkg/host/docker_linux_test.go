package host

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// serveDocker serves the given routes, "METHOD /path", as a Docker daemon would; others are unknown to it.
func serveDocker(t *testing.T, routes map[string]http.HandlerFunc) (socket string, asked *[]string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "docker")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket, asked = filepath.Join(dir, "docker.sock"), &[]string{}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.RequestURI())
		if h, ok := routes[r.Method+" "+r.URL.Path]; ok {
			h(w, r)
			return
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"No such container: x"}`)
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return socket, asked
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

const dockerContainers = `[
 {"Id":"s1","Names":["/k8s_POD_a_ns_u1_0"],"State":"running","Labels":{"io.kubernetes.docker.type":"podsandbox",
  "io.kubernetes.pod.namespace":"ns","io.kubernetes.pod.name":"a","io.kubernetes.pod.uid":"u1"}},
 {"Id":"c1","State":"running","Labels":{"io.kubernetes.docker.type":"container","io.kubernetes.sandbox.id":"s1",
  "io.kubernetes.container.name":"main","annotation.io.kubernetes.pod.terminationGracePeriod":"5"}},
 {"Id":"f1","Names":["/builder"],"Image":"golang","State":"exited","Labels":{"maintainer":"x","com.docker.compose.project":"shop"},
  "Mounts":[{"Type":"bind","Source":"/srv"},{"Type":"volume","Name":"cache","Source":"/data/volumes/cache/_data"}]}]`

func TestDockerRuntime(t *testing.T) {
	var auth string
	socket, asked := serveDocker(t, map[string]http.HandlerFunc{
		"GET /_ping":               says("OK"),
		"GET /info":                says(`{"ServerVersion":"26.1.5","CgroupDriver":"systemd","DockerRootDir":"/data"}`),
		"GET /containers/json":     says(dockerContainers),
		"GET /images/json":         says(`[{"Id":"sha256:1","RepoTags":["a:1","<none>:<none>"],"RepoDigests":null,"Size":3}]`),
		"GET /system/df":           says(`{"LayersSize":11}`),
		"POST /containers/c1/stop": says(""),
		"DELETE /containers/c1":    says(""),
		"DELETE /containers/s1":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"POST /images/create": func(w http.ResponseWriter, r *http.Request) {
			auth = r.Header.Get("X-Registry-Auth")
			if r.URL.Query().Get("fromImage") == "reg.io/bad" {
				_, _ = io.WriteString(w, `{"status":"pulling"}`+"\n"+`{"error":"manifest unknown"}`)
			}
		},
		"GET /images/docker.io/library/a:1/json": says(`{"Id":"sha256:1"}`),
	})
	r, err := linuxCRI{}.Dial(t.Context(), "unix://"+socket, "")
	if err != nil {
		t.Fatal(err)
	}
	info, err := r.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v1alpha1.CRIInfo{Endpoint: "unix://" + socket, RuntimeName: "docker", RuntimeVersion: "26.1.5", RuntimeReady: true, CgroupDriver: "systemd"}, info); diff != "" {
		t.Error(diff)
	}
	pods, err := r.Sandboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []Sandbox{{ID: "s1", Namespace: "ns", Name: "a", UID: "u1", Ready: true, Containers: []SandboxContainer{
		{ID: "c1", Name: "main", Running: true, Grace: 5 * time.Second},
	}}}
	if diff := cmp.Diff(want, pods); diff != "" {
		t.Error(diff)
	}
	*asked = nil
	if err := r.StopContainer(t.Context(), "c1", 5*time.Second); err != nil {
		t.Error(err)
	}
	if err := r.RemoveSandbox(t.Context(), "s1"); err != nil {
		t.Error(err)
	}
	if err := r.StopContainer(t.Context(), "gone", 0); err != nil {
		t.Errorf("what is gone: %v", err)
	}
	wantAsked := []string{
		"POST /containers/c1/stop?t=5", "GET /containers/json?all=1", "DELETE /containers/c1?force=1&v=1",
		"DELETE /containers/s1?force=1&v=1", "POST /containers/gone/stop?t=0",
	}
	if diff := cmp.Diff(wantAsked, *asked); diff != "" {
		t.Error(diff)
	}
	images, err := r.Images(t.Context())
	if err != nil || len(images) != 1 || len(images[0].Tags) != 1 {
		t.Errorf("%+v %v", images, err)
	}
	combined := base64.StdEncoding.EncodeToString([]byte("user:se:cret"))
	if id, err := r.Pull(t.Context(), "a:1", &v1alpha1.RegistryAuth{Auth: combined}); err != nil || id != "sha256:1" {
		t.Errorf("%s %v", id, err)
	}
	plain, _ := base64.URLEncoding.DecodeString(auth)
	var sent map[string]string
	if err := json.Unmarshal(plain, &sent); err != nil || sent["username"] != "user" || sent["password"] != "se:cret" {
		t.Errorf("sent %s", plain)
	}
	if _, err := r.Pull(t.Context(), "reg.io/bad:1", nil); err == nil || !strings.Contains(err.Error(), "manifest unknown") {
		t.Errorf("an error in the stream: %v", err)
	}
	foreign, err := linuxStores{dockerSocket: socket}.Foreign(t.Context(), v1alpha1.Docker)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]v1alpha1.Container{{ID: "f1", Name: "builder", Image: "golang", Scope: "docker", Labels: map[string]string{"com.docker.compose.project": "shop"}, Volumes: []string{"cache"}}}, foreign); diff != "" {
		t.Error(diff)
	}
}

func TestSwarm(t *testing.T) {
	socket, _ := serveDocker(t, map[string]http.HandlerFunc{
		"GET /info": says(`{"Swarm":{"NodeID":"x","LocalNodeState":"active","ControlAvailable":true,"Nodes":5,"Managers":3}}`),
	})
	swarm, err := linuxStores{dockerSocket: socket}.Swarm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v1alpha1.Swarm{State: "active", Manager: true, Nodes: 5, Managers: 3}, swarm); diff != "" {
		t.Error(diff)
	}
	if _, err := (linuxStores{dockerSocket: socket + ".absent"}).Swarm(t.Context()); err == nil {
		t.Error("no error from a Docker that isn't there")
	}
}

// tarOf makes an archive of names and contents in turn.
func tarOf(t *testing.T, entries ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	for i := 0; i+1 < len(entries); i += 2 {
		h := &tar.Header{Name: entries[i], Mode: 0o644, Size: int64(len(entries[i+1]))}
		if target, ok := strings.CutPrefix(entries[i+1], "-> "); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, target, 0
		}
		if err := out.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(out, entries[i+1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDockerImage(t *testing.T) {
	layer, gz := "layer one", "\x1f\x8blayer two"
	config := `{"rootfs":{}}`
	old := tarOf(t,
		"abc.json", config, "1/layer.tar", layer, "2/layer.tar", "-> ../1/layer.tar", "3/layer.tar", gz,
		"manifest.json", `[{"Config":"abc.json","RepoTags":["a:1"],"Layers":["1/layer.tar","2/layer.tar","3/layer.tar"]}]`)
	blob := func(s string) string { return "blobs/sha256/" + strings.TrimPrefix(digestOf([]byte(s)), "sha256:") }
	manifest := fmt.Sprintf(`{"config":{"mediaType":"c","digest":%q,"size":%d},"layers":[{"mediaType":"l","digest":%q,"size":%d}]}`,
		digestOf([]byte(config)), len(config), digestOf([]byte(layer)), len(layer))
	oci := tarOf(t,
		blob(config), config, blob(layer), layer, blob(manifest), manifest,
		"index.json", fmt.Sprintf(`{"manifests":[{"mediaType":"m","digest":%q,"size":%d}]}`, digestOf([]byte(manifest)), len(manifest)),
		"manifest.json", fmt.Sprintf(`[{"Config":%q,"Layers":[%q]}]`, blob(config), blob(layer)))
	for _, c := range []struct {
		name    string
		archive []byte
		root    string
		blobs   []string
	}{
		{"the old form", old, "", []string{config, layer, gz}},
		{"an OCI layout", oci, digestOf([]byte(manifest)), []string{config, layer, manifest}},
	} {
		t.Run(c.name, func(t *testing.T) {
			socket, _ := serveDocker(t, map[string]http.HandlerFunc{"GET /images/docker.io/library/a:1/get": says(string(c.archive))})
			scratch := t.TempDir()
			stores := linuxStores{dockerSocket: socket}
			image, err := stores.Image(t.Context(), v1alpha1.Docker, "a:1", scratch)
			if err != nil {
				t.Fatal(err)
			}
			defer image.Close()
			checkBlobs(t, image)
			for _, text := range c.blobs {
				if _, ok := image.Blobs[digestOf([]byte(text))]; !ok {
					t.Errorf("%q is missing", text)
				}
			}
			if c.root != "" && image.Digest != c.root {
				t.Errorf("root is %s", image.Digest)
			}
			if left := names(t, scratch); len(left) > 0 {
				t.Errorf("in scratch: %v", left)
			}
			if _, err := stores.Image(t.Context(), v1alpha1.Docker, "b:1", scratch); err == nil {
				t.Error("an unknown image was found")
			}
		})
	}
}

// checkBlobs reads every blob and compares it with its digest and size.
func checkBlobs(t *testing.T, image *StoredImage) {
	t.Helper()
	if _, ok := image.Blobs[image.Digest]; !ok {
		t.Errorf("the root %s isn't there", image.Digest)
	}
	for digest, blob := range image.Blobs {
		in, err := blob.Open(context.Background())
		if err != nil {
			t.Errorf("%s: %v", digest, err)
			continue
		}
		data, err := io.ReadAll(in)
		_ = in.Close()
		if err != nil || digestOf(data) != digest || int64(len(data)) != blob.Size {
			t.Errorf("%s (%d bytes): read %s, %d bytes, %v", digest, blob.Size, digestOf(data), len(data), err)
		}
	}
}
