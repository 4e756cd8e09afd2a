package workload

import (
	"cmp"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// mount is where a container sees a volume.
type mount struct {
	volume string
	// at is the clean path in the container.
	at string
	// host is the clean path on the node; empty for a volume that is no part of the node's file system.
	host string
	// said is the path on the node as it was written, for people.
	said string
	// via names the claim that leads to the node's path; empty for a volume of the pod itself.
	via string
	// must says that the kubelet refuses the pod when there is nothing of that type at the path.
	must bool
	// creates is what comes to stand at the path on the node where nothing is.
	creates creates
	// sub says that it shows a part of its volume.
	sub      bool
	readOnly bool
	// files are the keys of ConfigMaps that it shows.
	files []file
}

// file is one key of a ConfigMap at its path in the container.
type file struct {
	at  string
	ref Key
	key string
}

// creates says what a mount leaves at a path of the node that doesn't exist.
type creates int

const (
	nothing creates = iota // the pod waits, or the path is a volume's own business
	directory
	emptyFile
)

// volume is what a pod's volume leads to.
type volume struct {
	host, via string
	must      bool
	creates   creates
	files     []file // at is relative
}

// volumeOf follows a volume to the node or to its ConfigMaps.
func (s *subject) volumeOf(v *corev1.Volume) volume {
	switch {
	case v.HostPath != nil:
		out := volume{host: v.HostPath.Path, creates: createdBy(v.HostPath)}
		if t := v.HostPath.Type; t != nil {
			out.must = *t == corev1.HostPathSocket || *t == corev1.HostPathFile || *t == corev1.HostPathDirectory
		}
		return out
	case v.PersistentVolumeClaim != nil:
		return s.claimed(v.PersistentVolumeClaim.ClaimName)
	case v.ConfigMap != nil:
		return volume{files: s.files(v.ConfigMap.Name, v.ConfigMap.Items)}
	case v.Projected != nil:
		var out volume
		for _, src := range v.Projected.Sources {
			if src.ConfigMap != nil {
				out.files = append(out.files, s.files(src.ConfigMap.Name, src.ConfigMap.Items)...)
			}
		}
		return out
	}
	return volume{}
}

// createdBy says what is made of a path of the node that doesn't exist: by the kubelet where a type asks for it, by the runtime
// where there is no type, as it binds nothing but what is there.
func createdBy(v *corev1.HostPathVolumeSource) creates {
	if v.Type == nil {
		return directory
	}
	switch *v.Type {
	case corev1.HostPathUnset, corev1.HostPathDirectoryOrCreate:
		return directory
	case corev1.HostPathFileOrCreate:
		return emptyFile
	}
	return nothing
}

func (s *subject) claimed(name string) volume {
	pv := s.j.inv.Claims[Key{Namespace: s.w.Object.Namespace, Name: name}]
	src, ok := s.j.inv.Volumes[pv]
	via := "claim " + name + ", PersistentVolume " + pv
	switch {
	case !ok:
	case src.HostPath != nil:
		return volume{host: src.HostPath.Path, via: via, creates: createdBy(src.HostPath)}
	case src.Local != nil:
		return volume{host: src.Local.Path, via: via}
	}
	return volume{}
}

// files lists the keys of a ConfigMap, or the items that a volume takes of it.
func (s *subject) files(name string, items []corev1.KeyToPath) []file {
	ref := Key{Namespace: s.w.Object.Namespace, Name: name}
	var out []file
	if len(items) > 0 {
		for _, it := range items {
			out = append(out, file{at: it.Path, ref: ref, key: it.Key})
		}
		return out
	}
	for _, key := range sortedKeys(s.j.inv.ConfigMaps[ref]) {
		out = append(out, file{at: key, ref: ref, key: key})
	}
	return out
}

// mounted returns what the container mounts, the deepest path first, so that the first that holds a path decides.
func (c *container) mounted() []mount {
	var out []mount
	s := c.s
	for _, vm := range c.VolumeMounts {
		v, ok := s.volumes[vm.Name]
		if !ok {
			continue
		}
		m := mount{volume: vm.Name, at: path.Clean("/" + vm.MountPath), via: v.via, must: v.must, creates: v.creates, readOnly: vm.ReadOnly}
		if v.host != "" {
			m.said = v.host
			if sub := cmp.Or(vm.SubPath, c.expand(vm.SubPathExpr)); sub != "" {
				m.said = strings.TrimSuffix(v.host, "/") + "/" + sub
				// The kubelet makes a directory of a part that isn't there, whatever the volume's type.
				m.must, m.creates, m.sub = false, directory, true
			}
			m.host = clean(m.said)
		}
		for _, f := range v.files {
			switch {
			case vm.SubPath == "":
				f.at = path.Join(m.at, f.at)
			case path.Clean(vm.SubPath) == path.Clean(f.at):
				f.at = m.at
			default:
				continue
			}
			m.files = append(m.files, f)
		}
		out = append(out, m)
	}
	slices.SortStableFunc(out, func(a, b mount) int { return cmp.Compare(len(b.at), len(a.at)) })
	return out
}

// where follows a path that the container sees. host is the clean path on the node, or empty: then inPod says whether a
// volume of the pod holds it, or only the container's image.
func (c *container) where(p string) (host string, inPod bool) {
	m, host := c.mountOf(p)
	return host, m != nil && host == ""
}

// mountOf returns the mount that holds a path, if any does, and the path on the node, if the mount leads there.
func (c *container) mountOf(p string) (*mount, string) {
	p = path.Clean("/" + p)
	if m, host := c.seen(p); m != nil {
		return m, host
	}
	// /var/run is a link to /run in images as it is on nodes.
	if rest, ok := strings.CutPrefix(p, "/var/run"); ok && (rest == "" || rest[0] == '/') {
		return c.seen("/run" + rest)
	}
	if below(p, "/run") {
		return c.seen("/var" + p)
	}
	return nil, ""
}

func (c *container) seen(p string) (*mount, string) {
	for i := range c.mounts {
		m := &c.mounts[i]
		if !below(p, m.at) {
			continue
		}
		if m.host == "" {
			return m, ""
		}
		return m, clean(path.Join(m.host, strings.TrimPrefix(p, strings.TrimSuffix(m.at, "/"))))
	}
	return nil, ""
}
