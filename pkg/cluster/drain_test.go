package cluster

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
)

// drainable has one pod of every kind on node w1.
func drainable(t *testing.T) *apitest.Server {
	api := apitest.New(t)
	add := func(name, owner string, change func(*corev1.Pod)) {
		pod := &corev1.Pod{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: corev1.PodSpec{NodeName: "w1"},
		}
		if owner != "" {
			pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: owner, Name: name, Controller: new(true)}}
		}
		if change != nil {
			change(pod)
		}
		api.Put("pods", pod)
	}
	add("web", "ReplicaSet", nil)
	add("ours", "Node", func(p *corev1.Pod) { p.OwnerReferences[0].APIVersion = "v1" })
	add("log", "DaemonSet", nil)
	api.Put("apps/daemonsets", &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "DaemonSet"}, ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "log"}})
	add("static", "Node", func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} })
	add("done", "", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })
	add("elsewhere", "ReplicaSet", func(p *corev1.Pod) { p.Spec.NodeName = "w2" })
	return api
}

func ours(pod corev1.Pod) bool { return pod.Name == "ours" }

func add(api *apitest.Server, pod *corev1.Pod) {
	pod.Namespace, pod.Spec.NodeName = "shop", "w1"
	api.Put("pods", pod)
}

func names(pods []corev1.Pod) []string {
	var out []string
	for _, p := range pods {
		out = append(out, p.Name)
	}
	slices.Sort(out)
	return out
}

func TestPlanDrain(t *testing.T) {
	bare := func(api *apitest.Server) { add(api, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "bare"}}) }
	scratch := func(api *apitest.Server) {
		add(api, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "scratch", OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "x", Controller: new(true)}}},
			Spec:       corev1.PodSpec{Volumes: []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}},
		})
	}
	tests := map[string]struct {
		more []func(*apitest.Server)
		o    DrainOptions
		want []string
		err  []string
	}{
		"what may go":             {want: []string{"done", "web"}},
		"no controller":           {more: []func(*apitest.Server){bare}, want: []string{"done", "web"}, err: []string{"shop/bare", "--force"}},
		"no controller, forced":   {more: []func(*apitest.Server){bare}, o: DrainOptions{Force: true}, want: []string{"bare", "done", "web"}},
		"local data":              {more: []func(*apitest.Server){scratch}, want: []string{"done", "web"}, err: []string{"shop/scratch", "--delete-emptydir-data"}},
		"local data, given up":    {more: []func(*apitest.Server){scratch}, o: DrainOptions{DeleteEmptyDirData: true}, want: []string{"done", "scratch", "web"}},
		"both are told":           {more: []func(*apitest.Server){bare, scratch}, want: []string{"done", "web"}, err: []string{"shop/scratch", "shop/bare"}},
		"a selector that matches": {o: DrainOptions{PodSelector: "!x"}, want: []string{"done", "web"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			api := drainable(t)
			for _, f := range tt.more {
				f(api)
			}
			d, err := PlanDrain(t.Context(), api.Client(), "w1", tt.o, ours)
			if (err == nil) != (len(tt.err) == 0) {
				t.Errorf("got %v", err)
			}
			for _, part := range tt.err {
				if err != nil && !strings.Contains(err.Error(), part) {
					t.Errorf("%v doesn't tell of %s", err, part)
				}
			}
			if diff := cmp.Diff(tt.want, names(d.Pods)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// lines collects reports.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) add(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, s)
}

func (l *lines) has(part string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.all, func(s string) bool { return strings.Contains(s, part) })
}

func TestDrain(t *testing.T) {
	api := drainable(t)
	// Pods take a moment to end.
	api.OnDelete(func(x *unstructured.Unstructured) bool {
		if x.GetDeletionTimestamp() != nil {
			return true
		}
		time.AfterFunc(20*time.Millisecond, func() { api.Delete("pods", x.GetNamespace(), x.GetName()) })
		return false
	})
	d, err := PlanDrain(t.Context(), api.Client(), "w1", DrainOptions{}, ours)
	if err != nil {
		t.Fatal(err)
	}
	before := len(api.Requests())
	var told lines
	if err := d.Run(t.Context(), told.add); err != nil {
		t.Fatal(err)
	}
	want := []string{"shop/elsewhere", "shop/log", "shop/ours", "shop/static"}
	if diff := cmp.Diff(want, api.Names("pods")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, part := range []string{"evicting pod shop/web", "pod shop/web is gone"} {
		if !told.has(part) {
			t.Errorf("nothing was told of %q", part)
		}
	}
	// Discovery, one eviction a pod, one list, one watch: however long they take.
	if made := len(api.Requests()) - before; made > 5 {
		t.Errorf("%d requests: %v", made, api.Requests()[before:])
	}
}

func TestDrainHeldBackByABudget(t *testing.T) {
	api := drainable(t)
	add(api, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "db", Annotations: map[string]string{"test/held": "The disruption budget db needs 3 healthy pods and has 3 currently"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", Controller: new(true)}},
	}})
	d, err := PlanDrain(t.Context(), api.Client(), "w1", DrainOptions{Timeout: 200 * time.Millisecond}, ours)
	if err != nil {
		t.Fatal(err)
	}
	var told lines
	err = d.Run(t.Context(), told.add)
	if err == nil {
		t.Fatal("drained against a budget")
	}
	for _, part := range []string{"not drained within 200ms", "still there: shop/db", "held back: shop/db (The disruption budget db"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v doesn't tell %q", err, part)
		}
	}
	if !told.has("pod shop/db is held back") {
		t.Errorf("told: %v", told.all)
	}
}

// TestDrainWithoutLimit: zero means infinite, as in kubectl.
func TestDrainWithoutLimit(t *testing.T) {
	api := drainable(t)
	add(api, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "db", Annotations: map[string]string{"test/held": "The disruption budget db needs 3 healthy pods and has 3 currently"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", Controller: new(true)}},
	}})
	d, err := PlanDrain(t.Context(), api.Client(), "w1", DrainOptions{}, ours)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("seen enough")
	err = d.Run(ctx, func(text string) {
		if strings.Contains(text, "held back") {
			if until, limited := d.helper.Ctx.Deadline(); limited {
				t.Errorf("it ends at %s", until)
			}
			cancel(enough)
		}
	})
	if !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

func TestDrainWithoutEviction(t *testing.T) {
	api := drainable(t)
	d, err := PlanDrain(t.Context(), api.Client(), "w1", DrainOptions{DisableEviction: true}, ours)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(t.Context(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(api.Requests(), "create pods/eviction") {
		t.Error("evicted")
	}
}
