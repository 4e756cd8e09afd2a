package inventory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// meta names an object; by names what controls it as apiVersion/Kind/name.
func meta(name string, by ...string) metav1.ObjectMeta {
	m := metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name)}
	for _, b := range by {
		i := strings.LastIndex(b, "/")
		j := strings.LastIndex(b[:i], "/")
		yes := true
		m.OwnerReferences = append(m.OwnerReferences, metav1.OwnerReference{APIVersion: b[:j], Kind: b[j+1 : i], Name: b[i+1:], UID: types.UID("uid-" + b[i+1:]), Controller: &yes})
	}
	return m
}

func spec(volumes ...corev1.Volume) corev1.PodSpec {
	s := corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "x"}}, Volumes: volumes}
	for _, v := range volumes {
		s.Containers[0].VolumeMounts = append(s.Containers[0].VolumeMounts, corev1.VolumeMount{Name: v.Name, MountPath: "/" + v.Name})
	}
	return s
}

func template(volumes ...corev1.Volume) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "x"}}, Spec: spec(volumes...)}
}

func hostPath(name, path string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}}
}

func configMap(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}}
}

func claim(name, of string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: of}}}
}

// pod is a pod on a node.
func pod(node string, m metav1.ObjectMeta, s corev1.PodSpec) *corev1.Pod {
	s.NodeName = node
	return &corev1.Pod{ObjectMeta: m, Spec: s, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
}

func clients(s *apitest.Server) Clients {
	return Clients{Kube: s.Client(), Meta: metadata.NewForConfigOrDie(s.Config())}
}

func read(t *testing.T, s *apitest.Server, o Options) *workload.Inventory {
	t.Helper()
	inv, err := Read(t.Context(), clients(s), o)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// told is what tests compare of workloads: the owner, what it mounts of its node and which maps, and its pods.
func told(inv *workload.Inventory) []string {
	var out []string
	for _, w := range inv.Workloads {
		line := w.Object.String()
		for _, list := range [][]corev1.Container{w.Spec.InitContainers, w.Spec.Containers} {
			for _, c := range list {
				line += " " + c.Name
				for _, m := range c.VolumeMounts {
					i := slices.IndexFunc(w.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
					switch {
					case i < 0:
						line += " ?" + m.Name
					case w.Spec.Volumes[i].HostPath != nil:
						line += " " + w.Spec.Volumes[i].HostPath.Path
					case w.Spec.Volumes[i].ConfigMap != nil:
						line += " map:" + w.Spec.Volumes[i].ConfigMap.Name
					case w.Spec.Volumes[i].PersistentVolumeClaim != nil:
						line += " claim:" + w.Spec.Volumes[i].PersistentVolumeClaim.ClaimName
					}
				}
				for _, e := range c.Env {
					line += " $" + e.Name
				}
			}
		}
		for _, p := range w.Pods {
			line += fmt.Sprintf(" %s@%s", p.Name, p.Node)
			if p.Mirror {
				line += "(static)"
			}
		}
		if a := w.Annotations[workload.IgnoreAnnotation]; a != "" {
			line += " ignores " + a
		}
		out = append(out, line)
	}
	return out
}

// TestVolumeTypes: pods of an older template keep the type that their volume has.
func TestVolumeTypes(t *testing.T) {
	s := apitest.New(t)
	untyped, typed, unset := hostPath("sock", "/run/crio/crio.sock"), hostPath("sock", "/run/crio/crio.sock"), hostPath("sock", "/run/crio/crio.sock")
	typed.HostPath.Type, unset.HostPath.Type = new(corev1.HostPathSocket), new(corev1.HostPathUnset)
	s.Put("apps/daemonsets", &appsv1.DaemonSet{ObjectMeta: meta("new"), Spec: appsv1.DaemonSetSpec{Template: template(typed)}})
	s.Put("apps/daemonsets", &appsv1.DaemonSet{ObjectMeta: meta("same"), Spec: appsv1.DaemonSetSpec{Template: template(unset)}})
	s.Put("pods", pod("n1", meta("new-1", "apps/v1/DaemonSet/new"), spec(untyped)))
	s.Put("pods", pod("n1", meta("same-1", "apps/v1/DaemonSet/same"), spec(untyped)))
	want := []string{
		"shop/DaemonSet/new c /run/crio/crio.sock /run/crio/crio.sock new-1@n1",
		"shop/DaemonSet/same c /run/crio/crio.sock same-1@n1",
	}
	if diff := cmp.Diff(want, told(read(t, s, Options{}))); diff != "" {
		t.Errorf("(-want +have)\n%s", diff)
	}
}

// TestOwners follows every kind of owner up, and asks for no single object.
func TestOwners(t *testing.T) {
	s := apitest.New(t)
	s.PageSize(2)
	sock := hostPath("sock", "/run/docker.sock")
	zero, two := int32(0), int32(2)
	run := func(kind string) string { return "apps/v1/" + kind }

	// A Deployment with a revision of before that has a pod still, and one that has none.
	web := meta("web")
	web.Annotations = map[string]string{workload.IgnoreAnnotation: "W001: goes in May", "other": "x"}
	s.Put("apps/deployments", &appsv1.Deployment{ObjectMeta: web, Spec: appsv1.DeploymentSpec{Replicas: &two, Template: template()}})
	for name, replicas := range map[string]*int32{"web-1": &zero, "web-2": &two, "web-3": &two} {
		s.Put("apps/replicasets", &appsv1.ReplicaSet{ObjectMeta: meta(name, run("Deployment/web")), Spec: appsv1.ReplicaSetSpec{Replicas: replicas, Template: template(hostPath("old-"+name, "/old"))}})
	}
	s.Put("pods", pod("n1", meta("web-2-a", run("ReplicaSet/web-2")), spec()))
	s.Put("pods", pod("n2", meta("web-3-a", run("ReplicaSet/web-3")), spec(sock)))
	// What admission put into a pod: a container, a variable, a volume under a name that is taken; and what says nothing.
	injected := spec(configMap("conf"))
	injected.Containers[0].Env = []corev1.EnvVar{{Name: "POD_NAME", Value: "x"}, {Name: "DOCKER_HOST", Value: "tcp://a:2375"}}
	injected.Containers = append(injected.Containers, corev1.Container{Name: "sidecar", VolumeMounts: []corev1.VolumeMount{{Name: "sock2", MountPath: "/s"}, {Name: "kube-api-access-x", MountPath: "/t"}}})
	injected.Volumes = append(injected.Volumes, hostPath("sock2", "/run/crio/crio.sock"), hostPath("data", "/var/lib/docker"))
	injected.Containers[0].VolumeMounts = append(injected.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "data", MountPath: "/d"})
	s.Put("apps/daemonsets", &appsv1.DaemonSet{ObjectMeta: meta("agent"), Spec: appsv1.DaemonSetSpec{Template: template(configMap("conf"), hostPath("data", "/data"))}})
	for _, n := range []string{"n1", "n2", "n3"} {
		s.Put("pods", pod(n, meta("agent-"+n, run("DaemonSet/agent")), *injected.DeepCopy()))
	}

	// Without pods, and of every other kind.
	s.Put("apps/statefulsets", &appsv1.StatefulSet{ObjectMeta: meta("db"), Spec: appsv1.StatefulSetSpec{Replicas: &zero, Template: template(sock)}})
	s.Put("batch/cronjobs", &batchv1.CronJob{ObjectMeta: meta("nightly"), Spec: batchv1.CronJobSpec{JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template(sock)}}}})
	s.Put("batch/jobs", &batchv1.Job{ObjectMeta: meta("nightly-1", "batch/v1/CronJob/nightly"), Spec: batchv1.JobSpec{Template: template(sock)}})
	s.Put("pods", pod("n3", meta("nightly-1-x", "batch/v1/Job/nightly-1"), spec(sock)))
	s.Put("batch/jobs", &batchv1.Job{ObjectMeta: meta("once"), Spec: batchv1.JobSpec{Template: template()}})
	s.Put("podtemplates", &corev1.PodTemplate{ObjectMeta: meta("pt"), Template: template()})
	alone := template()
	s.Put("replicationcontrollers", &corev1.ReplicationController{ObjectMeta: meta("rc"), Spec: corev1.ReplicationControllerSpec{Template: &alone}})
	s.Put("apps/replicasets", &appsv1.ReplicaSet{ObjectMeta: meta("lonely"), Spec: appsv1.ReplicaSetSpec{Template: template()}})

	// Pods of nobody: bare, static, and one that has ended.
	s.Put("pods", pod("", meta("bare"), spec(sock)))
	static := meta("kube-proxy-n1", "v1/Node/n1")
	static.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
	s.Put("pods", pod("n1", static, spec()))
	ended := pod("n1", meta("ended"), spec(sock))
	ended.Status.Phase = corev1.PodSucceeded
	s.Put("pods", ended)

	// Kinds of others: Rollout → ReplicaSet → Pod, one that owns pods, one that owns a StatefulSet, one whose kind isn't served.
	s.Custom("argoproj.io/v1alpha1/rollouts", "Rollout")
	s.Custom("apps.kruise.io/v1alpha1/clonesets", "CloneSet")
	s.Custom("db.example/v1/databases", "Database")
	s.Put("argoproj.io/rollouts", custom("argoproj.io/v1alpha1", "Rollout", meta("canary"), map[string]string{workload.IgnoreAnnotation: "W002: known"}))
	s.Put("apps/replicasets", &appsv1.ReplicaSet{ObjectMeta: meta("canary-1", "argoproj.io/v1alpha1/Rollout/canary"), Spec: appsv1.ReplicaSetSpec{Replicas: &zero, Template: template(sock)}})
	s.Put("apps/replicasets", &appsv1.ReplicaSet{ObjectMeta: meta("canary-2", "argoproj.io/v1alpha1/Rollout/canary"), Spec: appsv1.ReplicaSetSpec{Replicas: &two, Template: template()}})
	s.Put("pods", pod("n1", meta("canary-2-a", run("ReplicaSet/canary-2")), spec()))
	s.Put("apps.kruise.io/clonesets", custom("apps.kruise.io/v1alpha1", "CloneSet", meta("clones", "db.example/v1/Database/main"), nil))
	s.Put("pods", pod("n1", meta("clones-a", "apps.kruise.io/v1alpha1/CloneSet/clones"), spec()))
	s.Put("pods", pod("n2", meta("clones-b", "apps.kruise.io/v1alpha1/CloneSet/clones"), spec(sock)))
	s.Put("db.example/databases", custom("db.example/v1", "Database", meta("main"), nil))
	s.Put("apps/statefulsets", &appsv1.StatefulSet{ObjectMeta: meta("main-db", "db.example/v1/Database/main"), Spec: appsv1.StatefulSetSpec{Template: template(sock)}})
	s.Put("pods", pod("n1", meta("odd-a", "gone.example/v1/Odd/odd"), spec()))

	inv := read(t, s, Options{})
	want := []string{
		"shop/CronJob/nightly c /run/docker.sock nightly-1-x@n3",
		"shop/DaemonSet/agent c map:conf /data /var/lib/docker $DOCKER_HOST sidecar /run/crio/crio.sock agent-n1@n1 agent-n2@n2 agent-n3@n3",
		"shop/Database/main c /run/docker.sock",
		"shop/Database/main c /run/docker.sock clones-a@n1 clones-b@n2",
		"shop/Deployment/web c /run/docker.sock web-2-a@n1 web-3-a@n2 ignores W001: goes in May",
		"shop/Job/once c",
		"shop/Odd/odd c odd-a@n1",
		"shop/Pod/bare c /run/docker.sock bare@",
		"shop/Pod/kube-proxy-n1 c kube-proxy-n1@n1(static)",
		"shop/PodTemplate/pt c",
		"shop/ReplicaSet/lonely c",
		"shop/ReplicationController/rc c",
		"shop/Rollout/canary c canary-2-a@n1 ignores W002: known",
		"shop/StatefulSet/db c /run/docker.sock",
	}
	got := told(inv)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Odd (gone.example/v1) may not be read with these credentials: what controls them, and what their annotations ignore, is not known"}, inv.Unread); diff != "" {
		t.Errorf("unread (-want +got)\n%s", diff)
	}
	// Requests: lists and discovery alone, and of each kind no more than its pages.
	counts := map[string]int{}
	for _, q := range s.Requests() {
		counts[q]++
	}
	pages := func(objects int) int { return max(1, (objects+1)/2) }
	limits := map[string]int{
		"list pods": pages(len(s.Names("pods"))), "list apps/replicasets": pages(len(s.Names("apps/replicasets"))), "list apps/deployments": 1, "list apps/daemonsets": 1,
		"list apps/statefulsets": 1, "list batch/jobs": 1, "list batch/cronjobs": 1, "list podtemplates": 1, "list replicationcontrollers": 1, "list nodes": 1,
		"list persistentvolumes": 1, "list persistentvolumeclaims": 1, "list node.k8s.io/runtimeclasses": 1, "list policy/poddisruptionbudgets": 1,
		"list admissionregistration.k8s.io/validatingwebhookconfigurations": 1, "list admissionregistration.k8s.io/mutatingwebhookconfigurations": 1,
		"list configmaps": 1, "list services": 1, "list argoproj.io/rollouts": 1, "list apps.kruise.io/clonesets": 1, "list db.example/databases": 1,
		"get discovery": 4, "get version": 1,
	}
	if diff := cmp.Diff(limits, counts); diff != "" {
		t.Errorf("requests (-want +got)\n%s", diff)
	}
}

