package workload

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func imageRules() []rule {
	return []rule{
		{Rule{
			"W025", fixable, "no image is pulled from nowhere",
			"With imagePullPolicy: Never the image must be in the node's store, which is the old runtime's. The switch takes such images over for pods that come back to the node; on nodes that are added later they are missing. Push them to a registry. ",
		}, moved(neverPulled), nil},
		{Rule{
			"W028", failing, "no image is named by its ID or by a store of its own",
			"An image ID is a digest of one store's own configuration, and no registry can give it; another runtime's store may know the same image under another. Name it by repository and digest. " +
				"Names such as localhost/… and kind.local/… exist only where somebody built or loaded the image; with a policy other than Never that is a warning.",
		}, moved(localImages), nil},
	}
}

func classRules() []rule {
	return []rule{
		{Rule{
			"W026", failing, "the target has the handlers of RuntimeClasses",
			"A RuntimeClass names a handler of the runtime's configuration. A pod whose handler is missing isn't started. cri-dockerd knows no handler but docker, and nobody else knows that one: those are errors. " +
				"runc is there with containerd, runc and crun with CRI-O. Any other is a warning: configure it on the target before the switch.",
		}, moved(handlers), nil},
		{Rule{
			"W027", failing, "no GPU depends on the runtime's default",
			"Pods that ask for nvidia.com/gpu without a RuntimeClass get their devices because the old runtime's default is nvidia (default-runtime in Docker's daemon.json, default_runtime_name in containerd's configuration). " +
				"Give them the RuntimeClass nvidia, use CDI, or make nvidia the target's default. An installer that is told to configure the old runtime (RUNTIME=docker) is an error.",
		}, moved(gpus), nil},
	}
}

// registry returns the part of an image's name that is a registry, or nothing.
func registry(image string) string {
	first, _, ok := strings.Cut(image, "/")
	if ok && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return first
	}
	return ""
}

// imageID reports whether an image is named by the ID that a store gave it.
func imageID(image string) bool {
	id, prefixed := strings.CutPrefix(image, "sha256:")
	if len(id) != 64 && (!prefixed || len(id) < 12) {
		return false
	}
	return strings.Trim(id, "0123456789abcdef") == ""
}

func neverPulled(s *subject) []hit {
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		if c.ImagePullPolicy != corev1.PullNever || imageID(c.Image) {
			continue
		}
		h := hit{
			fixable, "its image is never pulled and must be taken over from the old store",
			"push it to a registry, or load it into the target's store of every node", c.says("image %s, imagePullPolicy Never", c.Image), c.at("image"),
		}
		// Without a node whose store has it nothing can be taken over.
		if s.j.o.To == "" || len(s.w.Pods) == 0 {
			h.severity = advising
		}
		out = append(out, h)
	}
	return out
}

func localImages(s *subject) []hit {
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		var h hit
		switch r := registry(c.Image); {
		case imageID(c.Image):
			h.severity, h.message = failing, "its image is named by an ID, which only the old store knows"
		case c.ImagePullPolicy != corev1.PullNever && (r == "localhost" || r == "kind.local" || r == "ko.local" || r == "dev.local"):
			h.severity, h.message = advising, "its image has a name that no registry knows"
		default:
			continue
		}
		h.hint, h.evidence, h.line = "push it to a registry and name it there", c.says("image %s", c.Image), c.at("image")
		out = append(out, h)
	}
	return out
}

func handlers(s *subject) []hit {
	name := s.w.Spec.RuntimeClassName
	if name == nil || *name == "" {
		return nil
	}
	handler, ok := s.j.inv.RuntimeClasses[*name]
	if !ok {
		return nil
	}
	h := hit{severity: advising, hint: "configure the handler on the target before the switch", line: s.line("spec", "runtimeClassName")}
	h.evidence = fmt.Sprintf("runtimeClassName %s, handler %s", *name, handler)
	to := s.j.o.To
	switch {
	case to == v1alpha1.Docker && handler != "docker":
		h.severity = failing
		h.message, h.hint = "its RuntimeClass needs a handler, and cri-dockerd has none but docker", "run it on nodes that stay with their runtime"
	case to == v1alpha1.Docker, handler == "runc", to == v1alpha1.CRIO && handler == "crun":
		return nil
	case handler == "docker" && to != "":
		h.severity = failing
		h.message, h.hint = "its RuntimeClass has the handler docker, which only cri-dockerd knows", "take runtimeClassName away"
	default:
		h.message = "its RuntimeClass needs a handler that the target must be given"
	}
	return []hit{h}
}

const gpu = "nvidia.com/"

func gpus(s *subject) []hit {
	var out []hit
	for i := range s.containers {
		c := &s.containers[i]
		if v := c.env["RUNTIME"].value; (v == "docker" || v == "containerd" || v == "crio") && strings.Contains(c.Image, "container-toolkit") {
			if r := (map[string]v1alpha1.RuntimeName{"docker": v1alpha1.Docker, "containerd": v1alpha1.Containerd, "crio": v1alpha1.CRIO})[v]; s.leaving(r) == goes {
				out = append(out, hit{failing, "prepares GPUs for a runtime that goes", "tell it the target", c.says("env RUNTIME=%s", v), c.at("env", "RUNTIME")})
			}
		}
		if n := s.w.Spec.RuntimeClassName; n != nil && *n != "" {
			continue
		}
		why := c.wantsGPU()
		if why == "" {
			continue
		}
		out = append(out, hit{advising, "gets its GPU by the runtime's default, if that is nvidia", "set runtimeClassName: nvidia, or make nvidia the target's default", c.says("%s", why), c.at("resources")})
	}
	return out
}

// wantsGPU says how the container asks for a GPU of NVIDIA; nothing when it doesn't.
func (c *container) wantsGPU() string {
	for name := range c.Resources.Limits {
		if strings.HasPrefix(string(name), gpu) {
			return "limit " + string(name)
		}
	}
	if v, ok := c.env["NVIDIA_VISIBLE_DEVICES"]; ok && v.value != "" && v.value != "void" && v.value != "none" {
		return "env NVIDIA_VISIBLE_DEVICES=" + v.value
	}
	if name, _ := repository(c.Image); strings.Contains(name, "k8s-device-plugin") && strings.Contains(c.Image, "nvidia") {
		return "image " + c.Image
	}
	return ""
}
