package workload

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// mounting returns a workload with one container that mounts one path of the node, a socket as such.
func mounting(name, path string, pods ...Placed) Workload {
	source := &corev1.HostPathVolumeSource{Path: path}
	if strings.HasSuffix(path, ".sock") {
		source.Type = new(corev1.HostPathSocket)
	}
	return Workload{
		Object: Object{"apps/v1", "Deployment", "shop", name}, Pods: pods,
		Spec: corev1.PodSpec{
			Volumes:    []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: source}}},
			Containers: []corev1.Container{{Name: "app", Image: "registry.example.org/app:1", VolumeMounts: []corev1.VolumeMount{{Name: "v", MountPath: "/v"}}}},
		},
	}
}

// TestMerged: an object is told of once, whatever number of templates and pods it has.
func TestMerged(t *testing.T) {
	first := mounting("app", "/var/run/docker.sock", Placed{"app-1", "b", false}, Placed{"app-2", "a", false})
	second := mounting("app", "/run/docker.sock", Placed{"app-2", "a", false}, Placed{"app-3", "a", false}, Placed{"app-4", "", false})
	have := Check(&Inventory{Workloads: []Workload{first, second}}, Options{To: v1alpha1.Containerd})
	want := []v1alpha1.Finding{{
		ID: "W001", Severity: v1alpha1.SeverityError, Object: "shop/Deployment/app", Pods: 4, Nodes: []string{"a", "b"},
		Message:  "mounts Docker's socket; after the switch nobody answers there",
		Evidence: []string{"container app: mounts /var/run/docker.sock at /v (volume v)", "container app: mounts /run/docker.sock at /v (volume v)"},
		Hint:     "use the target's CRI socket, the kubelet, or a tool that needs no daemon of the node",
	}}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("(-want +have)\n%s", diff)
	}
}

func TestFiles(t *testing.T) {
	a, b := mounting("app", "/var/run/docker.sock"), mounting("app", "/var/run/docker.sock")
	a.Source, b.Source = Source{"a.yaml", 3}, Source{"b.yaml", 7}
	var asked [][]string
	a.Line = func(path ...string) int {
		asked = append(asked, path)
		return 21
	}
	have := Check(&Inventory{Workloads: []Workload{b, a}}, Options{To: v1alpha1.Containerd})
	var lines []Source
	for _, f := range have {
		lines = append(lines, Source{f.File, f.Line})
	}
	if diff := cmp.Diff([]Source{{"a.yaml", 21}, {"b.yaml", 7}}, lines); diff != "" {
		t.Errorf("(-want +have)\n%s", diff)
	}
	if diff := cmp.Diff([][]string{{"spec", "volumes", "v"}}, asked); diff != "" {
		t.Errorf("asked for (-want +have)\n%s", diff)
	}
}

func TestSuppressed(t *testing.T) {
	for _, c := range []struct {
		name          string
		object, pod   string
		want          string
		stillSeverity v1alpha1.Severity
	}{
		{name: "by the object", object: "W001: retired", want: "retired"},
		{name: "by the template", pod: "W001:retired: in May", want: "retired: in May"},
		{name: "among others", object: "W007,W001 ,W002: retired", want: "retired"},
		{name: "without a reason", object: "W001", want: "no reason given"},
		{name: "lower case", object: "w001: retired", want: "retired"},
		{name: "another rule", object: "W002: retired"},
		{name: "a longer one", object: "W0011: retired"},
		{name: "in the reason", object: "W002: as for W001"},
		{name: "nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := mounting("app", "/var/run/docker.sock")
			w.Annotations, w.PodAnnotations = map[string]string{IgnoreAnnotation: c.object}, map[string]string{IgnoreAnnotation: c.pod}
			have := Check(&Inventory{Workloads: []Workload{w}}, Options{To: v1alpha1.Containerd})
			if len(have) != 1 || have[0].Suppressed != c.want || have[0].Severity != v1alpha1.SeverityError {
				t.Errorf("have %+v, want one error, suppressed by %q", have, c.want)
			}
		})
	}
}

// TestSuppressedInPart: a template's annotation speaks for that template, an object's for all of its templates.
func TestSuppressedInPart(t *testing.T) {
	covered, other := mounting("app", "/var/run/docker.sock"), mounting("app", "/run/docker.sock")
	covered.PodAnnotations = map[string]string{IgnoreAnnotation: "W001: retired"}
	for _, order := range [][]Workload{{covered, other}, {other, covered}} {
		if have := Check(&Inventory{Workloads: order}, Options{To: v1alpha1.Containerd}); len(have) != 1 || have[0].Suppressed != "" {
			t.Errorf("have %+v, want one that counts", have)
		}
	}
	if have := Check(&Inventory{Workloads: []Workload{covered, covered}}, Options{To: v1alpha1.Containerd}); len(have) != 1 || have[0].Suppressed != "retired" {
		t.Errorf("have %+v, want one that is suppressed", have)
	}
}

