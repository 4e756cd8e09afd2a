package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Own is an image that our own pods need on the node.
type Own struct {
	Ref string
	For string
}

// WantedImages lists what a node's new runtime must hold before the drain: our own images first, as the proof needs
// them, then those of static and DaemonSet pods and of pods that can run nowhere else. All others move away with their
// pods.
//
// Credentials are taken from the pods' pull secrets and those of their service accounts, if secrets is set. What can't
// be read is a warning: the image may be public, or the node may hold it.
func WantedImages(ctx context.Context, client kubernetes.Interface, pods []corev1.Pod, own []Own, secrets bool) ([]v1alpha1.WantedImage, []string) {
	w := wanted{ctx: ctx, client: client, secrets: secrets, rings: map[string]keyring{}, accounts: map[string][]string{}}
	for _, o := range own {
		w.add(v1alpha1.WantedImage{Ref: o.Ref, Required: true, For: o.For})
	}
	sorted := slices.Clone(pods)
	slices.SortFunc(sorted, func(a, b corev1.Pod) int { return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name) })
	// Static pods first: without them a control plane is none.
	slices.SortStableFunc(sorted, func(a, b corev1.Pod) int { return staticFirst(&a) - staticFirst(&b) })
	for i := range sorted {
		pod := &sorted[i]
		if resident(pod) == "" && !tied(pod) {
			continue
		}
		for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			w.add(v1alpha1.WantedImage{
				Ref: c.Image, Required: isReady(pod), Repulled: c.ImagePullPolicy == corev1.PullAlways, For: pod.Namespace + "/" + pod.Name,
				Auths: w.auths(pod, c.Image),
			})
		}
	}
	return w.images, w.warnings
}

// tied reports whether a pod that is drained comes back to its node, because it may run there alone or its image is
// never pulled. Such an image often stands in no registry.
func tied(pod *corev1.Pod) bool {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return false
	}
	if pod.Spec.NodeSelector[corev1.LabelHostname] != "" {
		return true
	}
	if a := pod.Spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		for _, term := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
			if slices.ContainsFunc(slices.Concat(term.MatchExpressions, term.MatchFields), namesNode) {
				return true
			}
		}
	}
	return slices.ContainsFunc(slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers), func(c corev1.Container) bool {
		return c.ImagePullPolicy == corev1.PullNever
	})
}

// namesNode reports whether a requirement picks single nodes.
func namesNode(r corev1.NodeSelectorRequirement) bool {
	return r.Operator == corev1.NodeSelectorOpIn && (r.Key == corev1.LabelHostname || r.Key == metav1.ObjectNameField)
}

func staticFirst(pod *corev1.Pod) int {
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return 0
	}
	return 1
}

type wanted struct {
	ctx      context.Context
	client   kubernetes.Interface
	secrets  bool
	images   []v1alpha1.WantedImage
	warnings []string
	rings    map[string]keyring  // by namespace/secret
	accounts map[string][]string // pull secrets by namespace/account
}

func (w *wanted) add(image v1alpha1.WantedImage) {
	if image.Ref == "" {
		return
	}
	i := slices.IndexFunc(w.images, func(x v1alpha1.WantedImage) bool { return x.Ref == image.Ref })
	if i < 0 {
		w.images = append(w.images, image)
		return
	}
	known := &w.images[i]
	known.Required = known.Required || image.Required
	known.Repulled = known.Repulled && image.Repulled
	for _, a := range image.Auths {
		if !slices.Contains(known.Auths, a) {
			known.Auths = append(known.Auths, a)
		}
	}
}

func (w *wanted) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(w.warnings, text) {
		w.warnings = append(w.warnings, text)
	}
}

// auths are the credentials that the pod has for an image.
func (w *wanted) auths(pod *corev1.Pod, image string) []v1alpha1.RegistryAuth {
	if !w.secrets {
		if len(pod.Spec.ImagePullSecrets) > 0 {
			w.warn("pull secrets can't be read: images are pulled without them, or taken from the node")
		}
		return nil
	}
	var names []string
	for _, r := range pod.Spec.ImagePullSecrets {
		names = append(names, r.Name)
	}
	// Admission copies the account's secrets only into pods that have none of their own, and not into static ones.
	for _, name := range w.account(pod) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	var out []v1alpha1.RegistryAuth
	for _, name := range names {
		for _, a := range w.ring(pod.Namespace, name).lookup(image) {
			if !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	return out
}

func (w *wanted) account(pod *corev1.Pod) []string {
	if staticFirst(pod) == 0 {
		return nil // static pods have none
	}
	id := pod.Namespace + "/" + pod.Spec.ServiceAccountName
	names, known := w.accounts[id]
	if known || pod.Spec.ServiceAccountName == "" {
		return names
	}
	account, err := w.client.CoreV1().ServiceAccounts(pod.Namespace).Get(w.ctx, pod.Spec.ServiceAccountName, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		w.warn("service account %s can't be read: %v", id, err)
	}
	if err == nil {
		for _, r := range account.ImagePullSecrets {
			names = append(names, r.Name)
		}
	}
	w.accounts[id] = names
	return names
}

func (w *wanted) ring(namespace, name string) keyring {
	id := namespace + "/" + name
	ring, known := w.rings[id]
	if known {
		return ring
	}
	secret, err := w.client.CoreV1().Secrets(namespace).Get(w.ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err): // the kubelet passes over it, too
	case err != nil:
		w.warn("pull secret %s can't be read: %v", id, err)
	default:
		if ring, err = parseSecret(secret); err != nil {
			w.warn("pull secret %s is of no use: %v", id, err)
		}
	}
	w.rings[id] = ring
	return ring
}
