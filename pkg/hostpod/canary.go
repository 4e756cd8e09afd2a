package hostpod

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// CanaryPort is where the canary answers.
const CanaryPort = 8080

// CanaryOptions say what the canary is to be.
type CanaryOptions struct {
	// Host is the pod that the canary goes with.
	Host *corev1.Pod
	// Agent is the sha256 of the agent on the node, Format what it reads. Zero is today's.
	Agent    string
	Format   int
	Image    Image
	Lifetime time.Duration
	Suffix   string
}

// BuildCanary returns the pod that proves what a pod in the host's network can't: that the runtime gives pods a
// network, and that the kubelet's probes reach them through it. It has no privileges; the agent, whose directory is
// mounted read-only, is all it runs, and it ends after a while: whoever needs it for longer starts another. The agent is a static
// program, mounted at a path that no image can know of: neither a linker nor a volume of the image comes in between.
func BuildCanary(o CanaryOptions) *corev1.Pod {
	node := o.Host.Spec.NodeName
	name := Name(node, ComponentCanary, o.Suffix)
	// Where it answers and where the agent is mounted, by a name of this pod alone. A kubelet that doesn't know the pod's address yet
	// asks its own machine instead: nobody else may answer that well.
	path := "/" + name
	command := []string{path + "/" + o.Agent, "canary", "--listen", ":8080", "--path", path}
	if o.Format == v1alpha1.FormatAlpha1 {
		o.Lifetime = min(o.Lifetime, Silence) // that agent doesn't end by itself: the kubelet ends the pod
	} else {
		command = append(command, "--for", Silence.String())
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:      name,
			Namespace: o.Host.Namespace,
			Labels: map[string]string{
				LabelManagedBy: ManagedBy,
				LabelComponent: ComponentCanary,
				LabelPurpose:   string(PurposeSwitch),
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Pod", Name: o.Host.Name, UID: o.Host.UID, Controller: new(true),
			}},
		},
		Spec: corev1.PodSpec{
			NodeName: node,
			// It ends with the old runtime and comes again with the new one, as all pods do that a drain leaves. At the end of
			// its own time it ends with 0, and stays so.
			RestartPolicy:                 corev1.RestartPolicyOnFailure,
			TerminationGracePeriodSeconds: new(int64(1)),
			ActiveDeadlineSeconds:         new(int64(o.Lifetime / time.Second)),
			AutomountServiceAccountToken:  new(false),
			EnableServiceLinks:            new(false),
			Tolerations:                   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			SecurityContext:               &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{
				Name:            Container,
				Image:           o.Image.Ref,
				ImagePullPolicy: pullPolicy(o.Image),
				Command:         command,
				WorkingDir:      "/",
				Env:             goEnv(),
				VolumeMounts:    []corev1.VolumeMount{{Name: "agents", MountPath: path, ReadOnly: true}},
				ReadinessProbe: &corev1.Probe{
					ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(CanaryPort)}},
					PeriodSeconds: 1, TimeoutSeconds: 1, FailureThreshold: 3, SuccessThreshold: 1,
				},
				SecurityContext: &corev1.SecurityContext{
					// The agent's file belongs to root and nobody else may run it.
					RunAsUser:                new(int64(0)),
					RunAsNonRoot:             new(false),
					AllowPrivilegeEscalation: new(false),
					ReadOnlyRootFilesystem:   new(true),
					Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
			// The directory, not the file: of a file that was removed since the kubelet looked, a runtime makes a directory.
			Volumes: []corev1.Volume{{Name: "agents", VolumeSource: corev1.VolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: agentDir, Type: new(corev1.HostPathDirectory)},
			}}},
		},
	}
}
