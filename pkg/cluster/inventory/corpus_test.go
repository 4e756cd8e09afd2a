package inventory

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
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

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// TestCorpus holds the reading to the rules: what they find in manifests they find through the API server, where only a part of every
// object is kept. The files say what that is; their heads are described beside the rules.
func TestCorpus(t *testing.T) {
	const corpus = "../../workload/testdata/corpus"
	judged := 0
	err := filepath.WalkDir(corpus, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		head := map[string]string{}
		for line := range strings.Lines(string(body)) {
			comment, is := strings.CutPrefix(line, "# ")
			if !is {
				break
			}
			field, value, _ := strings.Cut(strings.TrimSpace(comment), ":")
			head[field] = strings.TrimSpace(value)
		}
		// A pod in a file is none that runs; versions and refusals are what other tests are about.
		if filepath.Base(path) == "pod-in-a-file.yaml" || head["server"] != "" || head["unread"] != "" {
			return nil
		}
		judged++
		t.Run(strings.TrimPrefix(path, corpus+"/"), func(t *testing.T) {
			live := strings.Fields(head["live"])
			s := apitest.New(t)
			serve(t, s, string(body), live)
			inv := read(t, s, Options{})
			o := workload.Options{To: v1alpha1.RuntimeName(head["to"])}
			if head["from"] != "" {
				o.From = map[string]v1alpha1.RuntimeName{}
				for _, node := range append(live, "spare") {
					o.From[node] = v1alpha1.RuntimeName(head["from"])
				}
			}
			var have []string
			for _, f := range workload.Check(inv, o) {
				severity := string(f.Severity)
				if f.Suppressed != "" {
					severity = "suppressed"
				}
				have = append(have, f.ID+":"+severity)
			}
			slices.Sort(have)
			want := slices.Sorted(slices.Values(strings.Fields(head["want"])))
			if diff := cmp.Diff(want, slices.Compact(have)); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
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
