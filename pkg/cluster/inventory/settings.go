package inventory

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// settings are the kinds that workloads and rules about the cluster refer to.
func (r *reader) settings() []kind {
	core, ns := r.c.Kube.CoreV1(), r.o.Namespace
	hooks := r.c.Kube.AdmissionregistrationV1()
	const aboutCluster = "nothing is said about them"
	return []kind{
		r.volumes(), r.claims(ns), r.classes(),
		wide(listed(r, "Nodes", "which runtime serves whom is not known", core.Nodes().List, func(l *corev1.NodeList) {
			for i := range l.Items {
				r.inv.Nodes = append(r.inv.Nodes, r.node(&l.Items[i]))
			}
		})),
		r.budgets(ns),
		wide(listed(r, "ValidatingWebhookConfigurations", aboutCluster, hooks.ValidatingWebhookConfigurations().List, func(l *admissionv1.ValidatingWebhookConfigurationList) {
			for i := range l.Items {
				r.webhooks("ValidatingWebhookConfiguration", &l.Items[i].ObjectMeta, l.Items[i].Webhooks)
			}
		})),
		wide(listed(r, "MutatingWebhookConfigurations", aboutCluster, hooks.MutatingWebhookConfigurations().List, func(l *admissionv1.MutatingWebhookConfigurationList) {
			for i := range l.Items {
				var same []admissionv1.ValidatingWebhook
				for _, w := range l.Items[i].Webhooks {
					same = append(same, admissionv1.ValidatingWebhook{Name: w.Name, ClientConfig: w.ClientConfig, FailurePolicy: w.FailurePolicy, Rules: w.Rules})
				}
				r.webhooks("MutatingWebhookConfiguration", &l.Items[i].ObjectMeta, same)
			}
		})),
		{what: "The API server's version", loses: "skew is not judged", wide: true, list: func(context.Context) error {
			v, err := r.c.Kube.Discovery().ServerVersion()
			if err == nil {
				r.inv.ServerVersion = v.GitVersion
			}
			return err
		}},
	}
}

func wide(k kind) kind {
	k.wide = true
	return k
}

// volumes are those that are a path of a node, or that stay mounted on it when the kubelet is away.
func (r *reader) volumes() kind {
	return wide(listed(r, "PersistentVolumes", "what claims are bound to is not known", r.c.Kube.CoreV1().PersistentVolumes().List, func(l *corev1.PersistentVolumeList) {
		for i := range l.Items {
			v := &l.Items[i]
			source := corev1.PersistentVolumeSource{HostPath: v.Spec.HostPath, Local: v.Spec.Local, NFS: v.Spec.NFS}
			if v.Spec.CSI != nil {
				source.CSI = &corev1.CSIPersistentVolumeSource{Driver: r.words.one(v.Spec.CSI.Driver)}
			}
			if source != (corev1.PersistentVolumeSource{}) {
				r.inv.Volumes[v.Name] = source
			}
		}
	}))
}

// claims of a namespace, and what they are bound to.
func (r *reader) claims(ns string) kind {
	return listed(r, "PersistentVolumeClaims", "what they are bound to is not known", r.c.Kube.CoreV1().PersistentVolumeClaims(ns).List, func(l *corev1.PersistentVolumeClaimList) {
		for i := range l.Items {
			if c := &l.Items[i]; c.Spec.VolumeName != "" {
				r.inv.Claims[workload.Key{Namespace: r.words.one(c.Namespace), Name: c.Name}] = c.Spec.VolumeName
			}
		}
	})
}

// classes are the RuntimeClasses.
func (r *reader) classes() kind {
	return wide(listed(r, "RuntimeClasses", "handlers that the target lacks are not found", r.c.Kube.NodeV1().RuntimeClasses().List, func(l *nodev1.RuntimeClassList) {
		for i := range l.Items {
			r.inv.RuntimeClasses[l.Items[i].Name] = l.Items[i].Handler
		}
	}))
}

// listed is a list whose pages are taken in one after another with all others.
func listed[L metav1.ListInterface](r *reader, what, loses string, list lister[L], take func(L)) kind {
	return kind{what: what, loses: loses, list: func(ctx context.Context) error {
		return pages(ctx, list, func(l L) {
			r.mu.Lock()
			defer r.mu.Unlock()
			take(l)
		})
	}}
}

func (r *reader) budgets(ns string) kind {
	return listed(r, "PodDisruptionBudgets", "what blocks a drain is not known", r.c.Kube.PolicyV1().PodDisruptionBudgets(ns).List, func(l *policyv1.PodDisruptionBudgetList) {
		for i := range l.Items {
			b := l.Items[i]
			b.ManagedFields = nil
			r.inv.Budgets = append(r.inv.Budgets, b)
		}
	})
}

func (r *reader) node(n *corev1.Node) workload.Node {
	var addresses []string
	for _, a := range n.Status.Addresses {
		addresses = append(addresses, r.words.one(a.Address))
	}
	return workload.Node{
		Addresses: addresses,
		Name:      r.words.one(n.Name), RuntimeVersion: r.words.one(n.Status.NodeInfo.ContainerRuntimeVersion), KubeletVersion: r.words.one(n.Status.NodeInfo.KubeletVersion),
		CRISocket: r.words.one(n.Annotations[cluster.KubeadmSocketAnnotation]), ControlPlane: cluster.ControlPlane(n),
		Windows: n.Status.NodeInfo.OperatingSystem == "windows", Labels: workload.Marks(n.Labels), Annotations: workload.Marks(n.Annotations),
	}
}

