package runtimes

import "github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"

// DockerImagesInContainerd reports whether dockerd keeps images in containerd instead of its own store. From 29 on it
// does so unless it is told otherwise or finds an older store of its own, which isn't looked for: careful is to say yes.
func DockerImagesInContainerd(f *v1alpha1.Facts) bool {
	j := daemonJSON(f)
	if told, ok := j.boolean("features", "containerd-snapshotter"); ok {
		return told
	}
	switch firstOf(dockerCommand(f), j, "storage-driver") {
	case "overlay2", "fuse-overlayfs", "btrfs", "zfs", "vfs":
		return false
	}
	v := f.Runtime(v1alpha1.Docker).Binaries["dockerd"].Version
	return known(v) && !before(v, 29, 0, 0)
}
