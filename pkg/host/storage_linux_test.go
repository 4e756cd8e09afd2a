package host

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vbatts/tar-split/tar/asm"
	"github.com/vbatts/tar-split/tar/storage"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/imageref"
)

// layStorage makes a store of containers/storage with one image of the given layers.
func layStorage(t *testing.T, name string, layers ...[]byte) (store, manifest string) {
	t.Helper()
	store = t.TempDir()
	put := func(p string, data []byte) {
		t.Helper()
		p = filepath.Join(store, p)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o700), os.WriteFile(p, data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	jsonOf := func(v any) []byte {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var list []storageLayer
	parent := ""
	for i, data := range layers {
		id := strings.Repeat(string(rune('a'+i)), 64)
		list = append(list, storageLayer{ID: id, Parent: parent, DiffID: digestOf(data), DiffSize: int64(len(data))})
		parent = id
		put("overlay-layers/"+id+".tar-split.gz", split(t, data))
		unpack(t, data, filepath.Join(store, "overlay", id, "diff"))
	}
	put("overlay-layers/layers.json", jsonOf(list))
	config := []byte(`{"architecture":"amd64"}`)
	doc := document{SchemaVersion: 2, MediaType: ociManifest, Config: &descriptor{MediaType: ociConfig, Digest: digestOf(config), Size: int64(len(config))}}
	doc.Layers = []descriptor{{MediaType: ociLayerGzip, Digest: "sha256:compressed", Size: 1}}
	image := digestOf(config)[len("sha256:"):]
	put("overlay-images/images.json", jsonOf([]storageImage{{ID: "other", Names: []string{"x.io/other:1"}}, {ID: image, Names: []string{name}, TopLayer: parent}}))
	put("overlay-images/"+image+"/manifest", jsonOf(doc))
	put("overlay-images/"+image+"/"+filepath.Base(bigData(store, image, digestOf(config))), config)
	return store, string(jsonOf(doc))
}

// split makes the record from which a layer is put together again.
func split(t *testing.T, layer []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	in, done, err := asm.NewInputTarStreamWithDone(bytes.NewReader(layer), storage.NewJSONPacker(zip), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unpack(t *testing.T, layer []byte, dir string) {
	t.Helper()
	for in := tar.NewReader(bytes.NewReader(layer)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		p := filepath.Join(dir, h.Name)
		data, err := io.ReadAll(in)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(p), 0o700)); err != nil {
			t.Fatal(err)
		}
		switch h.Typeflag {
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, p)
		default:
			err = os.WriteFile(p, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestStorageImage(t *testing.T) {
	base := tarOf(t, "etc/os-release", "ID=x\n", "bin/sh", "#!\n", "bin/bash", "-> sh", "etc/empty", "")
	top := tarOf(t, "./app", strings.Repeat("binary", 1000), "etc/.wh.empty", "")
	store, _ := layStorage(t, "reg.io/team/app:1", base, top)
	ref, err := imageref.Parse("reg.io/team/app:1")
	if err != nil {
		t.Fatal(err)
	}
	image, err := storedImage(store, ref)
	if err != nil {
		t.Fatal(err)
	}
	checkBlobs(t, image)
	for _, layer := range [][]byte{base, top} {
		if _, ok := image.Blobs[digestOf(layer)]; !ok {
			t.Error("a layer isn't what it was")
		}
	}
	if len(image.Blobs) != 4 || image.MediaType != ociManifest {
		t.Errorf("%d blobs, %s", len(image.Blobs), image.MediaType)
	}
	ref.Tag = "2"
	if _, err := storedImage(store, ref); !errors.Is(err, ErrNotExist) {
		t.Errorf("another tag: %v", err)
	}
}

// A layer that was changed on disk, or that leads out by a link, is never handed on.
func TestStorageImageSpoiled(t *testing.T) {
	layer := tarOf(t, "etc/shadow", "root:*:\n")
	for name, spoil := range map[string]func(diff string) error{
		"changed": func(diff string) error { return os.WriteFile(diff+"/etc/shadow", []byte("root:x:\n"), 0o600) },
		"missing": func(diff string) error { return os.Remove(diff + "/etc/shadow") },
		"link out": func(diff string) error {
			return errors.Join(os.RemoveAll(diff+"/etc"), os.Symlink("/etc", diff+"/etc"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			store, _ := layStorage(t, "reg.io/a:1", layer)
			ref, _ := imageref.Parse("reg.io/a:1")
			image, err := storedImage(store, ref)
			if err != nil {
				t.Fatal(err)
			}
			if err := spoil(filepath.Join(store, "overlay", strings.Repeat("a", 64), "diff")); err != nil {
				t.Fatal(err)
			}
			in, err := image.Blobs[digestOf(layer)].Open(t.Context())
			if err != nil {
				return
			}
			defer in.Close()
			if _, err := io.Copy(io.Discard, in); err == nil {
				t.Error("it was read to its end")
			}
		})
	}
}

func TestPodmanContainers(t *testing.T) {
	store := t.TempDir()
	dir := filepath.Join(store, "overlay-containers")
	list := `[{"id":"c1","names":["k8s_x"],"image":"i1","layer":"l1","metadata":"{\"pod-name\":\"a\",\"pod-id\":\"p1\"}"},
		{"id":"c2","names":["toolbox"],"image":"i2","layer":"l2","metadata":"{\"image-name\":\"fedora\"}"}]`
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(dir+"/containers.json", []byte(list), 0o600)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"c2", "l2"}, podmanIDs(store)); diff != "" {
		t.Error(diff)
	}
}

func TestBigData(t *testing.T) {
	for key, want := range map[string]string{
		"manifest":      "/s/overlay-images/i/manifest",
		"sha256:abc":    "/s/overlay-images/i/=c2hhMjU2OmFiYw==",
		"Signature.1.x": "/s/overlay-images/i/=U2lnbmF0dXJlLjEueA==",
	} {
		if got := bigData("/s", "i", key); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
