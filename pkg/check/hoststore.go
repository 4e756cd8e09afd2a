package check

import (
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// targetStore is the file system on which the target keeps its images: where it says, where it is told, else where it
// does by default. A newer Docker keeps them in the node's containerd.
func targetStore(n *node) (v1alpha1.Filesystem, bool) {
	d := n.to
	if d.Name == v1alpha1.Docker && runtimes.DockerSharesContainerd(n.f) && runtimes.DockerImagesInContainerd(n.f) {
		if c, err := runtimes.Get(v1alpha1.Containerd); err == nil {
			d = c
		}
	}
	s, _ := d.ReadSettings(n.f)
	return filesystem(n.f, n.f.Runtime(d.Name).StorePath, s.StoreRoot, d.Store)
}

// inodes asks what room asks, of inodes. Some file systems (btrfs, XFS without a limit) make them as they are needed and
// count none.
func inodes(n *node) []v1alpha1.Finding {
	fs, ok := targetStore(n)
	if !ok || fs.Inodes == 0 {
		return nil
	}
	used := fs.Inodes - fs.FreeInodes
	limit := lowest(fs.Inodes, ceilings(n, fs, true))
	more := max(n.f.Runtime(n.from).StoreInodes-n.f.Runtime(n.to.Name).StoreInodes, 0)
	hint := "remove unused images from the old store (crictl rmi --prune), or give the store a file system with more inodes"
	switch {
	case used > limit.used:
		return shown(warn(hint, "the file system for the target's images is beyond %s already (%d of %d inodes are free)", limit.name, fs.FreeInodes, fs.Inodes), fs.Path)
	case used+more > limit.used:
		return shown(warn(hint, "if all images of the old store (%d inodes) came along, the file system would be filled beyond %s (%d of %d are free)", more, limit.name, fs.FreeInodes, fs.Inodes), fs.Path)
	case fs.FreeInodes*100/fs.Inodes < 10:
		return shown(warn(hint, "few inodes are left for the target's images: %d of %d", fs.FreeInodes, fs.Inodes), fs.Path)
	}
	return nil
}

// overlayable looks at the file system below the target's store, unless it is told to do without overlay.
func overlayable(n *node) []v1alpha1.Finding {
	s, _ := n.to.ReadSettings(n.f)
	switch s.StorageDriver {
	case "", "overlay", "overlayfs", "overlay2":
	default:
		return nil
	}
	fs, ok := targetStore(n)
	if !ok {
		return nil
	}
	hint := "mount a file system made with ftype=1 there, or tell " + string(n.to.Name) + " another place or driver"
	// Docker and CRI-O choose another driver, vfs, which copies every layer, unless they are told one.
	firm := n.to.Name == v1alpha1.Containerd || s.StorageDriver != ""
	switch {
	case fs.NoFileTypes && (fs.Type == "xfs" || fs.Type == "ext4") && firm:
		return shown(stop(hint, "%s refuses to keep images on %s whose directories don't tell the types of their entries (ftype=0)", n.to.Name, fs.Type), fs.Path)
	case fs.NoFileTypes && (fs.Type == "xfs" || fs.Type == "ext4"):
		return shown(warn(hint, "overlay doesn't work on %s whose directories don't tell the types of their entries (ftype=0): %s would copy every layer", fs.Type, n.to.Name), fs.Path)
	case fs.Type == "nfs" || fs.Type == "overlay":
		return shown(warn(hint, "overlay, which %s uses, doesn't work on %s", n.to.Name, fs.Type), fs.Path)
	}
	return nil
}

// accepted and announcedEnds are asked of containerd alone: CRI-O and Docker refuse their files when they are started in
// staging, and tell nothing of the kind.
func accepted(n *node) []v1alpha1.Finding {
	if n.to.Name != v1alpha1.Containerd {
		return nil
	}
	return runtimes.ContainerdRefuses(n.f)
}

func announcedEnds(n *node) []v1alpha1.Finding {
	if n.to.Name != v1alpha1.Containerd {
		return nil
	}
	return runtimes.ContainerdDeprecations(n.f)
}
