//go:build e2e

package bed

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// sockets are where the bed's runtimes listen.
var sockets = []string{"/run/containerd/containerd.sock", "/run/crio/crio.sock", "/run/docker.sock", "/run/cri-dockerd.sock"}

// MountSockets lets a template mount the socket of every runtime as the charts of many agents do: without a type, so that the
// runtime which starts the pod makes a directory wherever nobody listens.
func MountSockets(template corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	c := &template.Spec.Containers[0]
	for i, path := range sockets {
		name := fmt.Sprintf("socket-%d", i)
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: "/host" + path, ReadOnly: true})
		template.Spec.Volumes = append(template.Spec.Volumes, corev1.Volume{
			Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}},
		})
	}
	return template
}
