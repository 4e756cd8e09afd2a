package check

import (
	"fmt"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// room compares what the old store holds with what the new one's disk has left. Only images of pods that will run there
// are brought in, so the old store is the upper bound; the sum of what its images weigh is the likely case.
func room(n *node) []v1alpha1.Finding {
	from, to := n.f.Runtime(n.from), n.f.Runtime(n.to.Name)
	fs, ok := targetStore(n)
	if !ok || fs.Bytes == 0 {
		return warn("", "the room for %s's images isn't known", n.to.Name)
	}
	if fs.ReadOnly {
		return shown(stop("", "the file system for %s's images is read-only", n.to.Name), fs.Path)
	}
	likely := int64(0)
	if from.CRI != nil {
		for _, i := range from.CRI.Images {
			likely += i.Bytes
		}
	}
	most := max(from.StoreBytes, likely) - to.StoreBytes
	likely -= to.StoreBytes
	limit := lowest(fs.Bytes, ceilings(n, fs, false))
	used := fs.Bytes - fs.FreeBytes
	switch {
	case used+likely > limit.used:
		return shown(stop("remove unused images from the old store (crictl rmi --prune), or enlarge the disk",
			"%s of images would fill the disk beyond %s (%s of %s are in use)", size(likely), limit.name, size(used), size(fs.Bytes)), fs.Path)
	case used+most > limit.used:
		return shown(warn("remove unused images from the old store (crictl rmi --prune), or enlarge the disk",
			"if all images of the old store (%s) came along, the disk would be filled beyond %s", size(most), limit.name), fs.Path)
	}
	return nil
}

func filesystem(f *v1alpha1.Facts, paths ...string) (v1alpha1.Filesystem, bool) {
	for _, p := range paths {
		for _, fs := range f.Filesystems {
			if p != "" && fs.Path == p {
				return fs, true
			}
		}
	}
	return v1alpha1.Filesystem{}, false
}

func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", max(n, 0)>>10)
}
