//go:build linux

package host

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/imageref"
)

type linuxStores struct {
	procs                                      linuxProcs
	dockerSocket, containerdSocket, crioSocket string
}

func (s linuxStores) Foreign(ctx context.Context, runtime v1alpha1.RuntimeName) ([]v1alpha1.Container, error) {
	switch runtime {
	case v1alpha1.Containerd:
		return s.foreignContainerd(ctx)
	case v1alpha1.CRIO:
		return s.foreignStorage(ctx)
	case v1alpha1.Docker:
		return s.foreignDocker(ctx)
	}
	return nil, fmt.Errorf("unknown runtime %q", runtime)
}

func (s linuxStores) Image(ctx context.Context, runtime v1alpha1.RuntimeName, ref, scratch string) (*StoredImage, error) {
	name, err := imageref.Parse(ref)
	if err != nil {
		return nil, err
	}
	var image *StoredImage
	switch runtime {
	case v1alpha1.Containerd:
		image, err = s.imageContainerd(ctx, name)
	case v1alpha1.CRIO:
		image, err = s.imageStorage(ctx, name)
	case v1alpha1.Docker:
		image, err = s.imageDocker(ctx, name, scratch)
	default:
		err = fmt.Errorf("unknown runtime %q", runtime)
	}
	if err != nil {
		return nil, fmt.Errorf("image %s in the store of %s: %w", ref, runtime, err)
	}
	return image, nil
}

func (s linuxStores) foreignDocker(ctx context.Context) ([]v1alpha1.Container, error) {
	list, err := newDockerClient(s.dockerSocket).containers(ctx)
	if err != nil {
		return nil, err
	}
	var out []v1alpha1.Container
	for _, c := range list {
		if c.Labels[dockerTypeLabel] != "" {
			continue
		}
		f := v1alpha1.Container{ID: c.ID, Image: c.Image, Scope: "docker", Running: c.State == "running" || c.State == "paused", Labels: telling(func(name string) string { return c.Labels[name] })}
		for _, m := range c.Mounts {
			if m.Type == "volume" && m.Name != "" {
				f.Volumes = append(f.Volumes, m.Name)
			}
		}
		if len(c.Names) > 0 {
			f.Name = strings.TrimPrefix(c.Names[0], "/")
		}
		out = append(out, f)
	}
	return out, nil
}

// telling keeps the labels that say who made a container; nil without any.
func telling(value func(name string) string) map[string]string {
	var out map[string]string
	for _, name := range []string{v1alpha1.LabelComposeProject, v1alpha1.LabelComposeService, v1alpha1.LabelSwarmService, v1alpha1.LabelStack} {
		if v := value(name); v != "" {
			if out == nil {
				out = map[string]string{}
			}
			out[name] = v
		}
	}
	return out
}

func (s linuxStores) Swarm(ctx context.Context) (v1alpha1.Swarm, error) {
	var info struct {
		Swarm struct {
			LocalNodeState   string `json:"LocalNodeState"`
			ControlAvailable bool   `json:"ControlAvailable"`
			Nodes            int    `json:"Nodes"`
			Managers         int    `json:"Managers"`
		} `json:"Swarm"`
	}
	if err := newDockerClient(s.dockerSocket).get(ctx, "/info", nil, &info); err != nil {
		return v1alpha1.Swarm{}, err
	}
	w := info.Swarm
	return v1alpha1.Swarm{State: w.LocalNodeState, Manager: w.ControlAvailable, Nodes: w.Nodes, Managers: w.Managers}, nil
}

// The media types that are told apart.
const (
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	ociConfig      = "application/vnd.oci.image.config.v1+json"
	ociLayer       = "application/vnd.oci.image.layer.v1.tar"
	ociLayerGzip   = "application/vnd.oci.image.layer.v1.tar+gzip"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
)

