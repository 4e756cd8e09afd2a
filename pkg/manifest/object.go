package manifest

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// document takes in all objects of a document and returns how many they are.
func (l *Loader) document(d *document) (int, error) {
	roots, err := d.parse()
	if err != nil {
		return 0, err
	}
	l.last, l.roots = d, roots
	objects := 0
	var errs []error
	for i, root := range roots {
		n, err := l.object(&place{doc: d, steps: []int{i}}, root, "")
		objects += n
		errs = append(errs, err)
	}
	return objects, errors.Join(errs...)
}

// object takes in one object, or all of a List. Lists of one kind may leave it out in their items: implied is theirs.
func (l *Loader) object(at *place, n *yaml.Node, implied string) (int, error) {
	kind := text(n, "kind")
	if kind == "" {
		kind = implied
	}
	if items := field(n, "items"); strings.HasSuffix(kind, "List") && items != nil && items.Kind == yaml.SequenceNode {
		objects := 0
		var errs []error
		where, _ := at.field(n, "items")
		for i := range items.Content {
			k, err := l.object(where.index(i), resolved(items.Content[i]), strings.TrimSuffix(kind, "List"))
			objects += k
			errs = append(errs, err)
		}
		return objects, errors.Join(errs...)
	}
	if kind == "" || text(n, "apiVersion") == "" && implied == "" {
		return 0, nil
	}
	if name := field(field(n, "metadata"), "name"); name != nil && name.Kind != yaml.ScalarNode {
		// Braces that nobody filled in are a mapping to YAML.
		return 0, fmt.Errorf("%s: %w", at.doc.at(name.Line), errTemplate)
	}
	o := &object{l: l, at: at, node: n, ref: workload.Object{
		APIVersion: text(n, "apiVersion"), Kind: kind, Namespace: text(n, "metadata", "namespace"), Name: text(n, "metadata", "name"),
	}}
	if o.ref.Name == "" {
		// What has only a prefix gets its name from the API server.
		o.ref.Name = text(n, "metadata", "generateName")
	}
	if err := o.take(); err != nil {
		return 1, fmt.Errorf("%s: %s can't be read: %w", at.doc.at(n.Line), o.ref, err)
	}
	return 1, nil
}

// object is an object that is being taken in.
type object struct {
	l    *Loader
	at   *place
	node *yaml.Node
	ref  workload.Object
}

// take takes in what rules need of an object.
func (o *object) take() error {
	group, _, grouped := strings.Cut(o.ref.APIVersion, "/")
	if !grouped {
		group = ""
	}
	switch group {
	case "", "apps", "batch", "extensions":
		if path, ok := templates[o.ref.Kind]; ok {
			o.namespaced()
			return o.template(path)
		}
	}
	key := workload.Key{Name: o.ref.Name}
	switch group + "/" + o.ref.Kind {
	case "/PersistentVolume":
		var spec corev1.PersistentVolumeSpec
		if err := o.decode(&spec, "spec"); err != nil {
			return err
		}
		if o.l.inv.Volumes == nil {
			o.l.inv.Volumes = map[string]corev1.PersistentVolumeSource{}
		}
		o.l.inv.Volumes[key.Name] = spec.PersistentVolumeSource
		if c := spec.ClaimRef; c != nil {
			o.l.inv.Claims[workload.Key{Namespace: c.Namespace, Name: c.Name}] = key.Name
		}
		return nil
	case "node.k8s.io/RuntimeClass":
		o.l.inv.RuntimeClasses[key.Name] = text(o.node, "handler")
		return nil
	case "admissionregistration.k8s.io/ValidatingWebhookConfiguration", "admissionregistration.k8s.io/MutatingWebhookConfiguration":
		return o.webhooks()
	case "apiextensions.k8s.io/CustomResourceDefinition":
		return nil // schemas are no objects
	}
	o.namespaced()
	key.Namespace = o.ref.Namespace
	switch group + "/" + o.ref.Kind {
	case "/ConfigMap":
		o.l.inv.ConfigMaps[key] = stringsOf(field(o.node, "data"))
		// Of ConfigMaps rules speak only about kubeadm's own.
		if key.Namespace == "kube-system" {
			o.stands("v1")
		}
		return nil
	case "/PersistentVolumeClaim":
		if name := text(o.node, "spec", "volumeName"); name != "" {
			o.l.inv.Claims[key] = name
		}
		return nil
	case "/Service":
		o.l.inv.Services[key] = stringsOf(field(field(o.node, "spec"), "selector"))
		return nil
	case "policy/PodDisruptionBudget":
		var budget policyv1.PodDisruptionBudget
		if err := o.decode(&budget.Spec, "spec"); err != nil {
			return err
		}
		budget.Name, budget.Namespace = key.Name, key.Namespace
		budget.Annotations = stringsOf(field(field(o.node, "metadata"), "annotations"))
		o.l.inv.Budgets = append(o.l.inv.Budgets, budget)
		o.stands("policy/v1")
		return nil
	case "/Secret", "/Namespace", "/ServiceAccount", "/Event", "/Node":
		return nil
	}
	o.search(o.at, o.node, 0)
	return nil
}

// namespaced gives an object of a kind that has namespaces the one that kubectl would give it.
func (o *object) namespaced() {
	if o.ref.Namespace == "" {
		o.ref.Namespace = o.l.namespace
	}
}

// stands keeps the place of an object that isn't a workload, under the version that rules know it by.
func (o *object) stands(apiVersion string) {
	if o.l.inv.Sources == nil {
		o.l.inv.Sources = map[workload.Object]workload.Source{}
	}
	ref := o.ref
	ref.APIVersion = apiVersion
	o.l.inv.Sources[ref] = workload.Source{File: o.at.doc.name, Line: o.at.doc.line + o.node.Line - 1}
}

func (o *object) decode(into any, keys ...string) error {
	n := o.node
	for _, k := range keys {
		n = field(n, k)
	}
	if n == nil {
		return nil
	}
	return decode(n, into)
}

// templates is where the kinds that everybody has keep their pod template.
var templates = map[string][]string{
	"Pod": {}, "PodTemplate": {"template"}, "ReplicationController": {"spec", "template"},
	"Deployment": {"spec", "template"}, "ReplicaSet": {"spec", "template"}, "StatefulSet": {"spec", "template"}, "DaemonSet": {"spec", "template"},
	"Job": {"spec", "template"}, "CronJob": {"spec", "jobTemplate", "spec", "template"},
}
