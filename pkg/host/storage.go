//go:build linux

package host

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vbatts/tar-split/tar/asm"
	"github.com/vbatts/tar-split/tar/storage"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/imageref"
)

// crioStore is where containers/storage keeps what root has, for CRI-O and podman alike.
const crioStore = "/var/lib/containers/storage"

// store asks CRI-O where its store is; one that doesn't answer has it in the usual place.
func (s linuxStores) store(ctx context.Context) string {
	r, err := linuxCRI{}.Dial(ctx, "unix://"+s.crioSocket, criV1)
	if err != nil {
		return crioStore
	}
	defer func() { _ = r.Close() }()
	// It names the directory of its driver's images.
	if store, err := r.ImageFs(ctx); err == nil && filepath.Base(store.Path) == "overlay-images" {
		return filepath.Dir(store.Path)
	}
	return crioStore
}

// foreignStorage lists podman's containers in the store.
func (s linuxStores) foreignStorage(ctx context.Context) ([]v1alpha1.Container, error) {
	store := s.store(ctx)
	var out []v1alpha1.Container
	for _, c := range storageContainers(store) {
		if c.ofPod() {
			continue
		}
		f := v1alpha1.Container{ID: c.ID, Image: c.ImageID, Scope: "podman"}
		if len(c.Names) > 0 {
			f.Name = c.Names[0]
		}
		var meta struct {
			ImageName string `json:"image-name"`
		}
		if json.Unmarshal([]byte(c.Metadata), &meta) == nil && meta.ImageName != "" {
			f.Image = meta.ImageName
		}
		f.Running = s.monitored(c.ID)
		out = append(out, f)
	}
	return out, nil
}

// monitored reports whether a conmon watches the container.
func (s linuxStores) monitored(id string) bool {
	list, err := s.procs.Find("conmon")
	if err != nil {
		return false
	}
	return slices.ContainsFunc(list, func(p v1alpha1.Process) bool { return argument(p.Argv, "-c") == id })
}

// storageImage is a line of containers/storage's list of images.
type storageImage struct {
	ID       string   `json:"id"`
	Names    []string `json:"names"`
	TopLayer string   `json:"layer"`
}

// storageLayer is a line of its list of layers.
type storageLayer struct {
	ID       string `json:"id"`
	Parent   string `json:"parent"`
	DiffID   string `json:"diff-digest"`
	DiffSize int64  `json:"diff-size"`
}

// imageStorage gives an image of containers/storage. The store keeps manifest and configuration as they came; layers it
// keeps unpacked, with a record by which the uncompressed archive is put together again to the byte. Registries mostly serve
// compressed ones, so a manifest is written that names the uncompressed: the configuration, and with it the image's ID, is
// the same; the manifest's digest isn't.
func (s linuxStores) imageStorage(ctx context.Context, ref imageref.Ref) (*StoredImage, error) {
	return storedImage(s.store(ctx), ref)
}

func storedImage(store string, ref imageref.Ref) (*StoredImage, error) {
	image, err := findStorageImage(store, ref)
	if err != nil {
		return nil, err
	}
	manifest, err := readFile(bigData(store, image.ID, "manifest"))
	if err != nil {
		return nil, err
	}
	var doc document
	if err := json.Unmarshal(manifest, &doc); err != nil || doc.Config == nil {
		return nil, errors.New("its manifest is of an old kind that has no configuration")
	}
	config, err := readFile(bigData(store, image.ID, doc.Config.Digest))
	if err != nil {
		return nil, err
	}
	layers, err := storageLayers(store, image.TopLayer)
	if err != nil {
		return nil, err
	}
	return uncompressed(config, doc.Config.MediaType, layers, func(l storageLayer) (io.ReadCloser, error) { return openLayer(store, l.ID) })
}

func findStorageImage(store string, ref imageref.Ref) (storageImage, error) {
	var images []storageImage
	if err := readJSON(filepath.Join(store, "overlay-images", "images.json"), &images); err != nil {
		return storageImage{}, err
	}
	for _, i := range images {
		if slices.ContainsFunc(i.Names, func(n string) bool { return imageref.Complete(n) == ref.String() }) {
			return i, nil
		}
	}
	return storageImage{}, ErrNotExist
}

