package hostpod

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Labels of our pods. Who manages them is the recommended label; the rest tells them apart.
const (
	LabelManagedBy = "app.kubernetes.io/managed-by"
	LabelComponent = "app.kubernetes.io/component"
	LabelPurpose   = "kubectl-runtime/purpose"
	ManagedBy      = "kubectl-runtime"
)

// The components.
const (
	ComponentHost   = "host"
	ComponentCanary = "canary"
)

// Purpose says why a pod is on a node.
type Purpose string

// The purposes.
const (
	PurposeSwitch Purpose = "switch" // the node's Lease is held as long as it lives
	PurposeGather Purpose = "gather" // only looks
)

// Container is the name of the one container of our pods.
const Container = "agent"

// Options say what the pod on a node is to be.
type Options struct {
	Namespace string
	Node      *corev1.Node
	Image     Image
	Purpose   Purpose
	// Agent is the sha256 of the agent that is brought through the pod. It tidies up behind a pod that ends by itself.
	Agent string
	// Lifetime ends a pod whatever happens. One that nobody speaks to ends long before.
	Lifetime time.Duration
	// Suffix makes the name one of its own.
	Suffix string
	// bareEtc says that the host's /etc lacks a file that the runtime mounts in every container, as /etc/hostname.
	bareEtc bool
}

// Build returns the privileged pod in the host's namespaces. What runs in it are the host's own programs, mounted over the image
// read-only and without creating anything on the host; what an image says of how it is to be run is overridden.
//
// The node is its controller, as it is of static pods: drain then leaves the decision to the filters behind its check
// for controllers, and the pod goes when the node goes.
func Build(o Options) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:      Name(o.Node.Name, "", o.Suffix),
			Namespace: o.Namespace,
			Labels: map[string]string{
				LabelManagedBy: ManagedBy,
				LabelComponent: ComponentHost,
				LabelPurpose:   string(o.Purpose),
			},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Node", Name: o.Node.Name, UID: o.Node.UID, Controller: new(true),
			}},
		},
		Spec: corev1.PodSpec{
			NodeName:    o.Node.Name,
			HostPID:     true,
			HostIPC:     true,
			HostNetwork: true,
			// After the node's runtime was exchanged, a crash or a reboot the kubelet starts it again, and no admission is
			// needed for that; after a silence, which ends it with 0, the kubelet doesn't.
			RestartPolicy:                 corev1.RestartPolicyOnFailure,
			DNSPolicy:                     corev1.DNSDefault,
			PriorityClassName:             "system-node-critical",
			TerminationGracePeriodSeconds: new(int64(1)),
			ActiveDeadlineSeconds:         new(int64(o.Lifetime / time.Second)),
			AutomountServiceAccountToken:  new(false),
			EnableServiceLinks:            new(false),
			Tolerations:                   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers: []corev1.Container{{
				Name:            Container,
				Image:           o.Image.Ref,
				ImagePullPolicy: pullPolicy(o.Image),
				Command:         clean(script(watchdog(heardDir, silenceTick, Silence)+farewell(enter()...), agentDir, o.Agent, callScript)...),
				WorkingDir:      "/",
				Env:             imageEnv(),
				SecurityContext: &corev1.SecurityContext{
					Privileged: new(true),
					// An image may name another user, as pause does: nsenter would be refused.
					RunAsUser:    new(int64(0)),
					RunAsGroup:   new(int64(0)),
					RunAsNonRoot: new(false),
				},
			}},
		},
	}
	for _, m := range hostMounts(o.Node.Status.NodeInfo, o.bareEtc) {
		name := "host" + strings.NewReplacer("/", "-", ".", "-", "_", "-").Replace(m.at)
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
			HostPath: &corev1.HostPathVolumeSource{Path: m.path, Type: new(m.kind)},
		}})
		pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts,
			corev1.VolumeMount{Name: name, MountPath: m.at, ReadOnly: true})
	}
	return pod
}

func pullPolicy(i Image) corev1.PullPolicy {
	if i.Given {
		return corev1.PullIfNotPresent
	}
	return corev1.PullNever
}

// maxName keeps names a DNS label: longer ones become a pod's hostname in surprising ways.
const maxName = 63

// Name is the name of one of our pods on a node; kind tells the pods of one node apart.
func Name(node, kind, suffix string) string {
	head, tail := ManagedBy+"-", "-"+suffix
	if kind != "" {
		tail = "-" + kind + tail
	}
	node = strings.ReplaceAll(node, ".", "-")
	if room := maxName - len(head) - len(tail); len(node) > room {
		node = strings.TrimRight(node[:room], "-")
	}
	return head + node + tail
}
