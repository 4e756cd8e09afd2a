//go:build linux

package host

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/imageref"
)

// imageDocker saves an image of Docker into scratch, which takes as much room as its layers do uncompressed.
func (s linuxStores) imageDocker(ctx context.Context, ref imageref.Ref, scratch string) (*StoredImage, error) {
	body, err := newDockerClient(s.dockerSocket).send(ctx, http.MethodGet, "/images/"+ref.String()+"/get", nil, nil, nil)
	if errors.Is(err, errDockerMissing) {
		return nil, ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	defer body.Close()
	archive, err := spool(body, scratch)
	if err != nil {
		return nil, err
	}
	image, err := archive.image(ctx)
	if err != nil {
		return nil, errors.Join(err, archive.close())
	}
	image.Close = archive.close
	return image, nil
}

// archive is what docker save wrote: a file without a name, and where in it each entry and each content is.
type archive struct {
	file   *os.File
	named  map[string]piece
	digest map[string]piece
}

type piece struct {
	offset, size int64
	digest       string
}

// spool writes the entries of a tar stream into an unnamed file of scratch. It is gone with the last descriptor, whatever
// happens to this process.
func spool(in io.Reader, scratch string) (*archive, error) {
	file, err := os.CreateTemp(scratch, tempPrefix)
	if err != nil {
		return nil, err
	}
	a := &archive{file: file, named: map[string]piece{}, digest: map[string]piece{}}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, a.close())
	}
	var offset int64
	links := map[string]string{}
	for entries := tar.NewReader(in); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("reading docker's archive: %w", err), a.close())
		}
		name := path.Clean(header.Name)
		switch header.Typeflag {
		case tar.TypeSymlink: // a layer that images share, in archives of old daemons
			links[name] = path.Join(path.Dir(name), header.Linkname) //nolint:gosec // a name in the archive, never one on disk
			continue
		case tar.TypeLink:
			links[name] = path.Clean(header.Linkname)
			continue
		case tar.TypeReg:
		default:
			continue
		}
		sum := sha256.New()
		n, err := io.Copy(io.MultiWriter(file, sum), entries) //nolint:gosec // docker sends it as it is
		if err != nil {
			return nil, errors.Join(fmt.Errorf("reading docker's archive: %w", err), a.close())
		}
		p := piece{offset: offset, size: n, digest: "sha256:" + hex.EncodeToString(sum.Sum(nil))}
		a.named[name], a.digest[p.digest] = p, p
		offset += n
	}
	for name, target := range links {
		if p, ok := a.named[target]; ok {
			a.named[name] = p
		}
	}
	return a, nil
}

func (a *archive) close() error { return a.file.Close() }

func (a *archive) stat(_ context.Context, digest string) (int64, bool, error) {
	p, ok := a.digest[digest]
	return p.size, ok, nil
}

func (a *archive) open(_ context.Context, digest string) (io.ReadCloser, error) {
	p, ok := a.digest[digest]
	if !ok {
		return nil, &missingError{digest: digest}
	}
	return io.NopCloser(io.NewSectionReader(a.file, p.offset, p.size)), nil
}

func (a *archive) json(name string, into any) error {
	p, ok := a.named[name]
	if !ok {
		return ErrNotExist
	}
	return json.NewDecoder(io.NewSectionReader(a.file, p.offset, p.size)).Decode(into)
}

// image prefers the OCI layout that newer daemons write beside their own: where images are kept in containerd it has the
// registry's own manifests.
func (a *archive) image(ctx context.Context) (*StoredImage, error) {
	var index document
	if err := a.json("index.json", &index); err == nil && len(index.Manifests) == 1 {
		if image, err := collect(ctx, a, index.Manifests[0]); err == nil {
			return image, nil
		}
	}
	var list []struct {
		Config string   `json:"Config"`
		Layers []string `json:"Layers"`
	}
	if err := a.json("manifest.json", &list); err != nil || len(list) != 1 {
		return nil, errors.New("docker's archive has no manifest of one image")
	}
	config, ok := a.named[path.Clean(list[0].Config)]
	if !ok {
		return nil, &missingError{digest: "the configuration"}
	}
	doc := document{SchemaVersion: 2, MediaType: ociManifest, Config: &descriptor{MediaType: ociConfig, Digest: config.digest, Size: config.size}}
	for _, name := range list[0].Layers {
		layer, ok := a.named[path.Clean(name)]
		if !ok {
			return nil, &missingError{digest: "layer " + name}
		}
		kind, err := a.layerType(layer)
		if err != nil {
			return nil, err
		}
		doc.Layers = append(doc.Layers, descriptor{MediaType: kind, Digest: layer.digest, Size: layer.size})
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	image := &StoredImage{MediaType: ociManifest, Digest: digestOf(data), Blobs: map[string]Blob{}}
	image.addBytes(ociManifest, image.Digest, data)
	return image, image.addManifest(ctx, a, doc)
}

func (a *archive) layerType(p piece) (string, error) {
	magic := make([]byte, 2)
	if n, err := a.file.ReadAt(magic, p.offset); err != nil && n < len(magic) {
		return "", err
	}
	if bytes.Equal(magic, []byte{0x1f, 0x8b}) && p.size > 2 {
		return ociLayerGzip, nil
	}
	return ociLayer, nil
}