func (r *reader) webhooks(kind string, meta *metav1.ObjectMeta, list []admissionv1.ValidatingWebhook) {
	var ignore map[string]string
	if text := meta.Annotations[workload.IgnoreAnnotation]; text != "" {
		ignore = map[string]string{workload.IgnoreAnnotation: text}
	}
	o := workload.Object{APIVersion: "admissionregistration.k8s.io/v1", Kind: kind, Name: meta.Name}
	r.inv.Webhooks = append(r.inv.Webhooks, workload.FromWebhooks(o, ignore, list, workload.Source{})...)
}

// services reads the Services that webhooks name, and those behind which workloads may have their Docker: in the few namespaces that
// they are in, or in one list where they are many.
func (r *reader) services(wanted map[workload.Key]bool) []kind {
	namespaces := map[string]bool{}
	for _, w := range r.inv.Webhooks {
		wanted[w.Service] = true
	}
	for key := range wanted {
		namespaces[key.Namespace] = true
	}
	if len(namespaces) > fewNamespaces {
		namespaces = map[string]bool{metav1.NamespaceAll: true}
	}
	var out []kind
	for _, ns := range slices.Sorted(maps.Keys(namespaces)) {
		out = append(out, listed(r, "Services", "the pods behind webhooks, and behind a DOCKER_HOST, are not known", r.c.Kube.CoreV1().Services(ns).List, func(l *corev1.ServiceList) {
			for i := range l.Items {
				key := workload.Key{Namespace: l.Items[i].Namespace, Name: l.Items[i].Name}
				if wanted[key] {
					r.inv.Services[key] = l.Items[i].Spec.Selector
				}
			}
		}))
	}
	return out
}

// fewNamespaces is up to how many namespaces are listed one by one.
const fewNamespaces = 5

// configMaps reads the ConfigMaps that workloads mount or take variables from, those by which kubeadm configures the cluster, and the one
// that cluster-autoscaler keeps.
func (r *reader) configMaps(ns string, wanted map[workload.Key]bool) kind {
	return listed(r, "ConfigMaps", "scripts and settings in them are not looked at", r.c.Kube.CoreV1().ConfigMaps(ns).List, func(l *corev1.ConfigMapList) {
		for i := range l.Items {
			c := &l.Items[i]
			key := workload.Key{Namespace: c.Namespace, Name: c.Name}
			if wanted[key] || ofKubeadm(key) || key == workload.AutoscalerStatus && current(c) {
				r.inv.ConfigMaps[key] = c.Data
			}
		}
	})
}

func ofKubeadm(key workload.Key) bool {
	return key.Namespace == metav1.NamespaceSystem && (key.Name == "kubeadm-config" || strings.HasPrefix(key.Name, "kubelet-config"))
}

// daemons adds the Services that a workload's DOCKER_HOST, or another address that it is given, names as its Docker.
func daemons(w *workload.Workload, into map[workload.Key]bool) {
	for _, list := range [][]corev1.Container{w.Spec.InitContainers, w.Spec.Containers} {
		for i := range list {
			for _, env := range list[i].Env {
				if env.Name == "DOCKER_HOST" {
					daemon(w.Object.Namespace, strings.TrimPrefix(env.Value, "tcp://"), into)
				}
			}
			for _, word := range slices.Concat(list[i].Command, list[i].Args) {
				if _, address, ok := strings.Cut(word, "tcp://"); ok {
					daemon(w.Object.Namespace, address, into)
				}
			}
		}
	}
}

// dials reports whether a workload may be given the address of a Docker that is reached by TCP.
func dials(w *workload.Workload) bool {
	for _, list := range [][]corev1.Container{w.Spec.InitContainers, w.Spec.Containers} {
		for i := range list {
			c := &list[i]
			if slices.ContainsFunc(slices.Concat(c.Command, c.Args), func(word string) bool { return strings.Contains(word, "tcp://") }) {
				return true
			}
			for _, env := range c.Env {
				if env.Name == "DOCKER_HOST" && !strings.HasPrefix(env.Value, "unix://") {
					return true
				}
			}
		}
	}
	return false
}

func daemon(namespace, address string, into map[workload.Key]bool) {
	end := strings.IndexFunc(address, func(c rune) bool {
		return c != '-' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z')
	})
	if end >= 0 {
		address = address[:end]
	}
	name, rest, dotted := strings.Cut(address, ".")
	if dotted {
		namespace, _, _ = strings.Cut(rest, ".")
	}
	// Of an address in digits neither part is a name.
	if _, err := netip.ParseAddr(address); err != nil && name != "" && namespace != "" && name != "localhost" {
		into[workload.Key{Namespace: namespace, Name: name}] = true
	}
}

// references adds the ConfigMaps that a workload refers to.
func references(w *workload.Workload, into map[workload.Key]bool) {
	add := func(name string) { into[workload.Key{Namespace: w.Object.Namespace, Name: name}] = true }
	for i := range w.Spec.Volumes {
		v := &w.Spec.Volumes[i]
		if v.ConfigMap != nil {
			add(v.ConfigMap.Name)
		}
		if v.Projected != nil {
			for _, s := range v.Projected.Sources {
				if s.ConfigMap != nil {
					add(s.ConfigMap.Name)
				}
			}
		}
	}
	for _, list := range [][]corev1.Container{w.Spec.InitContainers, w.Spec.Containers} {
		for i := range list {
			for _, from := range list[i].EnvFrom {
				if from.ConfigMapRef != nil {
					add(from.ConfigMapRef.Name)
				}
			}
			for _, env := range list[i].Env {
				if env.ValueFrom != nil && env.ValueFrom.ConfigMapKeyRef != nil {
					add(env.ValueFrom.ConfigMapKeyRef.Name)
				}
			}
		}
	}
}
