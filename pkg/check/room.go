package check

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// room compares what the old store holds with what the new one's disk has left. Only images of pods that will run there
// are brought in, so the old store is the upper bound; the sum of what its images weigh is the likely case.
func room(n *node) []v1alpha1.Finding {
	from, to := n.f.Runtime(n.from), n.f.Runtime(n.to.Name)
	fs, ok := filesystem(n.f, to.StorePath, n.to.Store)
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
	limit, what := threshold(n, fs, from)
	used := fs.Bytes - fs.FreeBytes
	switch {
	case used+likely > limit:
		return shown(stop("remove unused images from the old store (crictl rmi --prune), or enlarge the disk",
			"%s of images would fill the disk beyond %s (%s of %s are in use)", size(likely), what, size(used), size(fs.Bytes)), fs.Path)
	case used+most > limit:
		return shown(warn("remove unused images from the old store (crictl rmi --prune), or enlarge the disk",
			"if all images of the old store (%s) came along, the disk would be filled beyond %s", size(most), what), fs.Path)
	case fs.Inodes > 0 && fs.FreeInodes*100/fs.Inodes < 10:
		return shown(warn("", "few inodes are left where %s's images go", n.to.Name), fs.Path)
	}
	return nil
}

// threshold is the use at which the kubelet starts to take things away, in bytes, and its name.
func threshold(n *node, fs v1alpha1.Filesystem, from v1alpha1.RuntimeInfo) (limit int64, what string) {
	limit, what = fs.Bytes, "its end"
	lower := func(percent int64, name string) {
		if x := fs.Bytes / 100 * percent; percent > 0 && x < limit {
			limit, what = x, name
		}
	}
	old, _ := filesystem(n.f, from.StorePath, from.StorePath)
	if old.Device == "" || old.Device == fs.Device {
		high := int64(85)
		if s, ok := kubeletField(n, "imageGCHighThresholdPercent"); ok {
			if v, err := strconv.ParseInt(s, 10, 64); err == nil {
				high = v
			}
		}
		lower(high, fmt.Sprintf("the kubelet's image garbage collection threshold of %d %%", high))
		lower(100-evictionPercent(n, "imagefs.available", 15), "the kubelet's eviction threshold imagefs.available")
	}
	if root, ok := filesystem(n.f, n.v.RootDir, "/var/lib/kubelet"); ok && root.Device == fs.Device {
		lower(100-evictionPercent(n, "nodefs.available", 10), "the kubelet's eviction threshold nodefs.available")
	}
	return limit, what
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

// evictionPercent reads a threshold in percent; an absolute one counts as none.
func evictionPercent(n *node, signal string, byDefault int64) int64 {
	s, ok := kubeletField(n, "evictionHard", signal)
	if !ok {
		return byDefault
	}
	percent, ok := strings.CutSuffix(s, "%")
	if !ok {
		return 0
	}
	v, err := strconv.ParseFloat(percent, 64)
	if err != nil {
		return byDefault
	}
	return int64(v)
}

// kubeletField reads a field of the kubelet's configuration file.
func kubeletField(n *node, key ...string) (string, bool) {
	x, ok := n.f.File(n.v.ConfigFile)
	if !ok || x.Type != v1alpha1.Regular {
		return "", false
	}
	y, err := edit.ParseYAML(x.Content)
	if err != nil {
		return "", false
	}
	s, _, ok := y.Get(key...)
	return s, ok
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
