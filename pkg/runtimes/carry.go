package runtimes

import (
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// wantedDriver is the cgroup driver that the kubelet really uses: from 1.31 on a runtime that tells its own overrules
// the kubelet's file.
func wantedDriver(f *v1alpha1.Facts, v kubelet.View) string {
	if r := f.Runtime(Serving(v)); v.Minor >= 31 && r.CRI != nil && r.CRI.CgroupDriver != "" {
		return r.CRI.CgroupDriver
	}
	return v.CgroupDriver
}

// official reports whether a sandbox image is one that runtimes have built in, so that a file that names it may have
// been printed by the runtime itself.
func official(image string) bool {
	for _, prefix := range []string{"registry.k8s.io/pause:", "k8s.gcr.io/pause:"} {
		if strings.HasPrefix(image, prefix) {
			return true
		}
	}
	return false
}

// has reports whether the runtime's store holds the image under that name.
func has(f *v1alpha1.Facts, image string) bool {
	for _, r := range f.Runtimes {
		if r.CRI == nil {
			continue
		}
		for _, x := range r.CRI.Images {
			if slices.Contains(x.Tags, image) {
				return true
			}
		}
	}
	return false
}

// keepSandbox decides whether the target keeps its sandbox image: now is the one in effect, chosen the one that a file
// names. The image of the runtime that is left is known to be there, so it is taken unless an operator chose another.
func keepSandbox(c *changes, f *v1alpha1.Facts, source, now, chosen, file string) bool {
	if source == "" || source == now {
		return true
	}
	switch {
	case chosen == "":
		c.note(fixable(SandboxImage, "the target's built-in sandbox image %s isn't the node's %s, which is kept", orNone(now), source))
		return false
	case official(chosen) && !official(source):
		c.note(at(fixable(SandboxImage, "the target's sandbox image %s is the built-in one; the node's %s is kept", chosen, source), file, 0))
		return false
	case has(f, chosen):
		return true
	}
	c.note(at(warning(SandboxImage, "make sure that it can be pulled; staging tries it", "the target keeps its own sandbox image %s; the node uses %s", chosen, source), file, 0))
	return true
}

func orNone(s string) string {
	if s == "" {
		return "(unknown)"
	}
	return s
}

// noteConflict tells that a registry is configured otherwise for the target.
func noteConflict(c *changes, source, target v1alpha1.Registry, name string) {
	if sameRegistry(source, target) {
		return
	}
	c.note(at(at(warning(Conflict, "", "%s keeps its own configuration of registry %s, which differs from that of the runtime that is left", name, source.Host), target.Source, 0), source.Source, 0))
}

func ulimitNames(s v1alpha1.Settings) string {
	var out []string
	for _, u := range s.Ulimits {
		out = append(out, u.Name)
	}
	return strings.Join(out, ", ")
}

// noteLogs tells that the kubelet rotates logs from now on.
func noteLogs(c *changes, s v1alpha1.Settings, target string) {
	if s.LogMaxBytes > 0 || s.LogMaxFiles > 0 {
		c.note(warning(NotCarried, "set containerLogMaxSize and containerLogMaxFiles in the kubelet's configuration",
			"the log limits of the runtime that is left have no equal in %s: there the kubelet rotates logs", target))
	}
}

// noteRoots tells that the target's store lies elsewhere.
func noteRoots(c *changes, s v1alpha1.Settings, target string) {
	if s.StoreRoot != "" {
		c.note(warning(NotCarried, "give "+target+" a directory on the same disk before the switch if its own is too small",
			"the runtime that is left keeps its images in %s; %s keeps its own store", s.StoreRoot, target))
	}
}

// noteSearch tells that image names without a registry mean something else.
func noteSearch(c *changes, s v1alpha1.Settings, target string) {
	for _, r := range s.SearchRegistries {
		if r != "docker.io" {
			c.note(warning(NotCarried, "write full image names in the pods", "%s completes image names without a registry with docker.io only; the runtime that is left also searches %s", target, r))
		}
	}
}
