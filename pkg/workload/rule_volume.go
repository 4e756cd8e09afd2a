package workload

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

func volumeRule() rule {
	return rule{Rule{
		"W041", advising, "pods that stay on their node leave no mount behind",
		"Pods of DaemonSets and static pods end on their node while no kubelet runs there, and so does the pod of the CSI driver that mounts their volumes. What is mounted for them on the node stays mounted: a CSI volume or a subPath of it, an NFS share, what a container mounted itself with mountPropagation: Bidirectional. " +
			"The kubelet finds its own mounts when it is back and goes on with them. A mount that a process of the ended pod served (FUSE), or whose server is reached through pods of the node, may be stale by then, and its unmount is left to a later kubelet. " +
			"No data is touched. Look at these pods after the switch, and delete one whose mount is stale. Volumes of pods that are drained are unmounted before.",
	}, moved(lastingMounts), nil}
}

// lastingMounts finds what stays mounted on the node when pods of the workload end there.
func lastingMounts(s *subject) []hit {
	if !s.stays() {
		return nil
	}
	const hint = "look after the switch whether the mounts of the pod answer, and delete the pod where one is stale"
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		for n := range c.VolumeMounts {
			m := &c.VolumeMounts[n]
			what, message := s.lasting(m)
			if what == "" {
				continue
			}
			if m.SubPath != "" || m.SubPathExpr != "" {
				what = "a subPath of " + what
			}
			out = append(out, hit{
				advising, message, hint, s.podsSaid() + ", " + c.says("mounts %s at %s (volume %s)", what, m.MountPath, m.Name), s.line("spec", "volumes", m.Name),
			})
		}
	}
	return out
}

// lasting names the kind of a volume whose mount outlives its pod, and says what comes of that; empty for others.
func (s *subject) lasting(m *corev1.VolumeMount) (what, message string) {
	const later = " while the node is switched; its unmount may be left to a later kubelet"
	for i := range s.w.Spec.Volumes {
		v := &s.w.Spec.Volumes[i]
		if v.Name != m.Name {
			continue
		}
		if h := v.HostPath; h != nil {
			// File systems of the kernel are there for all, and a driver's mounts are those of the pods that have them.
			if m.MountPropagation == nil || *m.MountPropagation != corev1.MountPropagationBidirectional || below(clean(h.Path), "/sys") || isDriver(s.w) {
				return "", ""
			}
			return h.Path + " with mountPropagation Bidirectional", "what it mounts on the node stays mounted when it ends" + later
		}
		for _, source := range s.sources(v) {
			if source.NFS != nil {
				return "an NFS volume (server " + source.NFS.Server + ")", "keeps an NFS volume mounted" + later
			}
			if source.CSI == nil {
				continue
			}
			if of, ends := s.j.driver(source.CSI.Driver); ends {
				what = "driver " + source.CSI.Driver
				if of != "" {
					what += " of " + of
				}
				return "a CSI volume (" + what + ")", "keeps a CSI volume mounted whose driver ends too" + later
			}
		}
	}
	return "", ""
}

// sources are what a volume leads to: that of the pod itself, or the PersistentVolumes behind its claims.
func (s *subject) sources(v *corev1.Volume) []corev1.PersistentVolumeSource {
	var claims []string
	switch {
	case v.NFS != nil:
		return []corev1.PersistentVolumeSource{{NFS: v.NFS}}
	case v.CSI != nil:
		return []corev1.PersistentVolumeSource{{CSI: &corev1.CSIPersistentVolumeSource{Driver: v.CSI.Driver}}}
	case v.PersistentVolumeClaim != nil:
		claims = []string{v.PersistentVolumeClaim.ClaimName}
	case v.Ephemeral != nil:
		for _, p := range s.w.Pods {
			claims = append(claims, p.Name+"-"+v.Name)
		}
	}
	var out []corev1.PersistentVolumeSource
	for _, claim := range claims {
		if pv, ok := s.j.inv.Volumes[s.j.inv.Claims[Key{Namespace: s.w.Object.Namespace, Name: claim}]]; ok {
			out = append(out, pv)
		}
	}
	return out
}

// driver returns the DaemonSet whose pods serve a CSI driver on nodes, as far as one names it; ends reports whether there are such pods
// at all.
func (j *judge) driver(name string) (of string, ends bool) {
	if j.drivers == nil {
		j.drivers = map[*Workload]bool{}
		for i := range j.inv.Workloads {
			if w := &j.inv.Workloads[i]; w.Object.Kind == "DaemonSet" && isDriver(w) {
				j.drivers[w] = true
			}
		}
	}
	for w := range j.drivers {
		if names(w, name) && (of == "" || w.Object.String() < of) {
			of = w.Object.String()
		}
	}
	return of, len(j.drivers) > 0
}

// isDriver reports whether a workload's pods register a driver with the kubelet, or serve it where the kubelet looks for drivers.
func isDriver(w *Workload) bool {
	return slices.ContainsFunc(w.Spec.Volumes, func(v corev1.Volume) bool {
		if v.HostPath == nil {
			return false
		}
		p := clean(v.HostPath.Path)
		return strings.HasSuffix(p, "/plugins_registry") || strings.Contains(p, "/kubelet/plugins/")
	})
}

// names reports whether a workload has a word in its paths of the node, its arguments or its variables.
func names(w *Workload, word string) bool {
	has := func(s string) bool { return strings.Contains(s, word) }
	return slices.ContainsFunc(w.Spec.Volumes, func(v corev1.Volume) bool { return v.HostPath != nil && has(v.HostPath.Path) }) ||
		slices.ContainsFunc(w.Spec.Containers, func(c corev1.Container) bool {
			return slices.ContainsFunc(c.Command, has) || slices.ContainsFunc(c.Args, has) ||
				slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return has(e.Value) })
		})
}