// descriptor points at a blob.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
	Platform  *struct {
		Architecture string `json:"architecture"`
		OS           string `json:"os"`
		Variant      string `json:"variant"`
	} `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// document is an index or a manifest.
type document struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType,omitempty"`
	Manifests     []descriptor `json:"manifests,omitempty"`
	Config        *descriptor  `json:"config,omitempty"`
	Layers        []descriptor `json:"layers,omitempty"`
}

// missingError says that a store no longer has a piece of an image.
type missingError struct{ digest, why string }

func (e *missingError) Error() string {
	return fmt.Sprintf("the store doesn't have %s of it%s", e.digest, e.why)
}

// content gives the pieces of an image that lie in a store as they came.
type content interface {
	// stat returns the size of a blob; ok is false when the store doesn't have it.
	stat(ctx context.Context, digest string) (size int64, ok bool, err error)
	open(ctx context.Context, digest string) (io.ReadCloser, error)
}

const maxManifest = 8 << 20

// collect walks an image from its root and lists what the store has. Of an index the manifests that the store doesn't have
// are left out, as long as one is whole: stores keep their own platform only.
func collect(ctx context.Context, from content, root descriptor) (*StoredImage, error) {
	image := &StoredImage{MediaType: root.MediaType, Digest: root.Digest, Blobs: map[string]Blob{}}
	doc, err := image.addDocument(ctx, from, root)
	if err != nil {
		return nil, err
	}
	if len(doc.Manifests) == 0 {
		return image, image.addManifest(ctx, from, doc)
	}
	var whole int
	var last error
	for _, m := range doc.Manifests {
		if _, ok, err := from.stat(ctx, m.Digest); err != nil {
			return nil, err
		} else if !ok {
			continue
		}
		child, err := image.addDocument(ctx, from, m)
		if err != nil {
			return nil, err
		}
		if len(child.Manifests) > 0 || child.Config == nil {
			continue // an index in an index, or an attestation: nothing to run
		}
		if err := image.addManifest(ctx, from, child); err != nil {
			delete(image.Blobs, m.Digest)
			last = err
			continue
		}
		whole++
	}
	switch {
	case whole > 0:
		return image, nil
	case last != nil:
		return nil, last
	}
	return nil, &missingError{digest: "any platform", why: ""}
}

func (i *StoredImage) addDocument(ctx context.Context, from content, d descriptor) (document, error) {
	var doc document
	data, err := readBlob(ctx, from, d.Digest)
	if err != nil {
		return doc, err
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return doc, fmt.Errorf("reading manifest %s: %w", d.Digest, err)
	}
	i.addBytes(d.MediaType, d.Digest, data)
	return doc, nil
}

func (i *StoredImage) addBytes(mediaType, digest string, data []byte) {
	i.Blobs[digest] = Blob{MediaType: mediaType, Size: int64(len(data)), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(string(data))), nil
	}}
}

func (i *StoredImage) addManifest(ctx context.Context, from content, doc document) error {
	if doc.Config == nil {
		return fmt.Errorf("its manifest has no configuration")
	}
	for n, d := range append([]descriptor{*doc.Config}, doc.Layers...) {
		size, ok, err := from.stat(ctx, d.Digest)
		if err != nil {
			return err
		}
		if !ok {
			why := ""
			if n > 0 {
				why = ": layers are discarded once they are unpacked (discard_unpacked_layers)"
			}
			return &missingError{digest: d.Digest, why: why}
		}
		i.Blobs[d.Digest] = Blob{MediaType: d.MediaType, Size: size, Open: func(ctx context.Context) (io.ReadCloser, error) {
			return from.open(ctx, d.Digest)
		}}
	}
	return nil
}

func readBlob(ctx context.Context, from content, digest string) ([]byte, error) {
	size, ok, err := from.stat(ctx, digest)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, &missingError{digest: digest}
	}
	if size > maxManifest {
		return nil, fmt.Errorf("manifest %s has %d bytes", digest, size)
	}
	in, err := from.open(ctx, digest)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(io.LimitReader(in, maxManifest))
}
