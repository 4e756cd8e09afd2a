package inventory

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// TestOfPods asks for what pods refer to, and for nothing where they refer to nothing.
func TestOfPods(t *testing.T) {
	s := apitest.New(t)
	s.Put("configmaps", &corev1.ConfigMap{ObjectMeta: meta("scripts"), Data: map[string]string{"run.sh": "docker ps"}})
	s.Put("configmaps", &corev1.ConfigMap{ObjectMeta: meta("unused")})
	s.Put("persistentvolumeclaims", &corev1.PersistentVolumeClaim{ObjectMeta: meta("disk"), Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv"}})
	s.Put("persistentvolumes", &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}, Spec: corev1.PersistentVolumeSpec{PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/run"}}}})
	s.Put("node.k8s.io/runtimeclasses", &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: "gvisor"}, Handler: "runsc"})

	hashed := func(name, owner, label string, sp corev1.PodSpec) corev1.Pod {
		m := meta(name, owner)
		m.Labels = map[string]string{label: "5d"}
		return *pod("n1", m, sp)
	}
	plain := []corev1.Pod{
		hashed("web-5d-a", "apps/v1/ReplicaSet/web-5d", "pod-template-hash", spec()),
		hashed("web-5d-b", "apps/v1/ReplicaSet/web-5d", "pod-template-hash", spec()),
		hashed("canary-5d-a", "apps/v1/ReplicaSet/canary-5d", "rollouts-pod-template-hash", spec()),
		hashed("other-7x-a", "apps/v1/ReplicaSet/other-7x", "pod-template-hash", spec(hostPath("s", "/run"))),
	}
	inv, err := OfPods(t.Context(), clients(s), plain)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"shop/Deployment/web c web-5d-a@n1 web-5d-b@n1", "shop/ReplicaSet/other-7x c /run other-7x-a@n1", "shop/Rollout/canary c canary-5d-a@n1"}
	if diff := cmp.Diff(want, told(inv)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"list policy/poddisruptionbudgets"}, s.Requests()); diff != "" {
		t.Errorf("requests for pods that refer to nothing (-want +got)\n%s", diff)
	}
	resident := *pod("n1", meta("log-a", "apps/v1/DaemonSet/log"), spec())
	if _, err := OfPods(t.Context(), clients(s), []corev1.Pod{resident}); err != nil || len(s.Requests()) > 1 {
		t.Errorf("%v, requests for a pod that no drain moves: %v", err, s.Requests()[1:])
	}

	sandboxed := spec(configMap("scripts"), claim("data", "disk"))
	class := "gvisor"
	sandboxed.RuntimeClassName = &class
	inv, err = OfPods(t.Context(), clients(s), append(plain, *pod("n1", meta("job"), sandboxed)))
	if err != nil {
		t.Fatal(err)
	}
	got := s.Requests()[1:]
	slices.Sort(got)
	if diff := cmp.Diff([]string{"list configmaps", "list node.k8s.io/runtimeclasses", "list persistentvolumeclaims", "list persistentvolumes", "list policy/poddisruptionbudgets"}, got); diff != "" {
		t.Errorf("requests (-want +got)\n%s", diff)
	}
	if len(inv.ConfigMaps) != 1 || inv.Volumes["pv"].HostPath == nil || inv.RuntimeClasses["gvisor"] != "runsc" || len(inv.Claims) != 1 {
		t.Errorf("%+v", inv)
	}

	s.Forbid("list configmaps")
	if inv, err = OfPods(t.Context(), clients(s), []corev1.Pod{*pod("n1", meta("job"), sandboxed)}); err != nil {
		t.Fatal(err)
	}
	if len(inv.Unread) != 1 || !strings.HasPrefix(inv.Unread[0], "ConfigMaps may not be read") {
		t.Errorf("unread %q", inv.Unread)
	}
}

