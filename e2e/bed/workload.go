//go:build e2e

package bed

import (
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// Port is where the workloads serve.
const Port = 8080

// Web is the pod template of the bed's web server; secrets are what its image may be pulled with.
func Web(app, image string, policy corev1.PullPolicy, secrets ...string) corev1.PodTemplateSpec {
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(10)),
			Containers: []corev1.Container{{
				Name:            "web",
				Image:           image,
				ImagePullPolicy: policy,
				Ports:           []corev1.ContainerPort{{ContainerPort: Port}},
				ReadinessProbe: &corev1.Probe{
					ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt32(Port)}},
					PeriodSeconds: 1,
				},
			}},
		},
	}
	for _, name := range secrets {
		template.Spec.ImagePullSecrets = append(template.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	return template
}

// Pin makes a template run on one node alone, so that a drain leaves its pods without a place until the uncordon.
func Pin(template corev1.PodTemplateSpec, node string) corev1.PodTemplateSpec {
	template.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node}
	return template
}

// OnWorkersBut lets a template run on every worker but one, where it would disturb what is looked at.
func OnWorkersBut(template corev1.PodTemplateSpec, node string) corev1.PodTemplateSpec {
	template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpNotIn, Values: []string{node}}},
		}}},
	}}
	return template
}

// Shell turns a template into one that runs a shell script with the node's own programs, for the web image has none. A
// directory of the node is mounted at mountPath. It ends at once on SIGTERM.
func Shell(template corev1.PodTemplateSpec, script, mountPath, dir string) corev1.PodTemplateSpec {
	c := &template.Spec.Containers[0]
	c.Command = []string{"/bin/sh", "-c", "trap 'exit 0' TERM\n" + script}
	c.ReadinessProbe = nil
	c.SecurityContext = &corev1.SecurityContext{RunAsUser: new(int64(0))}
	mount := func(name, from, at string, readOnly bool) {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: at, ReadOnly: readOnly})
		template.Spec.Volumes = append(template.Spec.Volumes, corev1.Volume{
			Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: from}},
		})
	}
	for i, programs := range []string{"/bin", "/lib", "/lib64", "/usr"} {
		mount(fmt.Sprintf("programs-%d", i), programs, programs, true)
	}
	mount("dir", dir, mountPath, false)
	return template
}

// Deploy creates a Deployment and waits until its pods are Ready.
func (b *Bed) Deploy(t *testing.T, namespace string, replicas int32, template corev1.PodTemplateSpec) []corev1.Pod {
	t.Helper()
	app := template.Labels["app"]
	_, err := b.Client.AppsV1().Deployments(namespace).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
			Template: template,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return b.AwaitReady(t, namespace, app, int(replicas), time.Minute)
}

// DaemonSet creates a DaemonSet on all workers and waits until its pods are Ready.
func (b *Bed) DaemonSet(t *testing.T, namespace string, template corev1.PodTemplateSpec) []corev1.Pod {
	t.Helper()
	app := template.Labels["app"]
	_, err := b.Client.AppsV1().DaemonSets(namespace).Create(t.Context(), &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec: appsv1.DaemonSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
			Template: template,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	nodes := len(b.Workers(t))
	if template.Spec.NodeSelector != nil {
		nodes = 1 // see Pin
	}
	return b.AwaitReady(t, namespace, app, nodes, time.Minute)
}

// Service puts a Service before the pods of an app and returns its address.
func (b *Bed) Service(t *testing.T, namespace, app string) string {
	t.Helper()
	service, err := b.Client.CoreV1().Services(namespace).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": app},
			Ports:    []corev1.ServicePort{{Port: Port}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return service.Spec.ClusterIP
}

// Budget puts a PodDisruptionBudget over an app.
func (b *Bed) Budget(t *testing.T, namespace, app string, minAvailable int) {
	t.Helper()
	_, err := b.Client.PolicyV1().PodDisruptionBudgets(namespace).Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: new(intstr.FromInt(minAvailable)),
			Selector:     &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// StaticPod puts a pod into the node's manifest directory, takes it away again when the test ends, and waits until its
// mirror, which carries the returned label "app" in namespace default, is Ready. Its image stands in no registry.
func (b *Bed) StaticPod(t *testing.T, n *Node, template corev1.PodTemplateSpec) (app string) {
	t.Helper()
	name := template.Labels["app"]
	app = name + "-" + n.Name // tests that run beside this one may put the same on their nodes
	manifest, err := yaml.Marshal(&corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Labels: map[string]string{"app": app}},
		Spec:       template.Spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := contextOf(t, time.Minute)
		defer cancel()
		if err := b.gone(ctx, "default", app); err != nil {
			t.Error(err)
		}
	})
	n.Write(t, "/etc/kubernetes/manifests/"+name+".yaml", string(manifest))
	b.AwaitReady(t, "default", app, 1, time.Minute)
	return app
}
