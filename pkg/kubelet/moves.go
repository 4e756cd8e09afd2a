package kubelet

import (
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// Why files change, for people.
const (
	whyEndpoint = "the kubelet's endpoint"
	whyKubeadm  = "the endpoint that kubeadm puts into the kubelet's configuration at each upgrade"
	whyCgroups  = "the runtime's cgroup, for the kubelet's accounting"
	whyCrictl   = "the endpoint of crictl"
)

// toRemote leads the kubelet to a runtime that serves CRI itself.
func (r *retarget) toRemote() {
	if r.view.Minor < 27 {
		r.kind()
	}
	r.setAll(flagEndpoint, whyEndpoint, func(old string) (string, bool) { return r.endpoint(old), true })
	r.fields(fieldEndpoint, func(old string) (string, bool) { return r.endpoint(old), old != "" })
	if r.arrived() || r.failed() {
		return
	}
	// The kubelet was told nowhere, or only by a file that isn't ours to edit.
	_, flagged := lastFlag(r.flags, flagEndpoint)
	v := r.view
	byField := v.Minor >= 27 && v.ConfigFile != "" && (v.Installer == Kubespray || v.Installer == Kubeasz || v.KubeadmMinor >= 34)
	if !flagged && byField {
		r.change(v.ConfigFile, whyEndpoint, func(text string) ([]edit.Splice, error) {
			return edit.YAMLSet(text, fieldEndpoint, r.endpoint(""))
		})
		return
	}
	r.add(flagEndpoint, r.endpoint(""), whyEndpoint, flagged)
}

// arrived reports whether the files as edited lead to the new endpoint.
func (r *retarget) arrived() bool {
	v, _ := analyze(r.src, nil)
	return SameSocket(v.Endpoint, r.to.Endpoint) && v.Dockershim == r.dockershim()
}

// kind makes an old kubelet use a remote runtime. From 1.24 on nothing else is possible, from 1.27 on the flag is
// unknown and stops the kubelet.
func (r *retarget) kind() {
	r.setAll(flagRuntime, whyEndpoint, func(string) (string, bool) { return "remote", true })
	if f, ok := lastFlag(r.flags, flagRuntime); ok && f.value == "remote" || r.view.Minor >= 24 {
		return
	}
	_, flagged := lastFlag(r.flags, flagRuntime)
	r.add(flagRuntime, "remote", whyEndpoint, flagged)
}

// toDockershim leads an old kubelet back to the Docker that it serves itself.
func (r *retarget) toDockershim() {
	r.removeAll(flagEndpoint, whyEndpoint)
	r.removeAll(flagRuntime, whyEndpoint)
	if f, ok := lastFlag(r.flags, flagRuntime); ok && f.value == "remote" {
		r.add(flagRuntime, "docker", whyEndpoint, true)
	}
	for _, h := range r.holders(flagImage) {
		if SameSocket(h.value, r.from.Endpoint) && r.editable(h.file) {
			r.change(h.file, whyEndpoint, h.remove(flagImage))
		}
	}
	// Only dockershim reads it; without it pods would get no network of the cluster.
	if _, ok := lastFlag(r.flags, flagNetwork); !ok {
		r.add(flagNetwork, "cni", "dockershim's network plugin", false)
	}
}

// images keeps the image endpoint in step where it named the old socket.
func (r *retarget) images() {
	follow := func(place, old string) (string, bool) {
		switch {
		case old == "" || SameSocket(old, r.to.Endpoint):
			return "", false
		case SameSocket(old, r.from.Endpoint) && !r.dockershim():
			return r.endpoint(old), true
		case !SameSocket(old, r.from.Endpoint):
			r.fail(idImages, "remove it, or change what serves it by hand", "%s fetches images through %s, which isn't the old runtime's socket", place, old)
		}
		return "", false
	}
	r.setAll(flagImage, whyEndpoint, func(old string) (string, bool) { return follow("--"+flagImage, old) })
	if !r.failed() {
		r.fields(fieldImage, func(old string) (string, bool) { return follow(fieldImage, old) })
	}
}

// fields gives a field of the kubelet's configuration a new value wherever it stands.
func (r *retarget) fields(field string, value func(old string) (string, bool)) {
	for _, f := range r.cfg.files {
		old, _, ok := f.yaml.Get(field)
		if !ok {
			continue
		}
		if text, want := value(old); want && text != old {
			r.change(f.name, whyEndpoint, func(content string) ([]edit.Splice, error) { return edit.YAMLSet(content, field, text) })
		}
	}
}

// mainUnit is the unit whose cgroup holds a runtime's daemon.
func mainUnit(name v1alpha1.RuntimeName) string {
	switch name {
	case v1alpha1.CRIO:
		return "crio.service"
	case v1alpha1.Docker:
		return "docker.service"
	}
	return string(name) + ".service"
}

// cgroups lets --runtime-cgroups follow where it named the old runtime's unit. One that names no unit at all stays.
func (r *retarget) cgroups() {
	next := mainUnit(r.to.Name)
	if len(r.to.Units) > 0 && !slices.Contains(r.to.Units, next) {
		next = ""
	}
	follow := func(old string) (string, bool) {
		base := path.Base(old)
		if base == next || base != mainUnit(r.from.Name) && (!strings.HasSuffix(base, ".service") || !slices.Contains(r.from.Units, base)) {
			return "", false
		}
		if next == "" {
			r.fail(idCgroups, "", "--%s=%s must follow, and the unit of %s isn't known", flagCgroups, old, r.to.Name)
			return "", false
		}
		return strings.TrimSuffix(old, base) + next, true
	}
	r.setAll(flagCgroups, whyCgroups, follow)
	f, ok := lastFlag(r.flags, flagCgroups)
	if !ok || r.failed() {
		return
	}
	if text, want := follow(f.value); want {
		r.add(flagCgroups, text, whyCgroups, true) // it stands in a file of the distribution
	} else if base := path.Base(f.value); strings.HasSuffix(base, ".service") && base != next {
		r.note(idCgroups, v1alpha1.SeverityWarning, "", "--%s=%s names a unit that isn't the old runtime's; it stays", flagCgroups, f.value)
	}
}

// kubeadm keeps the record from which kubeadm rewrites the kubelet's configuration at an upgrade. From 1.34 on one is
// needed unless a flag remains, which kubeadm moves there itself.
func (r *retarget) kubeadm() {
	if !r.view.Installer.UsesKubeadm() || r.dockershim() || r.failed() {
		return
	}
	if old, _ := r.unreadFlag(); old != "" {
		h := holder{file: kubeadmFlags, variable: "KUBELET_KUBEADM_ARGS"}
		r.change(kubeadmFlags, whyKubeadm, h.set(flagEndpoint, r.endpoint(old)))
	}
	_, p := r.src.read(instanceConfig)
	_, flagged := lastFlag(r.flags, flagEndpoint)
	switch {
	case p == present:
	case p == absent && r.view.KubeadmMinor >= 34 && !flagged && r.hasKubeadmConfig():
	case p == absent:
		return
	default:
		r.fail(idEdit, "", "%s must be edited and couldn't be read", instanceConfig)
		return
	}
	r.change(instanceConfig, whyKubeadm, func(text string) ([]edit.Splice, error) {
		y, err := edit.ParseYAML(text)
		if err != nil {
			return nil, err
		}
		if old, _, ok := y.Get(fieldEndpoint); p == present && (!ok || old == "") && (flagged || r.view.KubeadmMinor < 34) {
			return nil, nil
		}
		return edit.YAMLSet(text, fieldEndpoint, r.endpoint(""))
	})
	if text, p := r.src.read(instanceConfig); p == present {
		if y, err := edit.ParseYAML(text); err == nil {
			if old, _, ok := y.Get(fieldImage); ok && SameSocket(old, r.from.Endpoint) {
				r.change(instanceConfig, whyKubeadm, func(text string) ([]edit.Splice, error) {
					return edit.YAMLSet(text, fieldImage, r.endpoint(old))
				})
			}
		}
	}
}

// unreadFlag returns the endpoint in kubeadm's flags where the kubelet's unit doesn't read them: kubeadm does, at an
// upgrade.
func (r *retarget) unreadFlag() (value string, line int) {
	return r.src.unreadFlag(r.cmd)
}

func (s source) unreadFlag(c command) (value string, line int) {
	text, p := s.read(kubeadmFlags)
	if p != present || slices.Contains(c.envFiles, kubeadmFlags) {
		return "", 0
	}
	env, err := edit.ParseEnv(text)
	if err != nil {
		return "", 0
	}
	v, _ := env.Get("KUBELET_KUBEADM_ARGS")
	f, _ := edit.LastFlag(v.Flags(), flagEndpoint)
	return f.Value, f.Line
}

// hasKubeadmConfig reports whether kubeadm keeps the kubelet's configuration on this node: kubespray's stands elsewhere.
func (r *retarget) hasKubeadmConfig() bool {
	_, p := r.src.read(kubeadmConfig)
	return p == present && r.src.real(r.view.ConfigFile) == r.src.real(kubeadmConfig)
}

// crictl lets crictl's own configuration follow where there is one.
func (r *retarget) crictl() {
	text, p := r.src.read(crictlConfig)
	if p != present || r.failed() {
		return
	}
	y, err := edit.ParseYAML(text)
	if err != nil {
		r.fail(idEdit, "correct or remove it", "%s: %v", crictlConfig, err)
		return
	}
	endpoint := r.endpoint("")
	r.change(crictlConfig, whyCrictl, func(text string) ([]edit.Splice, error) { return edit.YAMLSet(text, crictlEndpoint, endpoint) })
	if old, _, ok := y.Get(crictlImage); ok && old != "" {
		r.change(crictlConfig, whyCrictl, func(text string) ([]edit.Splice, error) { return edit.YAMLSet(text, crictlImage, endpoint) })
	}
}
