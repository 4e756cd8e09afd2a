package workload

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestLastingMounts names the pods that stay, and the kind of each volume whose unmount may be left to a later kubelet.
func TestLastingMounts(t *testing.T) {
	const later = " while the node is switched; its unmount may be left to a later kubelet"
	inv := func(w Workload, drivers ...Workload) *Inventory {
		return &Inventory{
			Workloads: append(drivers, w),
			Claims:    map[Key]string{{Namespace: "shop", Name: "shared"}: "csi", {Namespace: "shop", Name: "agent-1-scratch"}: "csi", {Namespace: "shop", Name: "nas"}: "nfs", {Namespace: "shop", Name: "node"}: "local"},
			Volumes: map[string]corev1.PersistentVolumeSource{
				"csi": {CSI: &corev1.CSIPersistentVolumeSource{Driver: "files.example.org"}}, "nfs": {NFS: &corev1.NFSVolumeSource{Server: "nas.example.org"}},
				"local": {Local: &corev1.LocalVolumeSource{Path: "/data"}},
			},
		}
	}
	driver := func(kind, name, path string, args ...string) Workload {
		return Workload{Object: Object{"apps/v1", kind, "kube-system", name}, Spec: corev1.PodSpec{
			Volumes:    []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}}},
			Containers: []corev1.Container{{Name: "driver", Args: args}},
		}}
	}
	const registry = "/var/lib/kubelet/plugins_registry/"
	claim := func(name string) corev1.VolumeSource {
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}
	}
	host := func(path string) corev1.VolumeSource {
		return corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}}
	}
	csiMessage, nfsMessage, ownMessage := "keeps a CSI volume mounted whose driver ends too"+later, "keeps an NFS volume mounted"+later, "what it mounts on the node stays mounted when it ends"+later
	for _, c := range []struct {
		name     string
		source   corev1.VolumeSource
		sub      string
		spread   corev1.MountPropagationMode
		drivers  []Workload
		message  string
		evidence string
	}{
		{"a claim", claim("shared"), "", "", []Workload{driver("DaemonSet", "files", registry, "--drivername=files.example.org")}, csiMessage, "a CSI volume (driver files.example.org of kube-system/DaemonSet/files)"},
		{"a driver by its directory", claim("shared"), "", "", []Workload{driver("DaemonSet", "files", "/var/lib/kubelet/plugins/files.example.org/")}, csiMessage, "a CSI volume (driver files.example.org of kube-system/DaemonSet/files)"},
		{"a driver of a distribution", claim("shared"), "", "", []Workload{driver("DaemonSet", "files", "/var/lib/k0s/kubelet/plugins/files.example.org")}, csiMessage, "a CSI volume (driver files.example.org of kube-system/DaemonSet/files)"},
		{"some driver", claim("shared"), "", "", []Workload{driver("DaemonSet", "other", registry)}, csiMessage, "a CSI volume (driver files.example.org)"},
		{"a subPath", claim("shared"), "logs", "", []Workload{driver("DaemonSet", "other", registry)}, csiMessage, "a subPath of a CSI volume (driver files.example.org)"},
		{"in the pod", corev1.VolumeSource{CSI: &corev1.CSIVolumeSource{Driver: "secrets.example.org"}}, "", "", []Workload{driver("DaemonSet", "other", registry)}, csiMessage, "a CSI volume (driver secrets.example.org)"},
		{"ephemeral", corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}, "", "", []Workload{driver("DaemonSet", "other", registry)}, csiMessage, "a CSI volume (driver files.example.org)"},
		{"a controller of a driver alone", claim("shared"), "", "", []Workload{driver("Deployment", "files", registry, "files.example.org")}, "", ""},
		{"no driver is seen", claim("shared"), "", "", nil, "", ""},
		{"NFS by a claim", claim("nas"), "", "", nil, nfsMessage, "an NFS volume (server nas.example.org)"},
		{"NFS in the pod", corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "nas"}}, "a/b", "", nil, nfsMessage, "a subPath of an NFS volume (server nas)"},
		{"of the node", claim("node"), "", "", nil, "", ""},
		{"a claim that nobody knows", claim("none"), "", "", []Workload{driver("DaemonSet", "other", registry)}, "", ""},
		{"mounts of its own", host("/mnt/buckets"), "", corev1.MountPropagationBidirectional, nil, ownMessage, "/mnt/buckets with mountPropagation Bidirectional"},
		{"mounts of others", host("/mnt/buckets"), "", corev1.MountPropagationHostToContainer, nil, "", ""},
		{"mounts of nobody", host("/mnt/buckets"), "", "", nil, "", ""},
		{"file systems of the kernel", host("/sys/fs/bpf"), "", corev1.MountPropagationBidirectional, nil, "", ""},
		{"a driver's own", host("/var/lib/kubelet/plugins/files.example.org"), "", corev1.MountPropagationBidirectional, nil, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := corev1.VolumeMount{Name: "scratch", MountPath: "/data", SubPath: c.sub}
			if c.spread != "" {
				m.MountPropagation = &c.spread
			}
			for kind, stays := range map[string]bool{"DaemonSet": true, "StatefulSet": false} {
				w := Workload{
					Object: Object{"apps/v1", kind, "shop", "agent"}, Pods: []Placed{{"agent-1", "a", false}},
					Spec: corev1.PodSpec{Volumes: []corev1.Volume{{Name: "scratch", VolumeSource: c.source}}, Containers: []corev1.Container{{Name: "c", VolumeMounts: []corev1.VolumeMount{m}}}},
				}
				findings := Check(inv(w, c.drivers...), Options{To: v1alpha1.CRIO, From: map[string]v1alpha1.RuntimeName{"a": v1alpha1.Containerd}})
				findings = slices.DeleteFunc(findings, func(f v1alpha1.Finding) bool { return f.ID != "W041" })
				if c.message == "" || !stays {
					if len(findings) > 0 {
						t.Errorf("%s: %+v", kind, findings)
					}
					continue
				}
				if len(findings) != 1 {
					t.Fatalf("%s: %+v", kind, findings)
				}
				if diff := cmp.Diff([]string{c.message, "pod agent-1, container c: mounts " + c.evidence + " at /data (volume scratch)"}, []string{findings[0].Message, findings[0].Evidence[0]}); diff != "" {
					t.Errorf("(-want +have)\n%s", diff)
				}
			}
		})
	}
}
