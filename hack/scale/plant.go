package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload/corpus"
)

// exhibit is a file of the corpus of manifests: what it holds, and what must be found in it where nodes move from Docker to containerd.
type exhibit struct {
	name    string
	objects []object
	// want are findings as ID:severity; none where the file is a near miss.
	want []string
}

// guilty reports whether something must be found that counts.
func (e *exhibit) guilty() bool {
	return slices.ContainsFunc(e.want, func(w string) bool { return !strings.HasSuffix(w, ":suppressed") })
}

// portable reports whether the same is found where the workload is a Deployment: not where budgets or claims are about its kind, or
// where there are several that tell of each other.
func (e *exhibit) portable() bool {
	workloads := 0
	for _, o := range e.objects {
		if _, text := o.(*corev1.ConfigMap); text {
			continue
		}
		if templateOf(o) == nil {
			return false
		}
		workloads++
	}
	return workloads == 1
}

// exhibits reads the files that say what is found without knowing nodes or pods: those that do are about clusters of their own.
func exhibits(dir string) ([]exhibit, error) {
	files, err := corpus.Read(os.DirFS(dir))
	if err != nil {
		return nil, err
	}
	var out []exhibit
	for i := range files {
		e, ok, err := readExhibit(&files[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", files[i].Path, err)
		}
		if ok {
			out = append(out, e)
		}
	}
	return out, nil
}

func readExhibit(f *corpus.File) (e exhibit, ok bool, err error) {
	e.name, e.want = strings.TrimSuffix(filepath.Base(f.Path), ".yaml"), f.Want
	// No API server takes a host path with dots; files may have it.
	if strings.Contains(f.Body, "/../") || f.To != v1alpha1.Containerd || f.From != v1alpha1.Docker || len(f.Live) > 0 || f.Server != "" || len(f.Unread) > 0 {
		return e, false, nil
	}
	docs := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(f.Body)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return e, len(e.objects) > 0, nil
		}
		if err != nil {
			return e, false, err
		}
		x, kind, err := scheme.Codecs.UniversalDeserializer().Decode(doc, nil, nil)
		if err != nil {
			return e, false, err
		}
		switch kind.Kind {
		case "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod", "ConfigMap", "PersistentVolume", "PersistentVolumeClaim", "PodDisruptionBudget":
		default: // nodes, webhooks and classes, of which a cluster has one set; Services, whose names tell their namespace
			return e, false, nil
		}
		o := x.(object)
		if o.GetNamespace() == metav1.NamespaceSystem {
			return e, false, nil
		}
		e.objects = append(e.objects, o)
	}
}

// plant puts exhibits into namespaces of their own: each once in the kind that it has, and then as Deployments until as many of them
// are guilty as were asked for.
func (c *cluster) plant(ctx context.Context, all []exhibit) error {
	for round, k := 0, 0; round < 2 || c.made.Guilty < c.Guilty; round++ {
		for i := range all {
			e := &all[i]
			switch {
			case round > 1 && !e.guilty(), round > 0 && e.guilty() && c.made.Guilty >= c.Guilty:
				continue
			}
			k++
			if err := c.plantOne(ctx, e, fmt.Sprintf("planted-%d", k), round > 0); err != nil {
				return fmt.Errorf("%s: %w", e.name, err)
			}
		}
	}
	return nil
}

// plantOne makes the objects of an exhibit. Namespaces that it names get the prefix, so that they stay apart.
func (c *cluster) plantOne(ctx context.Context, e *exhibit, prefix string, deployed bool) error {
	guilty, main := false, ""
	deployed = deployed && e.portable()
	for _, x := range e.objects {
		o := x.DeepCopyObject().(object)
		o.SetNamespace(prefix + "-" + cmp.Or(o.GetNamespace(), "default"))
		switch v := o.(type) {
		case *corev1.PersistentVolume:
			v.Namespace, v.Name = "", prefix+"-"+v.Name
			if v.Spec.Local != nil {
				v.Spec.NodeAffinity = onSomeNode()
			}
		case *corev1.PersistentVolumeClaim:
			v.Spec.VolumeName = prefix + "-" + v.Spec.VolumeName
		}
		template := templateOf(o)
		if template == nil {
			if err := c.put(ctx, o); err != nil {
				return err
			}
			continue
		}
		main = o.GetNamespace()
		if _, pod := o.(*corev1.Pod); pod || deployed {
			o = asDeployment(o, template)
		}
		if _, is := o.(*appsv1.Deployment); is && e.guilty() && !guilty {
			guilty = true
			c.count(func(r *record) { r.Guilty++ })
		}
		if err := c.workload(ctx, o, c.dockerNode); err != nil {
			return err
		}
	}
	for _, w := range e.want {
		id, severity, _ := strings.Cut(w, ":")
		c.count(func(r *record) { r.Want = append(r.Want, wanted(id, severity, main)) })
	}
	return nil
}

// onSomeNode is what a volume of a node has to say.
func onSomeNode() *corev1.VolumeNodeAffinity {
	term := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpExists}}}
	return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term}}}
}

// asDeployment returns a Deployment of an object's template.
func asDeployment(o object, template *corev1.PodTemplateSpec) *appsv1.Deployment {
	d, ok := o.(*appsv1.Deployment)
	if !ok {
		d = &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: o.GetNamespace(), Name: o.GetName(), Annotations: o.GetAnnotations()}}
		d.Spec.Template = *template
		if s, is := o.(*appsv1.StatefulSet); is {
			d.Spec.Replicas = s.Spec.Replicas
			for i := range s.Spec.VolumeClaimTemplates {
				d.Spec.Template.Spec.Volumes = append(d.Spec.Template.Spec.Volumes, emptyDir(s.Spec.VolumeClaimTemplates[i].Name))
			}
		}
	}
	// The other kinds end.
	d.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyAlways
	d.Spec.Template.Spec.ActiveDeadlineSeconds = nil
	return d
}

// templateOf returns the pod template of a workload, or what it would be; nil for what makes no pods.
func templateOf(o object) *corev1.PodTemplateSpec {
	switch x := o.(type) {
	case *appsv1.Deployment:
		return &x.Spec.Template
	case *appsv1.StatefulSet:
		return &x.Spec.Template
	case *appsv1.DaemonSet:
		return &x.Spec.Template
	case *batchv1.Job:
		return &x.Spec.Template
	case *batchv1.CronJob:
		return &x.Spec.JobTemplate.Spec.Template
	case *corev1.Pod:
		return &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: x.Labels, Annotations: x.Annotations}, Spec: x.Spec}
	}
	return nil
}
