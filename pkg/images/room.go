package images

import (
	"context"
	"fmt"
	"sync"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/imageref"
)

const (
	// unknownSize is assumed of an image that the old store doesn't have.
	unknownSize = 512 << 20
	// packed is how much larger images are in a store than containerd, which counts compressed layers, says.
	packed = 4
	// overhead is for what a store keeps beside the files: compressed layers, metadata.
	overhead = 1.3
)

// room guards the file system of the target's store. Once it is nearly full, the kubelet removes images, those of the old
// store among them, and the way back needs these.
type room struct {
	files interface {
		Filesystem(path string) (v1alpha1.Filesystem, error)
	}
	path  string
	floor int64
	sizes map[string]int64
	// copies is how often an image is there at once.
	copies int64

	mu       sync.Mutex
	promised int64
}

// measure looks how much room there is and how large the old runtime says that its images are.
func (s *stager) measure(ctx context.Context) (*room, error) {
	store, err := s.target.ImageFs(ctx)
	if err != nil || store.Path == "" {
		store.Path = "/var/lib"
	}
	s.store = store.Path
	fs, err := s.m.Files.Filesystem(store.Path)
	if err != nil {
		return nil, err
	}
	// The kubelet's default is to collect images at 85 %. Where there is less than that at the outset, the operator has told
	// it otherwise, which the plan's checks have looked at.
	floor := fs.Bytes * 15 / 100
	if fs.FreeBytes < floor {
		floor = fs.FreeBytes / 2
	}
	r := &room{files: s.m.Files, path: store.Path, floor: floor, sizes: s.sizes(ctx), copies: 1}
	if s.handsOver() {
		r.copies = 3 // in the instance's store, as an archive and in the daemon's
	}
	return r, nil
}

// sizes are what images take by their names; none where the old runtime doesn't answer.
func (s *stager) sizes(ctx context.Context) map[string]int64 {
	out := map[string]int64{}
	images, err := s.inSource(ctx)
	if err != nil {
		return out
	}
	for _, i := range images {
		size := int64(float64(i.Bytes) * overhead)
		if s.plan.From.Name == v1alpha1.Containerd {
			size = i.Bytes * packed
		}
		for _, ref := range append(i.Tags, i.Digests...) {
			out[imageref.Complete(ref)] = size
		}
	}
	return out
}

// take promises room for one image until it is there.
func (r *room) take(ref string) (release func(), err error) {
	size, known := r.sizes[ref]
	if !known {
		size = unknownSize
	}
	size *= max(r.copies, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	fs, err := r.files.Filesystem(r.path)
	if err != nil {
		return nil, err
	}
	if left := fs.FreeBytes - r.promised - size; left < r.floor {
		return nil, fmt.Errorf("no room: it takes about %d MiB, and %s has %d MiB free, of which %d must stay so that the kubelet removes nothing",
			size>>20, r.path, (fs.FreeBytes-r.promised)>>20, r.floor>>20)
	}
	r.promised += size
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.promised -= size
	}, nil
}