// TestOfPodsThatDial says of a DOCKER_HOST what an inventory of the whole cluster says: whether it is a node, a Docker of other pods, or
// neither.
func TestOfPodsThatDial(t *testing.T) {
	s := apitest.New(t)
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.1"}}}}
	s.Put("nodes", node)
	dind := pod("n2", meta("dind"), spec())
	dind.Labels = map[string]string{"app": "dind"}
	s.Put("pods", dind)
	for name, app := range map[string]string{"dind": "dind", "empty": "nobody"} {
		s.Put("services", &corev1.Service{ObjectMeta: meta(name), Spec: corev1.ServiceSpec{Selector: map[string]string{"app": app}}})
	}
	s.Put("configmaps", &corev1.ConfigMap{ObjectMeta: meta("settings"), Data: map[string]string{"DOCKER_HOST": "tcp://192.0.2.1:2375"}})

	for name, tt := range map[string]struct {
		host     string
		from     string
		want     []string
		requests []string
	}{
		"node":     {host: "tcp://192.0.2.1:2375", want: []string{"W009 error"}, requests: []string{"list nodes"}},
		"name":     {host: "tcp://n1:2375", want: []string{"W009 error"}, requests: []string{"list nodes", "list services"}},
		"foreign":  {host: "tcp://198.51.100.7:2375", want: []string{"W009 warning"}, requests: []string{"list nodes"}},
		"service":  {host: "tcp://dind:2375", requests: []string{"list nodes", "list pods", "list services"}},
		"unserved": {host: "tcp://empty:2375", want: []string{"W009 warning"}, requests: []string{"list nodes", "list pods", "list services"}},
		"settings": {from: "settings", want: []string{"W009 error"}, requests: []string{"list configmaps", "list nodes"}},
	} {
		t.Run(name, func(t *testing.T) {
			client := spec()
			if c := &client.Containers[0]; tt.from == "" {
				c.Env = []corev1.EnvVar{{Name: "DOCKER_HOST", Value: tt.host}}
			} else {
				c.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: tt.from}}}}
			}
			before := len(s.Requests())
			inv, err := OfPods(t.Context(), clients(s), []corev1.Pod{*pod("n1", meta("client"), client)})
			if err != nil {
				t.Fatal(err)
			}
			requests := s.Requests()[before:]
			slices.Sort(requests)
			var got []string
			for _, f := range workload.Check(inv, workload.Options{To: v1alpha1.CRIO, From: map[string]v1alpha1.RuntimeName{"n1": v1alpha1.Docker}}) {
				if f.ID == "W009" || strings.HasPrefix(f.ID, "C") {
					got = append(got, f.ID+" "+string(f.Severity))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.requests, requests); diff != "" {
				t.Errorf("requests (-want +got)\n%s", diff)
			}
		})
	}
}

// TestAnnotate asks for the owners that are named, once each, and takes no refusal for more than that.
func TestAnnotate(t *testing.T) {
	s := apitest.New(t)
	s.Custom("argoproj.io/v1alpha1/rollouts", "Rollout")
	ignores := map[string]string{workload.IgnoreAnnotation: "W001: known"}
	web := meta("web")
	web.Annotations = ignores
	s.Put("apps/deployments", &appsv1.Deployment{ObjectMeta: web})
	s.Put("argoproj.io/rollouts", custom("argoproj.io/v1alpha1", "Rollout", meta("canary"), ignores))
	of := func(apiVersion, kind, name string) workload.Workload {
		return workload.Workload{Object: workload.Object{APIVersion: apiVersion, Kind: kind, Namespace: "shop", Name: name}}
	}
	inv := &workload.Inventory{Workloads: []workload.Workload{
		of("apps/v1", "Deployment", "web"), of("apps/v1", "Deployment", "web"), of("apps/v1", "Deployment", "fine"), of("argoproj.io/v1alpha1", "Rollout", "canary"),
		of("apps/v1", "StatefulSet", "gone"), of("gone.example/v1", "Odd", "odd"), of("v1", "Pod", "bare"),
	}}
	Annotate(t.Context(), clients(s), inv, map[string]bool{
		"shop/Deployment/web": true, "shop/Rollout/canary": true, "shop/StatefulSet/gone": true, "shop/Odd/odd": true, "shop/Pod/bare": true,
	})
	var got []bool
	for _, w := range inv.Workloads {
		got = append(got, w.Annotations[workload.IgnoreAnnotation] != "")
	}
	if diff := cmp.Diff([]bool{true, true, false, true, false, false, false}, got); diff != "" {
		t.Errorf("annotated (-want +got)\n%s", diff)
	}
	want := []string{"get apps/deployments", "get discovery", "get argoproj.io/rollouts", "get apps/statefulsets", "get discovery"}
	if diff := cmp.Diff(want, s.Requests()); diff != "" {
		t.Errorf("requests (-want +got)\n%s", diff)
	}
}

// TestEphemeralVolumes: a volume that comes with its pod is a claim, too.
func TestEphemeralVolumes(t *testing.T) {
	s := apitest.New(t)
	s.Put("persistentvolumeclaims", &corev1.PersistentVolumeClaim{ObjectMeta: meta("log-a-scratch"), Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv"}})
	s.Put("persistentvolumes", &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv"}, Spec: corev1.PersistentVolumeSpec{
		PersistentVolumeSource: corev1.PersistentVolumeSource{CSI: &corev1.CSIPersistentVolumeSource{Driver: "files.example.org", VolumeHandle: "x"}},
	}})
	with := spec(corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}})
	inv, err := OfPods(t.Context(), clients(s), []corev1.Pod{*pod("n1", meta("log-a", "apps/v1/DaemonSet/log"), with)})
	if err != nil {
		t.Fatal(err)
	}
	if pv := inv.Volumes[inv.Claims[workload.Key{Namespace: "shop", Name: "log-a-scratch"}]]; pv.CSI == nil || pv.CSI.Driver != "files.example.org" {
		t.Errorf("%+v, %+v", inv.Claims, inv.Volumes)
	}
}
