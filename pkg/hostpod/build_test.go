package hostpod

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func node(name, arch string, images ...corev1.ContainerImage) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: "node-uid"},
		Status: corev1.NodeStatus{
			NodeInfo: corev1.NodeSystemInfo{Architecture: arch, OperatingSystem: "linux", KubeletVersion: "v1.34.4"},
			Images:   images,
		},
	}
}

func hostPath(name, path string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: new(corev1.HostPathDirectory)}}}
}

// wantHost is the whole pod on an arm64 node: no /lib64 there.
func wantHost() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "kubectl-runtime-worker-1-x7k2p", Namespace: "kube-system",
			Labels: map[string]string{
				"app.kubernetes.io/managed-by": "kubectl-runtime", "app.kubernetes.io/component": "host", "kubectl-runtime/purpose": "switch",
			},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "worker-1", UID: "node-uid", Controller: new(true)}},
		},
		Spec: corev1.PodSpec{
			NodeName: "worker-1", HostPID: true, HostIPC: true, HostNetwork: true,
			RestartPolicy: corev1.RestartPolicyOnFailure, DNSPolicy: corev1.DNSDefault,
			PriorityClassName: "system-node-critical", TerminationGracePeriodSeconds: new(int64(1)), ActiveDeadlineSeconds: new(int64(600)),
			AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false),
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers: []corev1.Container{{
				Name: "agent", Image: "registry.k8s.io/pause:3.10", ImagePullPolicy: corev1.PullNever,
				Command: []string{
					"/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "LC_ALL=C",
					"/bin/sh", "-c", watchdog("/dev", 5*time.Second, 3*time.Minute) + farewell("/usr/bin/nsenter", "-t", "1", "-m", "-u", "-i", "-n", "-p", "--"),
					"kubectl-runtime", "/var/lib/kubectl-runtime/agents", "abc", callScript,
				},
				WorkingDir: "/",
				Env:        imageEnv(),
				SecurityContext: &corev1.SecurityContext{
					Privileged: new(true), RunAsUser: new(int64(0)), RunAsGroup: new(int64(0)), RunAsNonRoot: new(false),
				},
				VolumeMounts: []corev1.VolumeMount{
					{Name: "host-usr", MountPath: "/usr", ReadOnly: true},
					{Name: "host-bin", MountPath: "/bin", ReadOnly: true},
					{Name: "host-sbin", MountPath: "/sbin", ReadOnly: true},
					{Name: "host-lib", MountPath: "/lib", ReadOnly: true},
					{Name: "host-etc", MountPath: "/etc", ReadOnly: true},
					{Name: "host-usr-bin", MountPath: "/usr/bin", ReadOnly: true},
					{Name: "host-usr-lib", MountPath: "/usr/lib", ReadOnly: true},
				},
			}},
			Volumes: []corev1.Volume{
				hostPath("host-usr", "/usr"), hostPath("host-bin", "/bin"), hostPath("host-sbin", "/sbin"), hostPath("host-lib", "/lib"),
				hostPath("host-etc", "/etc"), hostPath("host-usr-bin", "/usr/bin"), hostPath("host-usr-lib", "/usr/lib"),
			},
		},
	}
}

func options(arch string) Options {
	return Options{
		Namespace: "kube-system", Node: node("worker-1", arch), Image: Image{Ref: "registry.k8s.io/pause:3.10"},
		Purpose: PurposeSwitch, Agent: "abc", Lifetime: 10 * time.Minute, Suffix: "x7k2p",
	}
}