// storageLayers are the layers of an image, the base first.
func storageLayers(store, top string) ([]storageLayer, error) {
	byID := map[string]storageLayer{}
	for _, name := range []string{"layers.json", "volatile-layers.json"} {
		var list []storageLayer
		if err := readJSON(filepath.Join(store, "overlay-layers", name), &list); err != nil && !errors.Is(err, ErrNotExist) {
			return nil, err
		}
		for _, l := range list {
			byID[l.ID] = l
		}
	}
	var out []storageLayer
	for id := top; id != ""; id = byID[id].Parent {
		l, ok := byID[id]
		if !ok {
			return nil, &missingError{digest: "layer " + id}
		}
		if l.DiffID == "" {
			return nil, &missingError{digest: "the checksum of layer " + id, why: ": it was pulled in parts"}
		}
		out = append(out, l)
	}
	slices.Reverse(out)
	return out, nil
}

func readJSON(path string, into any) error {
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotExist
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// bigData is the file of an image's item; names with anything but small letters, digits and dots are encoded.
func bigData(store, image, key string) string {
	name := key
	if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789.") != "" {
		name = "=" + base64.StdEncoding.EncodeToString([]byte(key))
	}
	return filepath.Join(store, "overlay-images", image, name)
}

// openLayer puts a layer's archive together from its record and its files. Links in the layer can't lead out of it.
func openLayer(store, id string) (io.ReadCloser, error) {
	record, err := os.Open(filepath.Join(store, "overlay-layers", id+".tar-split.gz"))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = record.Close()
		}
	}()
	unzip, err := gzip.NewReader(record)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Join(store, "overlay", id, "diff"))
	if err != nil {
		return nil, err
	}
	tar := asm.NewOutputTarStream(layerFiles{root}, storage.NewJSONUnpacker(unzip))
	return &layerStream{ReadCloser: tar, also: []io.Closer{root, record}}, nil
}

// layerFiles finds the files of a layer by their names in its archive.
type layerFiles struct{ root *os.Root }

func (l layerFiles) Get(name string) (io.ReadCloser, error) {
	return l.root.Open(strings.TrimLeft(filepath.Clean("/"+name), "/"))
}

type layerStream struct {
	io.ReadCloser
	also []io.Closer
}

func (l *layerStream) Close() error {
	err := l.ReadCloser.Close()
	for _, c := range l.also {
		err = errors.Join(err, c.Close())
	}
	return err
}

// uncompressed makes an image of uncompressed layers, with a manifest of its own.
func uncompressed(config []byte, configType string, layers []storageLayer, open func(storageLayer) (io.ReadCloser, error)) (*StoredImage, error) {
	if configType == "" {
		configType = ociConfig
	}
	sum := digestOf(config)
	image := &StoredImage{MediaType: ociManifest, Blobs: map[string]Blob{}}
	image.addBytes(configType, sum, config)
	// Media types of the two families aren't mixed: some clients refuse it.
	layerType := ociLayer
	if configType != ociConfig {
		image.MediaType, layerType = dockerManifest, "application/vnd.docker.image.rootfs.diff.tar"
	}
	doc := document{SchemaVersion: 2, MediaType: image.MediaType, Config: &descriptor{MediaType: configType, Digest: sum, Size: int64(len(config))}}
	for _, l := range layers {
		if l.DiffSize <= 0 {
			size, err := measure(l, open)
			if err != nil {
				return nil, err
			}
			l.DiffSize = size
		}
		doc.Layers = append(doc.Layers, descriptor{MediaType: layerType, Digest: l.DiffID, Size: l.DiffSize})
		image.Blobs[l.DiffID] = Blob{MediaType: layerType, Size: l.DiffSize, Open: func(context.Context) (io.ReadCloser, error) { return open(l) }}
	}
	manifest, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	image.Digest = digestOf(manifest)
	image.addBytes(image.MediaType, image.Digest, manifest)
	image.Close = func() error { return nil }
	return image, nil
}

func measure(l storageLayer, open func(storageLayer) (io.ReadCloser, error)) (int64, error) {
	in, err := open(l)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	return io.Copy(io.Discard, in)
}

func digestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
