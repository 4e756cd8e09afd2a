package inventory

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// reduce returns what of a pod's spec rules look at, with one copy of strings that many pods have. The spec is the caller's no more.
func (r *reader) reduce(s *corev1.PodSpec) corev1.PodSpec {
	out := corev1.PodSpec{
		RestartPolicy: s.RestartPolicy, NodeSelector: s.NodeSelector, ServiceAccountName: r.words.one(s.ServiceAccountName), NodeName: r.words.one(s.NodeName),
		HostNetwork: s.HostNetwork, HostPID: s.HostPID, HostIPC: s.HostIPC, HostUsers: s.HostUsers, ShareProcessNamespace: s.ShareProcessNamespace,
		SecurityContext: s.SecurityContext, RuntimeClassName: s.RuntimeClassName, OS: s.OS, PriorityClassName: r.words.one(s.PriorityClassName),
		TerminationGracePeriodSeconds: s.TerminationGracePeriodSeconds, ImagePullSecrets: s.ImagePullSecrets, HostAliases: s.HostAliases,
	}
	for i := range s.Volumes {
		if v := &s.Volumes[i]; !strings.HasPrefix(v.Name, "kube-api-access-") {
			out.Volumes = append(out.Volumes, *v)
		}
	}
	out.InitContainers = r.containers(s.InitContainers)
	out.Containers = r.containers(s.Containers)
	for i := range s.EphemeralContainers {
		// What somebody attached for debugging is a container like others, and doesn't come again.
		out.Containers = append(out.Containers, r.container((*corev1.Container)(&s.EphemeralContainers[i].EphemeralContainerCommon)))
	}
	return out
}

func (r *reader) containers(list []corev1.Container) []corev1.Container {
	var out []corev1.Container
	for i := range list {
		out = append(out, r.container(&list[i]))
	}
	return out
}

func (r *reader) container(c *corev1.Container) corev1.Container {
	out := corev1.Container{
		Name: r.words.one(c.Name), Image: r.words.one(c.Image), ImagePullPolicy: c.ImagePullPolicy, Command: c.Command, Args: c.Args, WorkingDir: c.WorkingDir,
		Env: c.Env, EnvFrom: c.EnvFrom, Ports: c.Ports, LivenessProbe: probe(c.LivenessProbe), ReadinessProbe: probe(c.ReadinessProbe),
		StartupProbe: probe(c.StartupProbe), Lifecycle: c.Lifecycle, SecurityContext: c.SecurityContext, RestartPolicy: c.RestartPolicy,
		Resources: extended(c.Resources), TTY: c.TTY,
	}
	for i := range c.Env {
		e := &c.Env[i]
		e.Name, e.Value = r.words.one(e.Name), r.words.one(e.Value)
		e.ValueFrom = r.source(e.ValueFrom)
	}
	for _, m := range c.VolumeMounts {
		if m.MountPath == "/var/run/secrets/kubernetes.io/serviceaccount" {
			continue
		}
		m.Name, m.MountPath = r.words.one(m.Name), r.words.one(m.MountPath)
		out.VolumeMounts = append(out.VolumeMounts, m)
	}
	return out
}

// source keeps of where a variable's value comes from the name: pods tell themselves their node's address, and ask its daemon there.
// Most sources come again and again; one copy is enough.
func (r *reader) source(s *corev1.EnvVarSource) *corev1.EnvVarSource {
	var key, name string
	out := &corev1.EnvVarSource{}
	switch {
	case s == nil || s.ConfigMapKeyRef != nil:
		return s
	case s.FieldRef != nil:
		key, name = "field", s.FieldRef.FieldPath
		out.FieldRef = &corev1.ObjectFieldSelector{FieldPath: name}
	case s.SecretKeyRef != nil:
		key, name = "secret", s.SecretKeyRef.Name
		out.SecretKeyRef = &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}}
	}
	known := r.sources[[2]string{key, name}]
	if known == nil {
		known = out
		r.sources[[2]string{key, name}] = known
	}
	return known
}

// probe keeps of a probe what it runs.
func probe(p *corev1.Probe) *corev1.Probe {
	if p == nil || p.Exec == nil {
		return nil
	}
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: p.Exec}}
}

// extended keeps of resources those that a device plugin gives, such as GPUs.
func extended(in corev1.ResourceRequirements) corev1.ResourceRequirements {
	var out corev1.ResourceRequirements
	for name, q := range in.Limits {
		if strings.Contains(string(name), "/") {
			if out.Limits == nil {
				out.Limits = corev1.ResourceList{}
			}
			out.Limits[name] = q
		}
	}
	return out
}

// grow adds to a workload what one of its pods has and it hasn't: what admission puts into pods, and what old revisions still have.
// The names of containers and volumes that are there already with other contents get the pod's name behind them.
func (r *reader) grow(e *entry, pod *corev1.PodSpec, name string) {
	for i := range pod.InitContainers {
		r.growContainers(e, &e.w.Spec.InitContainers, pod, &pod.InitContainers[i], name)
	}
	for i := range pod.Containers {
		r.growContainers(e, &e.w.Spec.Containers, pod, &pod.Containers[i], name)
	}
	for i := range pod.EphemeralContainers {
		c := corev1.Container(pod.EphemeralContainers[i].EphemeralContainerCommon)
		r.growContainers(e, &e.w.Spec.Containers, pod, &c, name)
	}
}

