package images

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// descriptor and manifest are the parts of an image's documents that an archive is made from.
type descriptor struct {
	Digest   string `json:"digest"`
	Platform struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
	} `json:"platform"`
}

type manifest struct {
	Manifests []descriptor `json:"manifests"`
	Config    descriptor   `json:"config"`
	Layers    []descriptor `json:"layers"`
}

// load hands an image to a runtime as a docker-archive, which has names but no digests.
func (s *stager) load(ctx context.Context, loader host.Loader, i image, stored *host.StoredImage) error {
	if i.name.Digest != "" {
		return errors.New("an archive can't carry the digest by which it is named")
	}
	info, err := s.m.Kernel.Info()
	if err != nil {
		return err
	}
	doc, err := platform(ctx, stored, info.Architecture)
	if err != nil {
		return err
	}
	out, in := io.Pipe()
	go func() { _ = in.CloseWithError(writeArchive(ctx, in, i.name.String(), stored, doc)) }() // the reader gets the error
	return errors.Join(loader.Load(ctx, out), out.Close())
}

// platform returns the manifest for this machine.
func platform(ctx context.Context, stored *host.StoredImage, architecture string) (manifest, error) {
	doc, err := document(ctx, stored, stored.Digest)
	if err != nil || len(doc.Manifests) == 0 {
		return doc, err
	}
	var last error
	for _, exact := range []bool{true, false} {
		for _, d := range doc.Manifests {
			if _, ok := stored.Blobs[d.Digest]; !ok || exact && (d.Platform.Architecture != architecture || d.Platform.OS != "linux") {
				continue
			}
			child, err := document(ctx, stored, d.Digest)
			if err == nil && complete(stored, child) {
				return child, nil
			}
			last = err
		}
	}
	return manifest{}, errors.Join(fmt.Errorf("it has no manifest for linux/%s", architecture), last)
}

func complete(stored *host.StoredImage, doc manifest) bool {
	for _, d := range append([]descriptor{doc.Config}, doc.Layers...) {
		if _, ok := stored.Blobs[d.Digest]; !ok {
			return false
		}
	}
	return true
}

func document(ctx context.Context, stored *host.StoredImage, digest string) (manifest, error) {
	var doc manifest
	in, err := stored.Blobs[digest].Open(ctx)
	if err != nil {
		return doc, err
	}
	defer in.Close()
	if err := json.NewDecoder(in).Decode(&doc); err != nil {
		return doc, fmt.Errorf("reading manifest %s: %w", digest, err)
	}
	return doc, nil
}

// writeArchive writes what docker save did before it knew OCI layouts; layers may be compressed as they are.
func writeArchive(ctx context.Context, w io.Writer, name string, stored *host.StoredImage, doc manifest) error {
	out := tar.NewWriter(w)
	index := []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}{{Config: encoded(doc.Config.Digest) + ".json", RepoTags: []string{name}}}
	written := map[string]bool{}
	add := func(digest, file string) error {
		if written[file] {
			return nil
		}
		written[file] = true
		blob, ok := stored.Blobs[digest]
		if !ok {
			return fmt.Errorf("it has no %s", digest)
		}
		in, err := blob.Open(ctx)
		if err != nil {
			return err
		}
		defer in.Close()
		if err := out.WriteHeader(&tar.Header{Name: file, Mode: 0o644, Size: blob.Size}); err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		return err
	}
	if err := add(doc.Config.Digest, index[0].Config); err != nil {
		return err
	}
	for _, layer := range doc.Layers {
		file := encoded(layer.Digest) + ".tar"
		if err := add(layer.Digest, file); err != nil {
			return err
		}
		index[0].Layers = append(index[0].Layers, file)
	}
	text, err := json.Marshal(index)
	if err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Name: "manifest.json", Mode: 0o644, Size: int64(len(text))}); err != nil {
		return err
	}
	if _, err := out.Write(text); err != nil {
		return err
	}
	return out.Close()
}

func encoded(digest string) string { return digest[strings.IndexByte(digest, ':')+1:] }
