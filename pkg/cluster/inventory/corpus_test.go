package inventory

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload/corpus"
)

// TestCorpus holds the reading to the rules: what they find in manifests they find through the API server, where only a part of every
// object is kept. The files say what that is; their heads are described beside the rules.
func TestCorpus(t *testing.T) {
	files, err := corpus.Read(os.DirFS("../../workload/testdata/corpus"))
	if err != nil {
		t.Fatal(err)
	}
	judged := 0
	for _, f := range files {
		// A pod in a file is none that runs; versions and refusals are what other tests are about.
		if filepath.Base(f.Path) == "pod-in-a-file.yaml" || f.Server != "" || len(f.Unread) > 0 {
			continue
		}
		judged++
		t.Run(f.Path, func(t *testing.T) {
			s := apitest.New(t)
			serve(t, s, f.Body, f.Live)
			have := corpus.Said(workload.Check(read(t, s, Options{}), workload.Options{To: f.To, From: f.Runtimes()}))
			if diff := cmp.Diff(f.Want, have); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
		})
	}
	if judged < 150 {
		t.Errorf("%d files, want 150", judged)
	}
}

// serve puts the objects of a file into an API server, with a pod on each node for what has a template.
func serve(t *testing.T, s *apitest.Server, body string, live []string) {
	t.Helper()
	docs := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(body)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		x, kind, err := scheme.Codecs.UniversalDeserializer().Decode(doc, nil, nil)
		if runtime.IsMissingKind(err) { // comments alone
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		o := x.(metav1.Object)
		resource, _ := apimeta.UnsafeGuessKindToResource(*kind)
		name := strings.TrimPrefix(resource.Group+"/"+resource.Resource, "/")
		if global := []string{"Node", "PersistentVolume", "RuntimeClass"}; o.GetNamespace() == "" && !slices.Contains(global, kind.Kind) && !strings.HasSuffix(kind.Kind, "Configuration") {
			o.SetNamespace("default")
		}
		if p, is := x.(*corev1.Pod); is && len(live) > 0 {
			p.Spec.NodeName = live[0]
		}
		s.Put(name, x)
		template := templateIn(x)
		if template == nil {
			continue
		}
		for _, node := range live {
			m := metav1.ObjectMeta{
				Namespace: o.GetNamespace(), Name: o.GetName() + "-" + node, Labels: template.Labels, Annotations: template.Annotations, Finalizers: template.Finalizers,
			}
			owner := x.DeepCopyObject()
			s.Get(name, o.GetNamespace(), o.GetName(), owner)
			m.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(owner.(metav1.Object), *kind)}
			s.Put("pods", pod(node, m, *template.Spec.DeepCopy()))
		}
	}
}

func templateIn(x runtime.Object) *corev1.PodTemplateSpec {
	switch x := x.(type) {
	case *appsv1.Deployment:
		return &x.Spec.Template
	case *appsv1.StatefulSet:
		return &x.Spec.Template
	case *appsv1.DaemonSet:
		return &x.Spec.Template
	case *appsv1.ReplicaSet:
		return &x.Spec.Template
	case *batchv1.Job:
		return &x.Spec.Template
	}
	return nil
}
