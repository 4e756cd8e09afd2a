package workload

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// load reads the manifests of one file of the corpus. It knows the kinds that stand there and fails on any other.
func load(t testing.TB, path, body string) *Inventory {
	t.Helper()
	inv := &Inventory{
		ConfigMaps: map[Key]map[string]string{}, Volumes: map[string]corev1.PersistentVolumeSource{}, Claims: map[Key]string{},
		RuntimeClasses: map[string]string{}, Services: map[Key]map[string]string{},
	}
	docs := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(body)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return inv
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		var head struct {
			metav1.TypeMeta   `json:",inline"`
			metav1.ObjectMeta `json:"metadata"`
		}
		if err := yaml.Unmarshal(doc, &head); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if head.Kind == "" {
			continue
		}
		if head.Namespace == "" {
			head.Namespace = "default"
		}
		loader{t, path, inv, doc, head.TypeMeta, head.ObjectMeta}.object()
	}
}

type loader struct {
	t    testing.TB
	path string
	inv  *Inventory
	doc  []byte
	kind metav1.TypeMeta
	meta metav1.ObjectMeta
}

func into[T any](l loader) T {
	var out T
	if err := yaml.UnmarshalStrict(l.doc, &out); err != nil {
		l.t.Fatalf("%s: %v", l.path, err)
	}
	return out
}

func (l loader) workload(replicas *int32, template corev1.PodTemplateSpec) {
	l.inv.Workloads = append(l.inv.Workloads, Workload{
		Object: Object{l.kind.APIVersion, l.kind.Kind, l.meta.Namespace, l.meta.Name}, Annotations: l.meta.Annotations,
		Spec: template.Spec, PodAnnotations: template.Annotations, Labels: template.Labels, Finalizers: template.Finalizers, Replicas: replicas,
	})
}

func (l loader) object() {
	key := Key{Namespace: l.meta.Namespace, Name: l.meta.Name}
	switch l.kind.Kind {
	case "Deployment":
		o := into[appsv1.Deployment](l)
		l.workload(o.Spec.Replicas, o.Spec.Template)
	case "StatefulSet":
		o := into[appsv1.StatefulSet](l)
		l.workload(o.Spec.Replicas, o.Spec.Template)
	case "DaemonSet":
		l.workload(nil, into[appsv1.DaemonSet](l).Spec.Template)
	case "ReplicaSet":
		o := into[appsv1.ReplicaSet](l)
		l.workload(o.Spec.Replicas, o.Spec.Template)
	case "Job":
		l.workload(nil, into[batchv1.Job](l).Spec.Template)
	case "CronJob":
		l.workload(nil, into[batchv1.CronJob](l).Spec.JobTemplate.Spec.Template)
	case "Pod":
		o := into[corev1.Pod](l)
		l.workload(nil, corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec})
	case "ConfigMap":
		l.inv.ConfigMaps[key] = into[corev1.ConfigMap](l).Data
	case "PersistentVolume":
		l.inv.Volumes[l.meta.Name] = into[corev1.PersistentVolume](l).Spec.PersistentVolumeSource
	case "PersistentVolumeClaim":
		l.inv.Claims[key] = into[corev1.PersistentVolumeClaim](l).Spec.VolumeName
	case "RuntimeClass":
		l.inv.RuntimeClasses[l.meta.Name] = into[nodev1.RuntimeClass](l).Handler
	case "PodDisruptionBudget":
		o := into[policyv1.PodDisruptionBudget](l)
		o.Namespace = l.meta.Namespace
		l.inv.Budgets = append(l.inv.Budgets, o)
	case "Service":
		l.inv.Services[key] = into[corev1.Service](l).Spec.Selector
	case "Node":
		o := into[corev1.Node](l)
		n := Node{
			Name: o.Name, RuntimeVersion: o.Status.NodeInfo.ContainerRuntimeVersion, KubeletVersion: o.Status.NodeInfo.KubeletVersion,
			CRISocket: o.Annotations["kubeadm.alpha.kubernetes.io/cri-socket"], Windows: o.Status.NodeInfo.OperatingSystem == "windows",
			Labels: Marks(o.Labels), Annotations: Marks(o.Annotations),
		}
		for _, a := range o.Status.Addresses {
			n.Addresses = append(n.Addresses, a.Address)
		}
		l.inv.Nodes = append(l.inv.Nodes, n)
	case "ValidatingWebhookConfiguration":
		for _, h := range into[admissionv1.ValidatingWebhookConfiguration](l).Webhooks {
			l.webhook(h.Name, h.ClientConfig.Service, h.FailurePolicy, h.Rules)
		}
	case "MutatingWebhookConfiguration":
		for _, h := range into[admissionv1.MutatingWebhookConfiguration](l).Webhooks {
			l.webhook(h.Name, h.ClientConfig.Service, h.FailurePolicy, h.Rules)
		}
	default:
		l.t.Fatalf("%s: kind %s", l.path, l.kind.Kind)
	}
}

func (l loader) webhook(name string, s *admissionv1.ServiceReference, policy *admissionv1.FailurePolicyType, rules []admissionv1.RuleWithOperations) {
	if s == nil {
		return
	}
	h := Webhook{
		Object: Object{APIVersion: l.kind.APIVersion, Kind: l.kind.Kind, Name: l.meta.Name}, Annotations: l.meta.Annotations, Name: name,
		Service: Key{Namespace: s.Namespace, Name: s.Name}, Fails: policy == nil || *policy == admissionv1.Fail,
	}
	for _, r := range rules {
		for _, resource := range r.Resources {
			h.Pods = h.Pods || resource == "pods" || strings.HasPrefix(resource, "*")
		}
	}
	l.inv.Webhooks = append(l.inv.Webhooks, h)
}

// settle gives every workload a pod on each node.
func settle(inv *Inventory, nodes []string) {
	for i := range inv.Workloads {
		w := &inv.Workloads[i]
		for _, n := range nodes {
			w.Pods = append(w.Pods, Placed{Name: w.Object.Name + "-" + n, Node: n, Mirror: w.PodAnnotations["kubernetes.io/config.mirror"] != ""})
		}
	}
}