func TestBuild(t *testing.T) {
	tests := map[string]struct {
		change func(*Options)
		want   func(*corev1.Pod)
	}{
		"arm64": {change: func(o *Options) { o.Node = node("worker-1", "arm64") }, want: func(*corev1.Pod) {}},
		"amd64 has /lib64": {
			change: func(*Options) {},
			want: func(p *corev1.Pod) {
				p.Spec.Volumes = slices.Insert(p.Spec.Volumes, 4, hostPath("host-lib64", "/lib64"))
				c := &p.Spec.Containers[0]
				c.VolumeMounts = slices.Insert(c.VolumeMounts, 4, corev1.VolumeMount{Name: "host-lib64", MountPath: "/lib64", ReadOnly: true})
			},
		},
		"an image that was named may be pulled": {
			change: func(o *Options) {
				o.Node = node("worker-1", "arm64")
				o.Image = Image{Ref: "mirror.example/busybox:1", Given: true}
			},
			want: func(p *corev1.Pod) {
				p.Spec.Containers[0].Image = "mirror.example/busybox:1"
				p.Spec.Containers[0].ImagePullPolicy = corev1.PullIfNotPresent
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := options("amd64")
			tt.change(&o)
			want := wantHost()
			tt.want(want)
			if diff := cmp.Diff(want, Build(o)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestBuildCanary(t *testing.T) {
	host := wantHost()
	host.UID = "host-uid"
	want := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "kubectl-runtime-worker-1-canary-9q4zt", Namespace: "kube-system",
			Labels: map[string]string{
				"app.kubernetes.io/managed-by": "kubectl-runtime", "app.kubernetes.io/component": "canary", "kubectl-runtime/purpose": "switch",
			},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: host.Name, UID: "host-uid", Controller: new(true)}},
		},
		Spec: corev1.PodSpec{
			NodeName: "worker-1", RestartPolicy: corev1.RestartPolicyOnFailure,
			TerminationGracePeriodSeconds: new(int64(1)), ActiveDeadlineSeconds: new(int64(300)),
			AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false),
			Tolerations:     []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			SecurityContext: &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{
				Name: "agent", Image: "registry.k8s.io/pause:3.10", ImagePullPolicy: corev1.PullNever,
				Command:      []string{"/kubectl-runtime-worker-1-canary-9q4zt/abc", "canary", "--listen", ":8080", "--path", "/kubectl-runtime-worker-1-canary-9q4zt", "--for", "3m0s"},
				WorkingDir:   "/",
				Env:          []corev1.EnvVar{{Name: "GODEBUG"}, {Name: "GOGC"}, {Name: "GOMEMLIMIT"}, {Name: "GOMAXPROCS"}, {Name: "GOTRACEBACK"}},
				VolumeMounts: []corev1.VolumeMount{{Name: "agents", MountPath: "/kubectl-runtime-worker-1-canary-9q4zt", ReadOnly: true}},
				ReadinessProbe: &corev1.Probe{
					ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/kubectl-runtime-worker-1-canary-9q4zt", Port: intstr.FromInt32(8080)}},
					PeriodSeconds: 1, TimeoutSeconds: 1, FailureThreshold: 3, SuccessThreshold: 1,
				},
				SecurityContext: &corev1.SecurityContext{
					RunAsUser: new(int64(0)), RunAsNonRoot: new(false), AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true),
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
			Volumes: []corev1.Volume{{Name: "agents", VolumeSource: corev1.VolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: "/var/lib/kubectl-runtime/agents", Type: new(corev1.HostPathDirectory)},
			}}},
		},
	}
	got := BuildCanary(CanaryOptions{
		Host: host, Agent: "abc", Image: Image{Ref: "registry.k8s.io/pause:3.10"}, Lifetime: 5 * time.Minute, Suffix: "9q4zt",
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestBuildCanaryOfTheFirstFormat: an earlier agent, which an open run names, knows no time after which it ends.
func TestBuildCanaryOfTheFirstFormat(t *testing.T) {
	got := BuildCanary(CanaryOptions{Host: wantHost(), Agent: "abc", Format: v1alpha1.FormatAlpha1, Lifetime: 5 * time.Minute, Suffix: "9q4zt"})
	want := []string{"/kubectl-runtime-worker-1-canary-9q4zt/abc", "canary", "--listen", ":8080", "--path", "/kubectl-runtime-worker-1-canary-9q4zt"}
	if diff := cmp.Diff(want, got.Spec.Containers[0].Command); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if limit := *got.Spec.ActiveDeadlineSeconds; limit != 180 {
		t.Errorf("it may run for %d s", limit)
	}
}

func TestName(t *testing.T) {
	long := "ip-10-0-0-1.eu-central-1.compute.internal." + strings.Repeat("a", 200)
	tests := map[string]struct{ node, kind, want string }{
		"short":                  {"worker-1", "", "kubectl-runtime-worker-1-x7k2p"},
		"dots are no label":      {"n1.example.com", "canary", "kubectl-runtime-n1-example-com-canary-x7k2p"},
		"long":                   {long, "", "kubectl-runtime-ip-10-0-0-1-eu-central-1-compute-internal-x7k2p"},
		"cut behind a dash":      {strings.Repeat("a", 40) + "-" + strings.Repeat("b", 40), "", "kubectl-runtime-" + strings.Repeat("a", 40) + "-x7k2p"},
		"long, with its kind":    {long, "canary", "kubectl-runtime-ip-10-0-0-1-eu-central-1-compute-i-canary-x7k2p"},
		"cut in a run of dashes": {strings.Repeat("a", 38) + "---b", "", "kubectl-runtime-" + strings.Repeat("a", 38) + "-x7k2p"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := Name(tt.node, tt.kind, "x7k2p")
			if got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if bad := validation.IsDNS1123Label(got); len(bad) > 0 {
				t.Errorf("%q: %v", got, bad)
			}
		})
	}
}