// mostAdded bounds what pods add to one workload.
const mostAdded = 64

func (r *reader) growContainers(e *entry, list *[]corev1.Container, pod *corev1.PodSpec, c *corev1.Container, name string) {
	i := slices.IndexFunc(*list, func(have corev1.Container) bool { return have.Name == c.Name })
	if i >= 0 && !e.template && (!slices.Equal((*list)[i].Command, c.Command) || !slices.Equal((*list)[i].Args, c.Args)) {
		// Without a template nobody says that the pods of one owner are alike.
		i = slices.IndexFunc(*list, func(have corev1.Container) bool {
			return slices.Equal(have.Command, c.Command) && slices.Equal(have.Args, c.Args)
		})
		if i < 0 {
			c.Name = within(c.Name, name)
		}
	}
	if i < 0 {
		if e.more++; e.more > mostAdded {
			return
		}
		added := r.container(c)
		mounts := added.VolumeMounts
		added.VolumeMounts = nil
		for m := range mounts {
			r.growMount(e, &added, pod, &mounts[m], name)
		}
		*list = append(*list, added)
		return
	}
	have := &(*list)[i]
	for m := range c.VolumeMounts {
		r.growMount(e, have, pod, &c.VolumeMounts[m], name)
	}
	for v := range c.Env {
		env := &c.Env[v]
		if telling(env) && !slices.ContainsFunc(have.Env, func(x corev1.EnvVar) bool { return x.Name == env.Name && x.Value == env.Value }) {
			if e.more++; e.more <= mostAdded {
				have.Env = append(slices.Clip(have.Env), *env)
			}
		}
	}
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef != nil && !slices.ContainsFunc(have.EnvFrom, func(x corev1.EnvFromSource) bool {
			return x.ConfigMapRef != nil && x.ConfigMapRef.Name == from.ConfigMapRef.Name
		}) {
			if e.more++; e.more <= mostAdded {
				have.EnvFrom = append(slices.Clip(have.EnvFrom), from)
			}
		}
	}
}

// telling reports whether a variable that pods have and templates haven't may be about a runtime. Most that admission adds tell a
// pod its own name.
func telling(e *corev1.EnvVar) bool {
	for _, s := range []string{e.Name, e.Value} {
		s = strings.ToLower(s)
		for _, word := range []string{"docker", "containerd", "crio", "cri-", "container_runtime", ".sock", ":2375", ":2376"} {
			if strings.Contains(s, word) {
				return true
			}
		}
	}
	return false
}

func (r *reader) growMount(e *entry, have *corev1.Container, pod *corev1.PodSpec, m *corev1.VolumeMount, name string) {
	i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
	if i < 0 || r.signature(e, &pod.Volumes[i]) == "" {
		return
	}
	mount := *m
	mount.Name = r.growVolume(e, pod, m.Name, name)
	if e.more <= mostAdded && !slices.ContainsFunc(have.VolumeMounts, func(x corev1.VolumeMount) bool {
		return x.Name == mount.Name && x.MountPath == mount.MountPath
	}) {
		e.more++
		have.VolumeMounts = append(slices.Clip(have.VolumeMounts), mount)
	}
}

// growVolume makes sure that the workload has a volume of a pod, and returns the name that it has there.
func (r *reader) growVolume(e *entry, pod *corev1.PodSpec, volume, name string) string {
	i := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == volume })
	if i < 0 {
		return volume
	}
	v := pod.Volumes[i]
	said := r.signature(e, &v)
	taken := false
	for i := range e.w.Spec.Volumes {
		have := &e.w.Spec.Volumes[i]
		if have.Name != volume && !strings.HasPrefix(have.Name, volume+" (") {
			continue
		}
		if r.signature(e, have) == said {
			return have.Name
		}
		taken = true
	}
	if e.more > mostAdded {
		return volume
	}
	if taken {
		v.Name = within(volume, name)
	}
	e.w.Spec.Volumes = append(slices.Clip(e.w.Spec.Volumes), v)
	return v.Name
}

// within names what only a pod has.
func within(what, pod string) string { return what + " (in " + pod + ")" }

// signature tells volumes apart whose contents differ; it is empty for those that neither reach a runtime nor hold a script. Claims
// of a StatefulSet's pods are alike unless they are bound to other paths of nodes.
func (r *reader) signature(e *entry, v *corev1.Volume) string {
	switch {
	case v.HostPath != nil:
		// What is made of a path that isn't there depends on the type.
		kind := corev1.HostPathUnset
		if t := v.HostPath.Type; t != nil {
			kind = *t
		}
		return "host " + v.HostPath.Path + " " + string(kind)
	case v.PersistentVolumeClaim != nil:
		if path := r.onNode(workload.Key{Namespace: e.namespace, Name: v.PersistentVolumeClaim.ClaimName}); path != "" {
			return "host " + path
		}
	case v.ConfigMap != nil:
		return "map " + v.ConfigMap.Name
	}
	return ""
}

// onNode returns the path that a claim stands for; empty for storage that isn't a node's own.
func (r *reader) onNode(claim workload.Key) string {
	v, ok := r.inv.Volumes[r.inv.Claims[claim]]
	switch {
	case !ok:
	case v.HostPath != nil:
		return v.HostPath.Path
	case v.Local != nil:
		return v.Local.Path
	}
	return ""
}
