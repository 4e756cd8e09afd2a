package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
)

// teams is how many namespaces the harmless workloads share.
const teams = 200

func namespaceOf(i int) string { return fmt.Sprintf("team-%d", i%teams) }

func labelsOf(name, team string) map[string]string {
	return map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": name + "-1.4.2", "team": team}
}

func configMap(namespace, name, key, text string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string]string{key: text}}
}

// rootCA is as long as a certificate.
func rootCA() string {
	return "-----BEGIN CERTIFICATE-----\n" + strings.Repeat(strings.Repeat("A", 64)+"\n", 16) + "-----END CERTIFICATE-----\n"
}

func settings(i int) string {
	var b strings.Builder
	for k := range 40 {
		fmt.Fprintf(&b, "option-%d: value of %d, which nobody minds\n", k, i)
	}
	return b.String()
}

func emptyDir(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
}

// harmless is the spec of pods that work under every runtime.
func harmless(i int) corev1.PodSpec {
	app := corev1.Container{
		Name: "app", Image: fmt.Sprintf("registry.example.org/%s/app-%d:v1.%d.0", namespaceOf(i), i, i%50), ImagePullPolicy: corev1.PullIfNotPresent,
		Args: []string{"--listen=:8080", fmt.Sprintf("--shard=%d", i)}, Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
		Env: []corev1.EnvVar{
			{Name: "LOG_LEVEL", Value: "info"},
			{Name: "SHARD", Value: fmt.Sprint(i)},
			{Name: "DATABASE_HOST", Value: fmt.Sprintf("db.%s.svc", namespaceOf(i))},
			{Name: "POD_IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
		},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
		},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt32(8080)}}},
		LivenessProbe:  &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/livez", Port: intstr.FromInt32(8080)}}, PeriodSeconds: 20},
	}
	s := corev1.PodSpec{ServiceAccountName: "default", RestartPolicy: corev1.RestartPolicyAlways, Containers: []corev1.Container{app}}
	main := &s.Containers[0]
	if i%3 == 0 {
		s.Volumes = append(s.Volumes, corev1.Volume{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: fmt.Sprintf("app-%d-config", i)}}}})
		main.VolumeMounts = append(main.VolumeMounts, corev1.VolumeMount{Name: "config", MountPath: "/etc/app"})
	}
	if i%4 == 0 {
		s.Volumes = append(s.Volumes, emptyDir("tmp"))
		main.VolumeMounts = append(main.VolumeMounts, corev1.VolumeMount{Name: "tmp", MountPath: "/tmp"})
	}
	if i%5 == 0 {
		main.Command = []string{"/bin/sh", "-c", "until nc -z db 5432; do sleep 1; done; exec /app --migrate"}
		main.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/sh", "-c", "test -e /tmp/alive && wget -q -O- localhost:8080/livez"}}}}
	}
	if i%2 == 0 {
		s.Containers = append(s.Containers, corev1.Container{Name: "proxy", Image: "registry.example.org/mesh/proxy:v3.1.4", Args: []string{"--upstream=127.0.0.1:8080"}})
	}
	return s
}

// replicaSet is a revision of a Deployment.
func replicaSet(d *appsv1.Deployment, pods, revision int) *appsv1.ReplicaSet {
	hash, n := fmt.Sprintf("5c6b7d8f%d", revision), int32(pods)
	labels := maps.Clone(d.Spec.Template.Labels)
	labels["pod-template-hash"] = hash
	rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
		Namespace: d.Namespace, Name: d.Name + "-" + hash, Labels: labels, OwnerReferences: controlledBy(d),
		Annotations: map[string]string{"deployment.kubernetes.io/desired-replicas": fmt.Sprint(pods), "deployment.kubernetes.io/revision": fmt.Sprint(revision)},
	}}
	rs.Spec = appsv1.ReplicaSetSpec{Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: *d.Spec.Template.DeepCopy()}
	rs.Spec.Template.Labels = labels
	return rs
}

func controlledBy(o object) []metav1.OwnerReference {
	kinds, _, err := scheme.Scheme.ObjectKinds(o)
	if err != nil || len(kinds) == 0 {
		return nil
	}
	return []metav1.OwnerReference{*metav1.NewControllerRef(o, kinds[0])}
}

// applied adds the annotation that kubectl apply leaves.
func applied(annotations map[string]string, o object) map[string]string {
	text, err := json.Marshal(o)
	if err != nil {
		return annotations
	}
	out := map[string]string{"kubectl.kubernetes.io/last-applied-configuration": string(text), "deployment.kubernetes.io/revision": "2"}
	maps.Copy(out, annotations)
	return out
}

// pod is a running pod, with what admission, the scheduler and the kubelet add.
func pod(owner object, t *corev1.PodTemplateSpec, i int, node string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: owner.GetNamespace(), Name: fmt.Sprintf("%s-x%04d", owner.GetName(), i), GenerateName: owner.GetName() + "-", Labels: t.Labels, Annotations: t.Annotations,
		Finalizers: t.Finalizers, OwnerReferences: controlledBy(owner),
	}, Spec: *t.Spec.DeepCopy()}
	p.Spec.NodeName = node
	if s, is := owner.(*appsv1.StatefulSet); is {
		for _, claim := range s.Spec.VolumeClaimTemplates {
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: claim.Name, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim.Name + "-" + p.Name},
			}})
		}
	}
	for _, key := range []string{"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"} {
		seconds := int64(300)
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds})
	}
	account(p)
	now := metav1.NewTime(time.Now())
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, HostIP: "10.0.0.1", PodIP: "10.1.0.1", PodIPs: []corev1.PodIP{{IP: "10.1.0.1"}}, StartTime: &now, QOSClass: corev1.PodQOSBurstable}
	for _, kind := range []corev1.PodConditionType{"PodReadyToStartContainers", corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now})
	}
	for k := range p.Spec.Containers {
		c, yes := &p.Spec.Containers[k], true
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, Ready: true, Started: &yes, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
			ImageID: c.Image + "@sha256:" + strings.Repeat("ab", 32), ContainerID: "containerd://" + strings.Repeat("cd", 32),
		})
	}
	return p
}

// account mounts the service account's token, as admission does.
func account(p *corev1.Pod) {
	const name = "kube-api-access-x7k2p"
	hour := int64(3607)
	p.Spec.ServiceAccountName = cmp.Or(p.Spec.ServiceAccountName, "default")
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: &hour, Path: "token"}},
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}, Items: []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}}}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}}}}},
	}}}})
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			list[i].VolumeMounts = append(list[i].VolumeMounts, corev1.VolumeMount{Name: name, ReadOnly: true, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"})
		}
	}
}
