package hostpod

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/client-go/kubernetes"
)

// Image is the image that our pods on a node run. It is the ground that the host's programs are mounted on: none of its own is run,
// see hostMounts and imageEnv.
type Image struct {
	Ref string
	// Given says that the operator named it: it may then be pulled.
	Given bool
}

// NoImageError says that a node has no image that may be used without being named.
type NoImageError struct {
	Node string
	// Example is an image that would do.
	Example string
	// Err is why the pods of kube-system are not known; nil where they are.
	Err error
}

// Error implements error.
func (e *NoImageError) Error() string {
	why := "no static pod and no privileged container of a DaemonSet of kube-system runs there"
	if e.Err != nil {
		why = fmt.Sprintf("the pods of kube-system could not be listed (%v)", e.Err)
	}
	return fmt.Sprintf("node %s reports no pause image of Kubernetes, and %s, so no image for the pod there is certain to come from an administrator; "+
		"an image that a user of the cluster may have brought to the node is not used for a privileged pod: name one that you trust with --image, as --image=%s", e.Node, why, e.Example)
}

// Unwrap returns why the pods of kube-system are not known.
func (e *NoImageError) Unwrap() error { return e.Err }

// FindImage chooses the image of our pods on a node, asking for the pods of kube-system where it needs them. Without the right to list
// those it does with what the node reports.
func FindImage(ctx context.Context, client kubernetes.Interface, node *corev1.Node, given string) (Image, error) {
	if image := ChooseImage(node, given); image.Ref != "" {
		return image, nil
	}
	list, err := client.CoreV1().Pods(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node.Name).String(),
	})
	switch {
	case apierrors.IsForbidden(err):
	case err != nil:
		return Image{}, fmt.Errorf("looking for an image for the pod on node %s: %w", node.Name, err)
	default:
		if image := ChooseImage(node, given, list.Items...); image.Ref != "" {
			return image, nil
		}
	}
	return Image{}, &NoImageError{Node: node.Name, Example: kubeadmPause(node.Status.NodeInfo.KubeletVersion), Err: err}
}

// ChooseImage picks an image that the node holds and that nobody but the cluster's administrators can have chosen: the pod is
// privileged, and whoever may run pods brings any image to a node under any name. The newest pause of Kubernetes comes first; a node
// reports its fifty largest images only, so it may be missing there. Else it is one that a static pod among the given pods runs, or a
// privileged container of a DaemonSet. An image without a Ref says that there is none.
func ChooseImage(node *corev1.Node, given string, pods ...corev1.Pod) Image {
	if given != "" {
		return Image{Ref: given, Given: true}
	}
	if ref := newestPause(node); ref != "" {
		return Image{Ref: ref}
	}
	return Image{Ref: systemImage(node, pods)}
}

// pauses are the repositories from which Kubernetes gives pause away, by all names it had. Only their registry can bring an image to
// a node under such a name, or a mirror that an administrator configured for it there. Of other registries a tenant may have a part, and
// in these nothing but the full name counts: anybody may name an image of his own "pause".
var pauses = map[string]bool{
	"registry.k8s.io/pause": true, "registry.k8s.io/pause-amd64": true, "registry.k8s.io/pause-arm64": true,
	"k8s.gcr.io/pause": true, "k8s.gcr.io/pause-amd64": true, "k8s.gcr.io/pause-arm64": true,
	"gcr.io/google_containers/pause": true, "gcr.io/google_containers/pause-amd64": true, "gcr.io/google_containers/pause-arm64": true,
	"gcr.io/google-containers/pause": true, "gcr.io/google-containers/pause-amd64": true, "gcr.io/google-containers/pause-arm64": true,
}

// newestPause is the newest pause that the node reports. Digests are left out: they don't survive every way of carrying an image into
// another runtime.
func newestPause(node *corev1.Node) string {
	var refs []string
	for _, image := range node.Status.Images {
		for _, name := range image.Names {
			if repository, tag := splitTag(name); pauses[repository] && tag != "" && !byDigest(name) {
				refs = append(refs, name)
			}
		}
	}
	if len(refs) == 0 {
		return ""
	}
	return slices.MinFunc(refs, func(a, b string) int { return cmp.Or(newerTag(a, b), cmp.Compare(a, b)) })
}

// systemImage is the image of one of kube-system's own pods on the node: of those that a plain name gives and that asks for no pull
// secret, the smallest. What an image holds can lead a pod's mounts astray, so it gets root's rights in ours: only one that has them
// on the node already is taken, see trusted.
func systemImage(node *corev1.Node, pods []corev1.Pod) string {
	type candidate struct {
		ref           string
		digest, login int
		size          int64
	}
	var all []candidate
	for i := range pods {
		pod := &pods[i]
		if !ofSystem(pod) || pod.Spec.NodeName != node.Name {
			continue
		}
		for _, c := range pod.Spec.Containers {
			if !trusted(pod, &c) || !holds(pod, c.Name) {
				continue
			}
			all = append(all, candidate{c.Image, number(byDigest(c.Image)), number(len(pod.Spec.ImagePullSecrets) > 0), sizeOf(node, c.Image)})
		}
	}
	if len(all) == 0 {
		return ""
	}
	return slices.MinFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.login, b.login), cmp.Compare(a.digest, b.digest), cmp.Compare(a.size, b.size), cmp.Compare(a.ref, b.ref))
	}).ref
}

// ofSystem reports whether a pod is one that kube-system's DaemonSets or a node's own manifests make. Both can be forged, an owner as
// well as the annotation of a mirror pod, by whoever may create pods: so they count in kube-system alone, where only administrators may.
func ofSystem(pod *corev1.Pod) bool {
	if pod.Namespace != metav1.NamespaceSystem {
		return false
	}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return true
	}
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind == "DaemonSet" && strings.HasPrefix(owner.APIVersion, "apps/")
}

// trusted reports whether an administrator gave a container's image the node: by a manifest that lies there, or by privileges. The
// other images of a DaemonSet are confined, and whoever builds them is trusted with no more than that.
func trusted(pod *corev1.Pod, c *corev1.Container) bool {
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return true
	}
	return c.SecurityContext != nil && c.SecurityContext.Privileged != nil && *c.SecurityContext.Privileged
}

// holds reports whether the node has the image of a pod's container.
func holds(pod *corev1.Pod, container string) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == container && s.ImageID != "" })
}

// sizeOf is the size of an image as the node reports it; one that isn't reported is smaller than all that are.
func sizeOf(node *corev1.Node, ref string) int64 {
	i := slices.IndexFunc(node.Status.Images, func(i corev1.ContainerImage) bool { return slices.Contains(i.Names, ref) })
	if i < 0 {
		return 0
	}
	return node.Status.Images[i].SizeBytes
}

func byDigest(ref string) bool { return strings.Contains(ref, "@") }

// number makes a truth comparable.
func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// newerTag orders images by version, newest first: the newest is in use, old ones get collected.
func newerTag(a, b string) int {
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
