package hostpod

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/version"
)

// Image is the image that our pods on a node run. Nothing of it is used but that it exists.
type Image struct {
	Ref string
	// Given says that the operator named it: it may then be pulled.
	Given bool
	// Known says that the node reported to hold it.
	Known bool
}

// ChooseImage picks an image that the node already holds: pause first, then kube-proxy, then the smallest. A node
// reports its fifty largest images only, so pause may be missing there; where nothing is reported at all, the pause
// image that kubeadm uses with this version is a guess (Known is false).
func ChooseImage(node *corev1.Node, given string) Image {
	if given != "" {
		return Image{Ref: given, Given: true, Known: holds(node, given)}
	}
	type candidate struct {
		ref  string
		rank int
		size int64
	}
	var all []candidate
	for _, image := range node.Status.Images {
		if ref := bestName(image.Names); ref != "" {
			all = append(all, candidate{ref, rank(ref), image.SizeBytes})
		}
	}
	if len(all) == 0 {
		return Image{Ref: kubeadmPause(node.Status.NodeInfo.KubeletVersion)}
	}
	best := slices.MinFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), newerTag(a.ref, b.ref, a.rank), cmp.Compare(a.size, b.size), cmp.Compare(a.ref, b.ref))
	})
	return Image{Ref: best.ref, Known: true}
}

func holds(node *corev1.Node, ref string) bool {
	return slices.ContainsFunc(node.Status.Images, func(i corev1.ContainerImage) bool { return slices.Contains(i.Names, ref) })
}

// bestName prefers a tag: digests don't survive every way of carrying an image into another runtime.
func bestName(names []string) string {
	usable := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "" || strings.Contains(n, "<none>") })
	if i := slices.IndexFunc(usable, func(n string) bool { return !strings.Contains(n, "@") }); i >= 0 {
		return usable[i]
	}
	if len(usable) > 0 {
		return usable[0]
	}
	return ""
}

const (
	rankPause = iota
	rankProxy
	rankOther
)

func rank(ref string) int {
	switch repository, _ := splitTag(ref); repository[strings.LastIndexByte(repository, '/')+1:] {
	case "pause", "pause-amd64", "pause-arm64", "mirrored-pause", "ose-pod":
		return rankPause
	case "kube-proxy", "kube-proxy-amd64", "kube-proxy-arm64":
		return rankProxy
	}
	return rankOther
}

// newerTag orders images of the same kind by version, newest first: the newest is in use, old ones get collected.
func newerTag(a, b string, rank int) int {
	if rank == rankOther {
		return 0
	}
	_, ta := splitTag(a)
	_, tb := splitTag(b)
	va, errA := version.ParseGeneric(ta)
	vb, errB := version.ParseGeneric(tb)
	switch {
	case errA != nil && errB != nil:
		return 0
	case errA != nil:
		return 1
	case errB != nil, va.GreaterThan(vb):
		return -1
	case vb.GreaterThan(va):
		return 1
	}
	return 0
}

func splitTag(ref string) (repository, tag string) {
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndexByte(ref, ':'); i > strings.LastIndexByte(ref, '/') {
		return ref[:i], ref[i+1:]
	}
	return ref, ""
}

// kubeadmPause is the sandbox image of kubeadm with that kubelet.
func kubeadmPause(kubelet string) string {
	v, err := version.ParseGeneric(kubelet)
	if err != nil {
		return "registry.k8s.io/pause:3.10"
	}
	tags := []struct {
		upTo uint
		tag  string
	}{{20, "3.2"}, {21, "3.4.1"}, {22, "3.5"}, {23, "3.6"}, {24, "3.7"}, {25, "3.8"}, {30, "3.9"}, {33, "3.10"}, {35, "3.10.1"}}
	repository := "registry.k8s.io/pause:"
	if v.Minor() <= 21 {
		repository = "k8s.gcr.io/pause:"
	}
	for _, t := range tags {
		if v.Minor() <= t.upTo {
			return repository + t.tag
		}
	}
	return repository + "3.10.2"
}
