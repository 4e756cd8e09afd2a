package hostpod

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
)

const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func image(size int64, names ...string) corev1.ContainerImage {
	return corev1.ContainerImage{Names: names, SizeBytes: size}
}

// runs is a pod of kube-system's DaemonSets on node n that runs these images in privileged containers.
func runs(images ...string) corev1.Pod {
	pod := corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "kube-system", Name: "ds-x7k2p", Labels: map[string]string{"k8s-app": "ds"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "ds", UID: "ds", Controller: new(true)}},
		},
		Spec: corev1.PodSpec{NodeName: "n"},
	}
	for i, ref := range images {
		name := string(rune('a' + i))
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: name, Image: ref, SecurityContext: &corev1.SecurityContext{Privileged: new(true)}})
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{Name: name, ImageID: ref + digest})
	}
	return pod
}

func with(pod corev1.Pod, change func(*corev1.Pod)) corev1.Pod {
	change(&pod)
	return pod
}

// mirror makes a pod that of a static pod.
func mirror(pod *corev1.Pod) {
	pod.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "n", UID: "n", Controller: new(true)}}
}

// confine takes the privileges of a pod's container.
func confine(container int) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Spec.Containers[container].SecurityContext = nil }
}

func elsewhere(pod *corev1.Pod) { pod.Namespace = "tenant" }

