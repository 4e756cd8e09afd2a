package hostpod

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// defaulted is what an API server without policies makes of a pod.
func defaulted(pod *corev1.Pod) *corev1.Pod {
	p := pod.DeepCopy()
	p.UID, p.ResourceVersion, p.CreationTimestamp = "pod-uid", "100", metav1.Now()
	p.Spec.ServiceAccountName, p.Spec.DeprecatedServiceAccount = "default", "default"
	p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "regcred"}}
	p.Spec.SchedulerName = "default-scheduler"
	p.Spec.Priority, p.Spec.PreemptionPolicy = new(int32(2000001000)), new(corev1.PreemptLowerPriority)
	if p.Spec.SecurityContext == nil {
		p.Spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	p.Spec.Containers[0].TerminationMessagePath = "/dev/termination-log"
	p.Spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageReadFile
	p.Status = corev1.PodStatus{Phase: corev1.PodPending, QOSClass: corev1.PodQOSBestEffort}
	return p
}

func TestCompare(t *testing.T) {
	tests := map[string]struct {
		mutate func(*corev1.Pod)
		image  Image
		want   []Mutation
		cause  string
	}{
		"defaults": {mutate: func(*corev1.Pod) {}},
		"what doesn't touch its use": {mutate: func(p *corev1.Pod) {
			p.Spec.Tolerations = append([]corev1.Toleration{{Key: "x", Operator: corev1.TolerationOpExists}}, p.Spec.Tolerations...)
			p.Spec.Containers[0].Env = append([]corev1.EnvVar{{Name: "HTTP_PROXY", Value: "x"}, {Name: "TZ", Value: "Europe/Berlin"}}, p.Spec.Containers[0].Env...)
			p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "more"})
			p.Annotations = map[string]string{"policy.example/checked": "true"}
			p.Labels["team"] = "x"
		}},
		"AlwaysPullImages": {
			mutate: func(p *corev1.Pod) { p.Spec.Containers[0].ImagePullPolicy = corev1.PullAlways },
			want:   []Mutation{{"spec.containers[0].imagePullPolicy", `"Never"`, `"Always"`}},
			cause:  "AlwaysPullImages",
		},
		"AlwaysPullImages with an image that was named": {
			image:  Image{Ref: "registry.k8s.io/pause:3.10", Given: true},
			mutate: func(p *corev1.Pod) { p.Spec.Containers[0].ImagePullPolicy = corev1.PullAlways },
		},
		"a sidecar in front": {
			mutate: func(p *corev1.Pod) {
				p.Spec.Containers = append([]corev1.Container{{Name: "proxy", Image: "mesh/proxy:1"}}, p.Spec.Containers...)
			},
			want:  []Mutation{{"spec.containers[0]", "nothing", "container proxy of image mesh/proxy:1"}},
			cause: "sidecars",
		},
		"an init container": {
			mutate: func(p *corev1.Pod) { p.Spec.InitContainers = []corev1.Container{{Name: "init", Image: "mesh/init:1"}} },
			want:   []Mutation{{"spec.initContainers", "nothing", `[{"image":"mesh/init:1","name":"init","resources":{}}]`}},
			cause:  "sidecars",
		},
		"another image": {
			mutate: func(p *corev1.Pod) { p.Spec.Containers[0].Image = "mirror.example/pause:3.10" },
			want:   []Mutation{{"spec.containers[0].image", `"registry.k8s.io/pause:3.10"`, `"mirror.example/pause:3.10"`}},
			cause:  "rewrites image names",
		},
		"privileges taken": {
			mutate: func(p *corev1.Pod) {
				p.Spec.HostPID = false
				p.Spec.Containers[0].SecurityContext.Privileged = new(false)
				p.Spec.Containers[0].SecurityContext.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
			},
			want: []Mutation{
				{"spec.containers[0].securityContext.capabilities", "nothing", `{"drop":["ALL"]}`},
				{"spec.containers[0].securityContext.privileged", "true", "false"},
				{"spec.hostPID", "true", "nothing"},
			},
			cause: "mutating webhook",
		},
		"a node selector of the namespace": {
			mutate: func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"pool": "blue"} },
			want:   []Mutation{{"spec.nodeSelector", "nothing", `{"pool":"blue"}`}},
			cause:  "node selector",
		},
		"a limit the agent can't live with": {
			mutate: func(p *corev1.Pod) {
				p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}
			},
			want:  []Mutation{{"spec.containers[0].resources.limits.memory", "nothing", `"64Mi"`}},
			cause: "LimitRange",
		},
		"a limit it can live with": {mutate: func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")}
		}},
		"a variable that is given a value": {
			mutate: func(p *corev1.Pod) {
				env := p.Spec.Containers[0].Env
				env[slices.IndexFunc(env, func(e corev1.EnvVar) bool { return e.Name == "LD_PRELOAD" })].Value = "/evil.so"
			},
			want:  []Mutation{{"spec.containers[0].env[4].value", "nothing", `"/evil.so"`}},
			cause: "mutating webhook",
		},
		"a variable that is taken from elsewhere": {
			mutate: func(p *corev1.Pod) {
				p.Spec.Containers[0].Env[4].ValueFrom = &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}
			},
			want: []Mutation{{"spec.containers[0].env[4].valueFrom", "nothing", `{"fieldRef":{"fieldPath":"metadata.name"}}`}},
		},
		"a variable that is there twice": {
			mutate: func(p *corev1.Pod) {
				p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, corev1.EnvVar{Name: "LD_PRELOAD", Value: "/evil.so"})
			},
			want: []Mutation{{"spec.containers[0].env[29]", "nothing", `{"name":"LD_PRELOAD","value":"/evil.so"}`}},
		},
		"another variable of the linker": {
			mutate: func(p *corev1.Pod) {
				p.Spec.Containers[0].Env = append([]corev1.EnvVar{{Name: "LD_BIND_NOW", Value: "1"}}, p.Spec.Containers[0].Env...)
			},
			want: []Mutation{{"spec.containers[0].env[0]", "nothing", `{"name":"LD_BIND_NOW","value":"1"}`}},
		},
		"variables out of a ConfigMap": {
			mutate: func(p *corev1.Pod) {
				p.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "x"}}}}
			},
			want: []Mutation{{"spec.containers[0].envFrom", "nothing", `[{"configMapRef":{"name":"x"}}]`}},
		},
		"a mount into one of ours": {
			mutate: func(p *corev1.Pod) {
				p.Spec.Containers[0].VolumeMounts = append(p.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "more", MountPath: "/usr/local/sbin/"})
			},
			want: []Mutation{{"spec.containers[0].volumeMounts[8]", "nothing", `{"mountPath":"/usr/local/sbin/","name":"more"}`}},
		},
		"a mount beside ours": {mutate: func(p *corev1.Pod) {
			p.Spec.Containers[0].VolumeMounts = append(p.Spec.Containers[0].VolumeMounts,
				corev1.VolumeMount{Name: "more", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount"}, corev1.VolumeMount{Name: "more", MountPath: "/usrlocal"})
		}},
		"a part of what is mounted": {
			mutate: func(p *corev1.Pod) { p.Spec.Containers[0].VolumeMounts[0].SubPath = "local" },
			want:   []Mutation{{"spec.containers[0].volumeMounts[0].subPath", "nothing", `"local"`}},
		},
		"another working directory": {
			mutate: func(p *corev1.Pod) { p.Spec.Containers[0].WorkingDir = "/tmp" },
			want:   []Mutation{{"spec.containers[0].workingDir", `"/"`, `"/tmp"`}},
		},
		"a mount taken": {
			mutate: func(p *corev1.Pod) { p.Spec.Containers[0].VolumeMounts = p.Spec.Containers[0].VolumeMounts[1:] },
			want:   []Mutation{{"spec.containers[0].volumeMounts[0]", `{"mountPath":"/usr","name":"host-usr","readOnly":true}`, "nothing"}},
			cause:  "mutating webhook",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			asked := Build(options("amd64"))
			got := defaulted(asked)
			tt.mutate(got)
			found := Compare(asked, got, tt.image)
			if diff := cmp.Diff(tt.want, found); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
			if text := (&MutatedError{Pod: asked.Name, Mutations: found}).Error(); len(found) > 0 && !strings.Contains(text, tt.cause) {
				t.Errorf("%q doesn't name %q", text, tt.cause)
			}
		})
	}
}

func TestStartErrorNamesTheCause(t *testing.T) {
	tests := map[string]struct {
		err  string
		want string
	}{
		"pod security":     {`pods "x" is forbidden: violates PodSecurity "baseline:latest": host namespaces`, "kubectl label namespace ops pod-security.kubernetes.io/enforce=privileged"},
		"quota":            {`pods "x" is forbidden: exceeded quota: small, requested: pods=1`, "quota"},
		"webhook":          {`admission webhook "validate.kyverno.svc" denied the request: no privileged pods`, "admission webhook"},
		"image not held":   {`ErrImageNeverPull: Container image "x" is not present with pull policy of Never`, "--image"},
		"image not pulled": {`ErrImagePull: no such host`, "--image"},
		"no such dir":      {`FailedMount: MountVolume.SetUp failed for volume "host-lib64" : hostPath type check failed: /lib64 is not a directory`, "laid out"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := &StartError{Node: "worker-1", Namespace: "ops", Err: errors.New(tt.err)}
			if !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Hint(), tt.want) {
				t.Errorf("got %q", err)
			}
		})
	}
}