func custom(apiVersion, kind string, m metav1.ObjectMeta, annotations map[string]string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
	u.SetNamespace(m.Namespace)
	u.SetName(m.Name)
	u.SetUID(m.UID)
	u.SetOwnerReferences(m.OwnerReferences)
	u.SetAnnotations(annotations)
	return u
}

// TestClaimsOfManyPods doesn't let a StatefulSet's spec grow with the claims of its pods, unless they are bound to other paths.
func TestClaimsOfManyPods(t *testing.T) {
	s := apitest.New(t)
	s.Put("apps/statefulsets", &appsv1.StatefulSet{ObjectMeta: meta("db"), Spec: appsv1.StatefulSetSpec{Template: template()}})
	for i := range 20 {
		path := "/mnt/disk"
		if i == 7 {
			path = "/run"
		}
		name := fmt.Sprint("db-", i)
		s.Put("persistentvolumes", &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}}}})
		s.Put("persistentvolumeclaims", &corev1.PersistentVolumeClaim{ObjectMeta: meta(name), Spec: corev1.PersistentVolumeClaimSpec{VolumeName: name}})
		s.Put("pods", pod("n1", meta(fmt.Sprintf("db-%02d", i), "apps/v1/StatefulSet/db"), spec(claim("data", name))))
	}
	spec := read(t, s, Options{}).Workloads[0].Spec
	var got []string
	for _, v := range spec.Volumes {
		got = append(got, v.Name+" "+v.PersistentVolumeClaim.ClaimName)
	}
	if diff := cmp.Diff([]string{"data db-0", "data (in db-07) db-7"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if n := len(spec.Containers[0].VolumeMounts); n != 2 {
		t.Errorf("%d mounts", n)
	}
}

// TestNarrowed looks at one namespace, and by labels.
func TestNarrowed(t *testing.T) {
	s := apitest.New(t)
	for _, name := range []string{"a", "b"} {
		m := meta(name)
		m.Labels = map[string]string{"own": name}
		x := template()
		x.Labels = map[string]string{"pod": name}
		s.Put("apps/deployments", &appsv1.Deployment{ObjectMeta: m, Spec: appsv1.DeploymentSpec{Template: x}})
		s.Put("apps/replicasets", &appsv1.ReplicaSet{ObjectMeta: meta(name+"-1", "apps/v1/Deployment/"+name)})
		s.Put("pods", pod("node-"+name, meta(name+"-1-x", "apps/v1/ReplicaSet/"+name+"-1"), spec()))
	}
	other := meta("elsewhere")
	other.Namespace = "other"
	s.Put("pods", pod("node-a", other, spec()))
	for name, tt := range map[string]struct {
		o    Options
		want []string
	}{
		"namespace":   {Options{Namespace: "other"}, []string{"other/Pod/elsewhere c elsewhere@node-a"}},
		"own labels":  {Options{Selector: labels.SelectorFromSet(labels.Set{"own": "a"})}, []string{"shop/Deployment/a c a-1-x@node-a"}},
		"pods' label": {Options{Selector: labels.SelectorFromSet(labels.Set{"pod": "b"})}, []string{"shop/Deployment/b c b-1-x@node-b"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, told(read(t, s, tt.o))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestForbidden tells what may not be read, and reads the rest.
func TestForbidden(t *testing.T) {
	s := apitest.New(t)
	s.Put("apps/replicasets", &appsv1.ReplicaSet{ObjectMeta: meta("web-1", "apps/v1/Deployment/web")})
	s.Put("pods", pod("n1", meta("web-1-a", "apps/v1/ReplicaSet/web-1"), spec(hostPath("s", "/run/docker.sock"))))
	for _, what := range []string{"apps/deployments", "configmaps", "nodes"} {
		s.Forbid("list " + what)
	}
	inv := read(t, s, Options{Namespace: "shop"})
	if diff := cmp.Diff([]string{"shop/Deployment/web c /run/docker.sock web-1-a@n1"}, told(inv)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	want := []string{
		"ConfigMaps in shop may not be read with these credentials: scripts and settings in them are not looked at",
		"Deployments in shop may not be read with these credentials: what they ask for is known of those with pods only",
		"Nodes may not be read with these credentials: which runtime serves whom is not known",
	}
	if diff := cmp.Diff(want, inv.Unread); diff != "" {
		t.Errorf("unread (-want +got)\n%s", diff)
	}

	for _, what := range []string{"pods", "podtemplates", "replicationcontrollers", "apps/replicasets", "apps/statefulsets", "apps/daemonsets", "batch/jobs", "batch/cronjobs"} {
		s.Forbid("list " + what)
	}
	var denied *cluster.DeniedError
	if _, err := Read(t.Context(), clients(s), Options{Namespace: "shop"}); !errors.As(err, &denied) {
		t.Errorf("error %v, want all rights that are missing", err)
	}
}

// TestFailing ends at what is no refusal.
func TestFailing(t *testing.T) {
	s := apitest.New(t)
	s.Before(func(verb string, _ *http.Request) error {
		if verb == "list batch/jobs" {
			return errors.New("etcd is away")
		}
		return nil
	})
	if _, err := Read(t.Context(), clients(s), Options{}); err == nil || !strings.Contains(err.Error(), "listing Jobs: ") {
		t.Errorf("error %v", err)
	}
}

// TestExpired goes on where the API server has forgotten the version of a list, as it offers, and gives up where it doesn't.
func TestExpired(t *testing.T) {
	expired := apierrors.NewResourceExpired("too old")
	for _, offered := range []string{"again", ""} {
		var asked, got []string
		list := func(_ context.Context, o metav1.ListOptions) (*corev1.PodList, error) {
			asked = append(asked, o.Continue)
			switch o.Continue {
			case "":
				return &corev1.PodList{ListMeta: metav1.ListMeta{Continue: "old"}, Items: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "a"}}}}, nil
			case "again":
				return &corev1.PodList{Items: []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "b"}}}}, nil
			}
			err := *expired
			err.ErrStatus.Continue = offered
			return nil, &err
		}
		err := pages(t.Context(), list, func(l *corev1.PodList) { got = append(got, l.Items[0].Name) })
		wantAsked, wantGot := []string{"", "old", "again"}, []string{"a", "b"}
		if offered == "" {
			wantAsked, wantGot = []string{"", "old"}, []string{"a"}
		}
		if (err == nil) != (offered != "") || !cmp.Equal(asked, wantAsked) || !cmp.Equal(got, wantGot) {
			t.Errorf("offered %q: asked %q, got %q, error %v", offered, asked, got, err)
		}
	}
}