func TestChooseImage(t *testing.T) {
	pause := image(1, "registry.k8s.io/pause"+digest, "registry.k8s.io/pause:3.9")
	tests := map[string]struct {
		images []corev1.ContainerImage
		pods   []corev1.Pod
		given  string
		want   Image
	}{
		"pause first":                {images: []corev1.ContainerImage{image(900, "app:1"), pause}, pods: []corev1.Pod{runs("proxy:1")}, want: Image{Ref: "registry.k8s.io/pause:3.9"}},
		"the newest pause":           {images: []corev1.ContainerImage{pause, image(1, "registry.k8s.io/pause:3.10"), image(1, "k8s.gcr.io/pause:3.2")}, want: Image{Ref: "registry.k8s.io/pause:3.10"}},
		"pause by an old name":       {images: []corev1.ContainerImage{image(1, "gcr.io/google_containers/pause-amd64:3.1")}, want: Image{Ref: "gcr.io/google_containers/pause-amd64:3.1"}},
		"the operator's":             {images: []corev1.ContainerImage{pause}, given: "busybox:1", want: Image{Ref: "busybox:1", Given: true}},
		"none reported":              {},
		"kube-system's own":          {images: []corev1.ContainerImage{image(900, "app:1")}, pods: []corev1.Pod{runs("registry.k8s.io/kube-proxy:v1.34.4")}, want: Image{Ref: "registry.k8s.io/kube-proxy:v1.34.4"}},
		"a static pod's":             {pods: []corev1.Pod{with(with(runs("etcd:3"), mirror), confine(0))}, want: Image{Ref: "etcd:3"}},
		"the privileged one of two":  {images: []corev1.ContainerImage{image(80, "proxy:1"), image(1, "log:1")}, pods: []corev1.Pod{with(runs("log:1", "proxy:1"), confine(0))}, want: Image{Ref: "proxy:1"}},
		"the smallest of them":       {images: []corev1.ContainerImage{image(900, "cni:1"), image(80, "proxy:1")}, pods: []corev1.Pod{runs("cni:1", "proxy:1")}, want: Image{Ref: "proxy:1"}},
		"one too small to report":    {images: []corev1.ContainerImage{image(900, "cni:1")}, pods: []corev1.Pod{runs("cni:1", "proxy:1")}, want: Image{Ref: "proxy:1"}},
		"a tag rather than a digest": {pods: []corev1.Pod{runs("a"+digest, "proxy:1")}, want: Image{Ref: "proxy:1"}},
		"a digest where that is all": {pods: []corev1.Pod{runs("a" + digest)}, want: Image{Ref: "a" + digest}},
		"one without a pull secret": {
			pods: []corev1.Pod{with(runs("a:1"), func(p *corev1.Pod) { p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "x"}} }), runs("b:1")},
			want: Image{Ref: "b:1"},
		},

		"a tenant's pause":                {images: []corev1.ContainerImage{image(1, "evil.example/me/pause:99.9")}},
		"a tenant's beside the real one":  {images: []corev1.ContainerImage{image(1, "evil.example/me/pause:99.9"), pause}, want: Image{Ref: "registry.k8s.io/pause:3.9"}},
		"a registry of almost that name":  {images: []corev1.ContainerImage{image(1, "registry.k8s.io.evil.example/pause:9"), image(1, "evil.example/registry.k8s.io/pause:9"), image(1, "registry.k8s.io:5000/pause:9")}},
		"a repository of almost that":     {images: []corev1.ContainerImage{image(1, "registry.k8s.io/pause/x:9"), image(1, "registry.k8s.io/x/pause:9"), image(1, "registry.k8s.io/pause-x:9")}},
		"Docker Hub's pause":              {images: []corev1.ContainerImage{image(1, "pause:9"), image(1, "docker.io/library/pause:9"), image(1, "localhost/pause:9")}},
		"pause by digest alone":           {images: []corev1.ContainerImage{image(1, "registry.k8s.io/pause"+digest), image(1, "registry.k8s.io/pause:3.9"+digest)}},
		"a tenant's kube-proxy":           {images: []corev1.ContainerImage{image(1, "evil.example/kube-proxy:v9")}},
		"the smallest of anybody's":       {images: []corev1.ContainerImage{image(500, "quay.io/cilium/cilium:v1.17"), image(1, "evil.example/tiny:1")}},
		"a tenant's DaemonSet":            {pods: []corev1.Pod{with(runs("evil:1"), elsewhere)}},
		"a forged mirror pod":             {pods: []corev1.Pod{with(with(runs("evil:1"), mirror), elsewhere)}},
		"a DaemonSet's that is confined":  {pods: []corev1.Pod{with(runs("log:1"), confine(0))}},
		"one that says it isn't":          {pods: []corev1.Pod{with(runs("log:1"), func(p *corev1.Pod) { p.Spec.Containers[0].SecurityContext.Privileged = new(false) })}},
		"another kind of owner":           {pods: []corev1.Pod{with(runs("x:1"), func(p *corev1.Pod) { p.OwnerReferences[0].Kind = "ReplicaSet" })}},
		"a DaemonSet of another group":    {pods: []corev1.Pod{with(runs("x:1"), func(p *corev1.Pod) { p.OwnerReferences[0].APIVersion = "evil.example/v1" })}},
		"an owner that isn't in control":  {pods: []corev1.Pod{with(runs("x:1"), func(p *corev1.Pod) { p.OwnerReferences[0].Controller = nil })}},
		"labels make no system pod":       {pods: []corev1.Pod{with(runs("x:1"), func(p *corev1.Pod) { p.OwnerReferences = nil })}},
		"on another node":                 {pods: []corev1.Pod{with(runs("x:1"), func(p *corev1.Pod) { p.Spec.NodeName = "m" })}},
		"not pulled yet":                  {pods: []corev1.Pod{with(runs("x:1"), func(p *corev1.Pod) { p.Status.ContainerStatuses[0].ImageID = "" })}},
		"what the status claims it to be": {pods: []corev1.Pod{with(runs("x:1"), func(p *corev1.Pod) { p.Status.ContainerStatuses[0].Image = "evil:1" })}, want: Image{Ref: "x:1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ChooseImage(node("n", "amd64", tt.images...), tt.given, tt.pods...)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestFindImage: the pods of kube-system are asked for where nothing else gives an image, and an error says why there is none, and what
// to do.
func TestFindImage(t *testing.T) {
	const example = "--image=registry.k8s.io/pause:3.10.1"
	pause := image(1, "registry.k8s.io/pause:3.9")
	for name, tt := range map[string]struct {
		images   []corev1.ContainerImage
		pods     []corev1.Pod
		given    string
		forbid   bool
		want     Image
		err      []string
		requests []string
	}{
		"the operator's": {given: "busybox:1", want: Image{Ref: "busybox:1", Given: true}},
		"pause":          {images: []corev1.ContainerImage{pause}, want: Image{Ref: "registry.k8s.io/pause:3.9"}},
		"a DaemonSet's": {
			pods: []corev1.Pod{runs("proxy:1"), with(runs("other:1"), func(p *corev1.Pod) { p.Name, p.Spec.NodeName = "other", "m" })},
			want: Image{Ref: "proxy:1"}, requests: []string{"list pods"},
		},
		"a tenant's": {
			images: []corev1.ContainerImage{image(1, "evil.example/pause:9")}, pods: []corev1.Pod{with(runs("evil.example/pause:9"), elsewhere)},
			err: []string{"node n reports no pause image", "no static pod and no privileged container of a DaemonSet of kube-system", example}, requests: []string{"list pods"},
		},
		"no right to look": {forbid: true, err: []string{"could not be listed", "forbidden", example}, requests: []string{"list pods"}},
	} {
		t.Run(name, func(t *testing.T) {
			api := apitest.New(t)
			for _, pod := range tt.pods {
				api.Put("pods", &pod)
			}
			if tt.forbid {
				api.Forbid("list pods")
			}
			got, err := FindImage(t.Context(), api.Client(), node("n", "amd64", tt.images...), tt.given)
			if diff := cmp.Diff(tt.want, got); diff != "" || (err != nil) != (tt.err != nil) {
				t.Errorf("-want +got:\n%s%v", diff, err)
			}
			for _, text := range tt.err {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q isn't said in: %v", text, err)
				}
			}
			if diff := cmp.Diff(tt.requests, api.Requests()); diff != "" {
				t.Errorf("requests, -want +got:\n%s", diff)
			}
		})
	}
	t.Run("an API server that is away", func(t *testing.T) {
		api := apitest.New(t)
		api.Before(func(string, *http.Request) error { return errors.New("etcd is away") })
		if _, err := FindImage(t.Context(), api.Client(), node("n", "amd64"), ""); err == nil || strings.Contains(err.Error(), "--image") {
			t.Errorf("got %v", err)
		}
	})
}

func TestKubeadmPause(t *testing.T) {
	for version, want := range map[string]string{
		"v1.20.15": "k8s.gcr.io/pause:3.2", "v1.23.17": "registry.k8s.io/pause:3.6", "v1.26.15": "registry.k8s.io/pause:3.9",
		"v1.33.9+k3s1": "registry.k8s.io/pause:3.10", "v1.37.2": "registry.k8s.io/pause:3.10.2", "": "registry.k8s.io/pause:3.10",
	} {
		if got := kubeadmPause(version); got != want {
			t.Errorf("%q: got %s, want %s", version, got, want)
		}
	}
}