// TestLeaving: what a socket's mount is worth follows from the target and from what serves the nodes.
func TestLeaving(t *testing.T) {
	from := func(a, b v1alpha1.RuntimeName) map[string]v1alpha1.RuntimeName {
		return map[string]v1alpha1.RuntimeName{"a": a, "b": b}
	}
	const docker, containerd, crio = v1alpha1.Docker, v1alpha1.Containerd, v1alpha1.CRIO
	onA := Placed{"p", "a", false}
	for _, c := range []struct {
		name string
		path string
		o    Options
		pods []Placed
		want v1alpha1.Severity
	}{
		{"docker goes", "/run/docker.sock", Options{To: containerd}, nil, failing},
		{"docker goes from the node", "/run/docker.sock", Options{To: containerd, From: from(docker, containerd)}, []Placed{onA}, failing},
		{"docker goes from another node", "/run/docker.sock", Options{To: containerd, From: from(containerd, docker)}, []Placed{onA}, advising},
		{"docker goes from some node", "/run/docker.sock", Options{To: containerd, From: from(containerd, docker)}, nil, failing},
		{"docker serves nobody", "/run/docker.sock", Options{To: crio, From: from(containerd, containerd)}, nil, advising},
		{"docker comes", "/run/docker.sock", Options{To: docker}, nil, ""},
		{"docker, no target", "/run/docker.sock", Options{}, nil, failing},
		{"docker, no target, gone", "/run/docker.sock", Options{From: from(containerd, containerd)}, nil, advising},
		{"containerd goes", "/run/containerd/containerd.sock", Options{To: crio}, nil, failing},
		{"containerd comes", "/run/containerd/containerd.sock", Options{To: containerd, From: from(docker, docker)}, nil, ""},
		{"containerd, never there", "/run/containerd/containerd.sock", Options{To: crio, From: from(docker, docker)}, nil, ""},
		{"containerd, no target", "/run/containerd/containerd.sock", Options{From: from(containerd, containerd)}, nil, advising},
		{"containerd, nothing known", "/run/containerd/containerd.sock", Options{}, nil, advising},
		{"docker goes, but not from here", "/run/docker.sock", Options{To: containerd, From: from(docker, docker)}, []Placed{{"p", "c", false}}, advising},
		{"docker goes from one of its nodes", "/run/docker.sock", Options{To: containerd, From: from(docker, docker)}, []Placed{{"p", "c", false}, onA}, failing},
		{"waits for a node", "/run/docker.sock", Options{To: containerd, From: from(docker, docker)}, []Placed{{"p", "", false}}, failing},
		{"cri-o goes", "/run/crio/crio.sock", Options{To: docker, From: from(crio, crio)}, []Placed{onA}, failing},
	} {
		t.Run(c.name, func(t *testing.T) {
			var have v1alpha1.Severity
			if f := Check(&Inventory{Workloads: []Workload{mounting("app", c.path, c.pods...)}}, c.o); len(f) > 0 {
				have = f[0].Severity
			}
			if have != c.want {
				t.Errorf("%q, want %q", have, c.want)
			}
		})
	}
}

// TestElsewhere: the drain of a node concerns what is on it alone.
func TestElsewhere(t *testing.T) {
	nothing := intstr.FromInt32(0)
	with := func(node string) *Inventory {
		w := mounting("app", "/data", Placed{"app-1", node, false})
		w.Object, w.Labels, w.Finalizers = Object{"v1", "Pod", "shop", "app"}, map[string]string{"app": "app"}, []string{"example.org/x"}
		w.Spec.Volumes = append(w.Spec.Volumes, corev1.Volume{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
		w.Spec.Containers[0].Image, w.Spec.Containers[0].ImagePullPolicy = "app", corev1.PullNever
		return &Inventory{Workloads: []Workload{w}, Budgets: []policyv1.PodDisruptionBudget{{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"},
			Spec:       policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &nothing, Selector: &metav1.LabelSelector{MatchLabels: w.Labels}},
		}}}
	}
	ids := func(node string) []string {
		var out []string
		for _, f := range Check(with(node), Options{To: v1alpha1.CRIO, From: map[string]v1alpha1.RuntimeName{"a": v1alpha1.Docker, "b": v1alpha1.CRIO}}) {
			out = append(out, f.ID)
		}
		slices.Sort(out)
		return out
	}
	if diff := cmp.Diff([]string{"W021", "W025", "W030", "W031", "W033", "W034"}, ids("a")); diff != "" {
		t.Errorf("on a node that moves (-want +have)\n%s", diff)
	}
	for _, node := range []string{"b", "c"} {
		if have := ids(node); len(have) > 0 {
			t.Errorf("on %s, which doesn't move: %v", node, have)
		}
	}
}

// TestRules holds the reference to its form.
func TestRules(t *testing.T) {
	seen := map[string]bool{}
	last := ""
	for _, r := range rules() {
		switch {
		case len(r.ID) != 4 || r.ID[0] != 'W' && r.ID[0] != 'C':
			t.Errorf("ID %q", r.ID)
		case seen[r.ID], r.ID < last:
			t.Errorf("%s is there twice, or out of order", r.ID)
		case r.Title == "" || r.Doc == "" || r.Severity == "":
			t.Errorf("%s lacks a title, a text or a severity", r.ID)
		case (r.each == nil) == (r.once == nil):
			t.Errorf("%s must be applied in one way", r.ID)
		}
		seen[r.ID], last = true, r.ID
	}
}

// TestNothing: an empty inventory and an empty pod are nothing to talk about.
func TestNothing(t *testing.T) {
	for _, to := range []v1alpha1.RuntimeName{"", v1alpha1.Docker, v1alpha1.Containerd, v1alpha1.CRIO} {
		if f := Check(&Inventory{Workloads: []Workload{{}, {Spec: corev1.PodSpec{Containers: make([]corev1.Container, 1)}}}}, Options{To: to}); len(f) > 0 {
			t.Errorf("to %q: %+v", to, f)
		}
	}
}
