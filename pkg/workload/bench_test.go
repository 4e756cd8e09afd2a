package workload

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// large is a cluster of 5,000 nodes with five pods of each of n Deployments; one in a hundred mounts Docker's socket,
// and every one has a ConfigMap, a script and a budget, as in a cluster that is really used.
func large(n int) (*Inventory, Options) {
	inv := &Inventory{ConfigMaps: map[Key]map[string]string{}, Services: map[Key]map[string]string{}}
	o := Options{To: v1alpha1.CRIO, From: map[string]v1alpha1.RuntimeName{}}
	const nodes = 5000
	for i := range nodes {
		name := fmt.Sprintf("node-%d", i)
		o.From[name] = v1alpha1.Docker
		inv.Nodes = append(inv.Nodes, Node{Name: name, RuntimeVersion: "docker://28.5.2", KubeletVersion: "v1.34.1", Addresses: []string{name}})
	}
	inv.ServerVersion = "v1.34.1"
	replicas := int32(5)
	for i := range n {
		ns, name := fmt.Sprintf("team-%d", i%200), fmt.Sprintf("app-%d", i)
		w := Workload{
			Object: Object{"apps/v1", "Deployment", ns, name}, Labels: map[string]string{"app": name}, Replicas: &replicas,
			Spec: corev1.PodSpec{
				Volumes: []corev1.Volume{
					{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}}},
					{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				},
				Containers: []corev1.Container{{
					Name: "app", Image: "registry.example.org/app:1",
					Command: []string{"/bin/sh", "-c", "set -e\necho mapping containers\nexec /app/server --listen=:8080\n"},
					Env:     []corev1.EnvVar{{Name: "HOME", Value: "/home"}, {Name: "DATA", Value: "$(HOME)/data"}, {Name: "URL", Value: "http://backend.svc:8080"}},
					VolumeMounts: []corev1.VolumeMount{
						{Name: "config", MountPath: "/etc/app"}, {Name: "tmp", MountPath: "/tmp"},
					},
				}},
			},
		}
		if i%100 == 0 {
			w.Spec.Volumes = append(w.Spec.Volumes, corev1.Volume{Name: "sock", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/var/run/docker.sock"}}})
			c := &w.Spec.Containers[0]
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "sock", MountPath: "/var/run/docker.sock"})
		}
		for p := range 5 {
			w.Pods = append(w.Pods, Placed{Name: fmt.Sprintf("%s-%d", name, p), Node: fmt.Sprintf("node-%d", (i*5+p)%nodes)})
		}
		inv.ConfigMaps[Key{Namespace: ns, Name: name}] = map[string]string{
			"app.yaml": "server:\n  port: 8080\n  format: json\n  images:\n    - docker.io/library/nginx\n",
			"start.sh": "#!/bin/sh\nset -e\nif [ -n \"$DEBUG\" ]; then\n  echo docker\nfi\nexec /app/server\n",
		}
		one := intstr.FromInt32(1)
		inv.Budgets = append(inv.Budgets, policyv1.PodDisruptionBudget{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name},
			Spec:       policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &one, Selector: &metav1.LabelSelector{MatchLabels: w.Labels}},
		})
		inv.Workloads = append(inv.Workloads, w)
	}
	return inv, o
}

func BenchmarkCheck(b *testing.B) {
	inv, o := large(20_000)
	b.ReportAllocs()
	for b.Loop() {
		Check(inv, o)
	}
}
