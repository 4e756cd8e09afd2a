//go:build linux

package host

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/api/types"
)

// rebuild makes an image whose layers are only left unpacked. Archives made from directories have other checksums than the
// original ones, so the configuration that lists them changes and with it the image's ID; what is in the image doesn't.
func (c containerdClient) rebuild(ctx context.Context, from containerdContent, root descriptor) (*StoredImage, error) {
	doc, err := platformDocument(ctx, from, root)
	if err != nil {
		return nil, err
	}
	config, err := readBlob(ctx, from, doc.Config.Digest)
	if err != nil {
		return nil, err
	}
	var parsed struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(config, &parsed); err != nil || len(parsed.RootFS.DiffIDs) == 0 {
		return nil, errors.New("its configuration lists no layers")
	}
	dirs, err := c.unpacked(ctx, from, doc.Config.Digest, chainID(parsed.RootFS.DiffIDs))
	if err != nil {
		return nil, err
	}
	if len(dirs) != len(parsed.RootFS.DiffIDs) {
		return nil, fmt.Errorf("it has %d layers and %d are unpacked", len(parsed.RootFS.DiffIDs), len(dirs))
	}
	var layers []storageLayer
	var ids []string
	for _, dir := range dirs {
		sum := sha256.New()
		size, err := writeLayer(ctx, sum, dir)
		if err != nil {
			return nil, err
		}
		id := "sha256:" + hex.EncodeToString(sum.Sum(nil))
		layers, ids = append(layers, storageLayer{ID: dir, DiffID: id, DiffSize: size}), append(ids, id)
	}
	if config, err = withLayers(config, ids); err != nil {
		return nil, err
	}
	return uncompressed(config, doc.Config.MediaType, layers, func(l storageLayer) (io.ReadCloser, error) {
		out, in := io.Pipe()
		go func() {
			_, err := writeLayer(ctx, in, l.ID)
			_ = in.CloseWithError(err) // the reader gets the error
		}()
		return out, nil
	})
}

// platformDocument is the manifest that the store has for this machine: of an index, the one with a configuration.
func platformDocument(ctx context.Context, from content, root descriptor) (document, error) {
	scratch := &StoredImage{Blobs: map[string]Blob{}}
	doc, err := scratch.addDocument(ctx, from, root)
	if err != nil {
		return doc, err
	}
	for _, m := range doc.Manifests {
		if _, ok, err := from.stat(ctx, m.Digest); err != nil || !ok {
			continue
		}
		child, err := scratch.addDocument(ctx, from, m)
		if err != nil || child.Config == nil {
			continue
		}
		if _, ok, err := from.stat(ctx, child.Config.Digest); err == nil && ok {
			return child, nil
		}
	}
	if doc.Config == nil {
		return doc, errors.New("the store has no manifest of it")
	}
	return doc, nil
}

// chainID names a stack of layers (OCI image specification, config.md).
func chainID(diffIDs []string) string {
	chain := diffIDs[0]
	for _, id := range diffIDs[1:] {
		chain = digestOf([]byte(chain + " " + id))
	}
	return chain
}

// withLayers writes other layers into a configuration.
func withLayers(config []byte, ids []string) ([]byte, error) {
	var whole, rootfs map[string]json.RawMessage
	if err := json.Unmarshal(config, &whole); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(whole["rootfs"], &rootfs); err != nil {
		return nil, err
	}
	var err error
	if rootfs["diff_ids"], err = json.Marshal(ids); err != nil {
		return nil, err
	}
	if whole["rootfs"], err = json.Marshal(rootfs); err != nil {
		return nil, err
	}
	return json.Marshal(whole)
}

// unpacked finds the directories of a stack of layers, the base first. The configuration's label tells by which snapshotter
// it was unpacked; a view of the stack, removed at once, tells the directories, which live as long as the image does.
func (c containerdClient) unpacked(ctx context.Context, from containerdContent, config, chain string) ([]string, error) {
	const snapshotLabel = "containerd.io/gc.ref.snapshot."
	ctx = inNamespace(ctx, from.namespace)
	info, err := from.api().Info(ctx, &contentapi.InfoRequest{Digest: config})
	if err != nil {
		return nil, fmt.Errorf("asking containerd how it is unpacked: %w", err)
	}
	snapshotter := ""
	for label, value := range info.GetInfo().GetLabels() {
		if name, ok := strings.CutPrefix(label, snapshotLabel); ok && value == chain {
			snapshotter = name
		}
	}
	if snapshotter == "" {
		return nil, errors.New("it isn't unpacked")
	}
	// Should this process be killed right here, containerd's garbage collection removes the view: nothing refers to it.
	key := "kubectl-runtime-" + rand.Text()
	snapshots := snapshotsapi.NewSnapshotsClient(c.conn)
	view, err := snapshots.View(ctx, &snapshotsapi.ViewSnapshotRequest{Snapshotter: snapshotter, Key: key, Parent: chain})
	if err != nil {
		return nil, fmt.Errorf("asking containerd for its directories: %w", err)
	}
	if _, err := snapshots.Remove(ctx, &snapshotsapi.RemoveSnapshotRequest{Snapshotter: snapshotter, Key: key}); err != nil {
		return nil, fmt.Errorf("removing the view of its directories: %w", err)
	}
	return layerDirs(view.GetMounts())
}

// layerDirs reads the directories from the mounts of a view: a bind mount of one, or the lower directories of an overlay,
// whose first is on top.
func layerDirs(mounts []*types.Mount) ([]string, error) {
	if len(mounts) != 1 {
		return nil, fmt.Errorf("its snapshot takes %d mounts", len(mounts))
	}
	switch m := mounts[0]; m.GetType() {
	case "bind":
		return []string{m.GetSource()}, nil
	case "overlay":
		for _, o := range m.GetOptions() {
			if list, ok := strings.CutPrefix(o, "lowerdir="); ok {
				dirs := strings.Split(list, ":")
				slices.Reverse(dirs)
				return dirs, nil
			}
		}
	}
	return nil, fmt.Errorf("its snapshot is of kind %q", mounts[0].GetType())
}
