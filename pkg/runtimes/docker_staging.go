package runtimes

import (
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// dockerQuiet are the directives of a staging dockerd: no network of its own, nothing that anybody else finds. A
// directive must not be given twice, so all of them go into the staged file.
var dockerQuiet = []struct {
	key   string
	value any
}{
	{"hosts", []string{"unix://{dir}/docker.sock"}},
	{"exec-root", "{dir}/exec"},
	{"pidfile", "{dir}/docker.pid"},
	{"bridge", "none"},
	{"iptables", false},
	{"ip6tables", false},
	{"ip-forward", false},
	{"userland-proxy", false},
	{"live-restore", false},
}

// dockerStaging runs dockerd alone: it holds the images, cri-dockerd has no state but sandboxes. Docker knows mirrors
// for one registry only, so images that no registry gives are loaded as archives.
func dockerStaging(f *v1alpha1.Facts, c configured) v1alpha1.Staging {
	if ready(f, v1alpha1.Docker) {
		return serving(f, v1alpha1.Docker)
	}
	s := staged{Staging: v1alpha1.Staging{Needed: true, Endpoint: "unix://{dir}/docker.sock", Dirs: []string{"exec"}}}
	if DockerRuns(f) {
		// dockerd serves already, only cri-dockerd rests.
		s.Needed, s.Endpoint, s.Dirs = false, "unix:///var/run/docker.sock", nil
		s.Pinned = pinned(dockerPinned(f, c))
		return s.Staging
	}
	content, segments, ok := c.content(dockerFile(f))
	if !ok || strings.TrimSpace(content) == "" {
		content, segments = "{}\n", text("{}\n")
	}
	set := func(key string, value any) {
		splices, err := jsonSet(content, key, value)
		if err != nil {
			return
		}
		if after, err := edit.Apply(content, splices...); err == nil {
			content, segments = after, respliced(segments, splices)
		}
	}
	for _, q := range dockerQuiet {
		set(q.key, q.value)
	}
	if _, ok := running(f, v1alpha1.Containerd, "containerd", containerdUnit); ok && DockerSharesContainerd(f) {
		set("containerd", containerdSocket)
	}
	if strings.Contains(content, `"metrics-addr"`) {
		set("metrics-addr", "")
	}
	s.Files = append(s.Files, v1alpha1.StagedFile{Path: "daemon.json", Content: segments})
	exe := f.Runtime(v1alpha1.Docker).Binaries["dockerd"]
	s.Argv = append([]string{exe.Path, "--config-file={dir}/daemon.json"}, dockerFlags(f)...)
	if !before(exe.Version, 23, 0, 0) {
		s.Validate = [][]string{append([]string{exe.Path, "--validate", "--config-file={dir}/daemon.json"}, dockerFlags(f)...)}
	}
	if file, ok := proxyFile(f, c, dockerUnit); ok {
		s.Files, s.EnvFile = append(s.Files, file), file.Path
	}
	s.Pinned = pinned(dockerPinned(f, c))
	return s.Staging
}

// dockerImageFlags are the flags of the unit that say how images are kept and fetched.
var dockerImageFlags = []string{
	"data-root", "graph", "g", "storage-driver", "s", "storage-opt", "insecure-registry", "registry-mirror", "exec-opt", "add-runtime", "default-runtime",
}

// dockerFlags are those of the node.
func dockerFlags(f *v1alpha1.Facts) []string {
	var out []string
	cmd := dockerCommand(f)
	for _, name := range dockerImageFlags {
		for _, value := range cmd.values(name) {
			dashes := "--"
			if len(name) == 1 {
				dashes = "-"
			}
			out = append(out, dashes+name+"="+value)
		}
	}
	return out
}

// dockerPinned is the sandbox image that the configured cri-dockerd will want.
func dockerPinned(f *v1alpha1.Facts, c configured) string {
	for name, x := range c.files {
		if !slices.Contains(strings.Split(name, "/"), criDockerUnit+".d") || x.Type != v1alpha1.Regular {
			continue
		}
		content, _, _ := c.content(name)
		if _, rest, ok := strings.Cut(content, "--pod-infra-container-image="); ok {
			return strings.Fields(rest)[0]
		}
	}
	return dockerSandbox(f)
}
