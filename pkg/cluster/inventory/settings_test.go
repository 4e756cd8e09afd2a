package inventory

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// TestSettings reads what isn't a workload, and of ConfigMaps only those that somebody uses.
func TestSettings(t *testing.T) {
	s := apitest.New(t)
	uses := template(configMap("mounted"), claim("data", "disk"))
	uses.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "from"}}}}
	uses.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "key"}, Key: "k"}}}}
	uses.Spec.Volumes = append(uses.Spec.Volumes, corev1.Volume{Name: "p", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		Sources: []corev1.VolumeProjection{{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "projected"}}}},
	}}})
	s.Put("apps/deployments", &appsv1.Deployment{ObjectMeta: meta("web"), Spec: appsv1.DeploymentSpec{Template: uses}})
	for _, name := range []string{"mounted", "from", "key", "projected", "unused"} {
		s.Put("configmaps", &corev1.ConfigMap{ObjectMeta: meta(name), Data: map[string]string{"k": name}})
	}
	system := meta("kubeadm-config")
	system.Namespace = "kube-system"
	s.Put("configmaps", &corev1.ConfigMap{ObjectMeta: system, Data: map[string]string{"k": "kubeadm"}})
	s.Put("persistentvolumes", &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}, Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/run"}}}})
	for name, source := range map[string]corev1.PersistentVolumeSource{
		"far": {ISCSI: &corev1.ISCSIPersistentVolumeSource{}}, "share": {NFS: &corev1.NFSVolumeSource{Server: "nas"}},
		"csi": {CSI: &corev1.CSIPersistentVolumeSource{Driver: "files.example.org", VolumeHandle: "v", VolumeAttributes: map[string]string{"a": "b"}}},
	} {
		s.Put("persistentvolumes", &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: source}})
	}
	s.Put("persistentvolumeclaims", &corev1.PersistentVolumeClaim{ObjectMeta: meta("disk"), Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv"}})
	s.Put("node.k8s.io/runtimeclasses", &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "gvisor"}, Handler: "runsc"})
	s.Put("nodes", &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{"node-role.kubernetes.io/control-plane": ""}, Annotations: map[string]string{cluster.KubeadmSocketAnnotation: "/run/x.sock"}},
		Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.1"}}, NodeInfo: corev1.NodeSystemInfo{ContainerRuntimeVersion: "docker://28", KubeletVersion: "v1.34.4"}},
	})
	hook := func(service string) admissionv1.WebhookClientConfig {
		return admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "shop", Name: service}}
	}
	ignore := admissionv1.Ignore
	pods := []admissionv1.RuleWithOperations{{Operations: []admissionv1.OperationType{"*"}, Rule: admissionv1.Rule{APIGroups: []string{""}, Resources: []string{"pods"}}}}
	s.Put("admissionregistration.k8s.io/validatingwebhookconfigurations", &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "judge"}, Webhooks: []admissionv1.ValidatingWebhook{{Name: "a", ClientConfig: hook("judge"), Rules: pods}}})
	s.Put("admissionregistration.k8s.io/mutatingwebhookconfigurations", &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "change"}, Webhooks: []admissionv1.MutatingWebhook{{Name: "b", ClientConfig: hook("judge"), FailurePolicy: &ignore}}})
	s.Put("services", &corev1.Service{ObjectMeta: meta("judge"), Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "judge"}}})
	s.Put("services", &corev1.Service{ObjectMeta: meta("other")})
	// Docker may be asked for at another Service; what has an address or a port alone isn't one.
	build := template()
	build.Spec.Containers[0].Args = []string{"--host=tcp://dind.tools.svc:2375", "--peer", "tcp://10.0.0.7:2376", "tcp://localhost:2375", "tcp://:2375"}
	build.Spec.InitContainers = []corev1.Container{{Name: "i", Env: []corev1.EnvVar{{Name: "DOCKER_HOST", Value: "near:2375"}, {Name: "OTHER", Value: "far:2375"}}}}
	s.Put("apps/deployments", &appsv1.Deployment{ObjectMeta: meta("build"), Spec: appsv1.DeploymentSpec{Template: build}})
	for _, name := range []string{"tools/dind", "shop/near", "shop/far", "shop/localhost"} {
		m := meta("")
		m.Namespace, m.Name, _ = strings.Cut(name, "/")
		s.Put("services", &corev1.Service{ObjectMeta: m, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": m.Name}}})
	}

	inv := read(t, s, Options{})
	var names []string
	for key := range inv.ConfigMaps {
		names = append(names, key.String())
	}
	slices.Sort(names)
	if diff := cmp.Diff([]string{"kube-system/kubeadm-config", "shop/from", "shop/key", "shop/mounted", "shop/projected"}, names); diff != "" {
		t.Errorf("ConfigMaps (-want +got)\n%s", diff)
	}
	volumes := map[string]corev1.PersistentVolumeSource{
		"pv": {HostPath: &corev1.HostPathVolumeSource{Path: "/run"}}, "share": {NFS: &corev1.NFSVolumeSource{Server: "nas"}},
		"csi": {CSI: &corev1.CSIPersistentVolumeSource{Driver: "files.example.org"}},
	}
	if diff := cmp.Diff(volumes, inv.Volumes); diff != "" {
		t.Errorf("volumes (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[workload.Key]string{{Namespace: "shop", Name: "disk"}: "pv"}, inv.Claims); diff != "" {
		t.Errorf("claims (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"gvisor": "runsc"}, inv.RuntimeClasses); diff != "" {
		t.Errorf("classes (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]workload.Node{{Name: "n1", RuntimeVersion: "docker://28", KubeletVersion: "v1.34.4", Addresses: []string{"10.0.0.1"}, CRISocket: "/run/x.sock", ControlPlane: true}}, inv.Nodes); diff != "" {
		t.Errorf("nodes (-want +got)\n%s", diff)
	}
	key := workload.Key{Namespace: "shop", Name: "judge"}
	slices.SortFunc(inv.Webhooks, func(a, b workload.Webhook) int { return strings.Compare(a.Name, b.Name) })
	wantHooks := []workload.Webhook{
		{Object: workload.Object{APIVersion: "admissionregistration.k8s.io/v1", Kind: "ValidatingWebhookConfiguration", Name: "judge"}, Name: "a", Service: key, Fails: true, Pods: true},
		{Object: workload.Object{APIVersion: "admissionregistration.k8s.io/v1", Kind: "MutatingWebhookConfiguration", Name: "change"}, Name: "b", Service: key},
	}
	if diff := cmp.Diff(wantHooks, inv.Webhooks); diff != "" {
		t.Errorf("webhooks (-want +got)\n%s", diff)
	}
	services := map[workload.Key]map[string]string{
		key: {"app": "judge"}, {Namespace: "tools", Name: "dind"}: {"app": "dind"}, {Namespace: "shop", Name: "near"}: {"app": "near"},
	}
	if diff := cmp.Diff(services, inv.Services); diff != "" {
		t.Errorf("services (-want +got)\n%s", diff)
	}
	if inv.ServerVersion != "v1.34.4" {
		t.Errorf("version %q", inv.ServerVersion)
	}
}
