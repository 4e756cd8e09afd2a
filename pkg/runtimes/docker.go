package runtimes

import (
	"encoding/json"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

const (
	dockerUnit      = "docker.service"
	dockerSocket    = "docker.socket"
	criDockerUnit   = "cri-docker.service"
	criDockerSocket = "cri-docker.socket"
	dockerConfig    = "/etc/docker/daemon.json"
)

// docker is dockerd with cri-dockerd before it, each behind a socket unit that starts it again on the next dial.
func docker() Description {
	return Description{
		Name:      v1alpha1.Docker,
		Daemons:   []string{"dockerd", "cri-dockerd"},
		Helpers:   []string{"docker", "docker-proxy"},
		Units:     []string{dockerSocket, dockerUnit, criDockerSocket, criDockerUnit},
		Main:      dockerUnit,
		Sockets:   []string{"/var/run/cri-dockerd.sock", "/var/run/dockershim.sock"},
		Store:     "/var/lib/docker",
		wants:     dockerWants,
		settings:  dockerSettings,
		configure: dockerConfigure,
		staging:   dockerStaging,
	}
}

func dockerCommand(f *v1alpha1.Facts) argv {
	return command(f, v1alpha1.Docker, "dockerd", dockerUnit)
}

func criDockerCommand(f *v1alpha1.Facts) argv {
	return command(f, v1alpha1.Docker, "cri-dockerd", criDockerUnit)
}

// dockerFile returns the path of its configuration file.
func dockerFile(f *v1alpha1.Facts) string {
	if file, ok := dockerCommand(f).flag("config-file"); ok {
		return file
	}
	return dockerConfig
}

func dockerWants(f *v1alpha1.Facts, w *wants) {
	w.stat(path.Dir(dockerFile(f)))
	w.file(dockerFile(f))
	certWants(w, dockerCerts)
}

// daemonJSON returns the decoded configuration file; nil when there is none or it isn't valid.
func daemonJSON(f *v1alpha1.Facts) tree {
	x, ok := follow(f, dockerFile(f))
	if !ok || x.Type != v1alpha1.Regular {
		return nil
	}
	t := tree{}
	if err := json.Unmarshal([]byte(x.Content), &t); err != nil {
		return nil
	}
	return t
}

func dockerSettings(f *v1alpha1.Facts) (v1alpha1.Settings, []v1alpha1.Finding) {
	j, cmd, cri := daemonJSON(f), dockerCommand(f), criDockerCommand(f)
	s := v1alpha1.Settings{
		CgroupDriver:           dockerDriver(f),
		SandboxImage:           dockerSandbox(f),
		Proxy:                  dockerProxies(f),
		SearchRegistries:       []string{"docker.io"},
		StoreRoot:              firstOf(cmd, j, "data-root", "graph"),
		StateRoot:              firstOf(cmd, j, "exec-root"),
		StorageDriver:          firstOf(cmd, j, "storage-driver"),
		CNIConfDir:             defaultCNIConf,
		CNIBinDirs:             []string{defaultCNIBin},
		MaxConcurrentDownloads: int(j.number("max-concurrent-downloads")),
		SeccompProfile:         firstOf(cmd, j, "seccomp-profile"),
		CDISpecDirs:            j.strs("cdi-spec-dirs"),
	}
	if s.StoreRoot == "/var/lib/docker" {
		s.StoreRoot = ""
	}
	if s.SeccompProfile == "builtin" || s.SeccompProfile == "unconfined" {
		s.SeccompProfile = ""
	}
	if dir, ok := cri.flag("cni-conf-dir"); ok {
		s.CNIConfDir = dir
	}
	if dirs, ok := cri.flag("cni-bin-dir"); ok {
		s.CNIBinDirs = strings.Split(dirs, ",")
	}
	s.LogMaxBytes, s.LogMaxFiles = dockerLogs(cmd, j)
	s.SELinux, _ = j.boolean("selinux-enabled")
	if on, ok := cmd.flag("selinux-enabled"); ok {
		s.SELinux = on == "true"
	}
	s.Ulimits = ulimits(cmd.values("default-ulimit"))
	for _, r := range cmd.values("add-runtime") {
		if name, binary, ok := strings.Cut(r, "="); ok && !usual(name) {
			s.OCIRuntimes = append(s.OCIRuntimes, v1alpha1.OCIRuntime{Name: name, Path: binary})
		}
	}
	if n, ok := cmd.flag("max-concurrent-downloads"); ok {
		s.MaxConcurrentDownloads = int(number(n))
	}
	for _, name := range j.keys("default-ulimits") {
		u := j.table("default-ulimits", name)
		s.Ulimits = append(s.Ulimits, v1alpha1.Ulimit{Name: name, Soft: u.number("Soft"), Hard: u.number("Hard")})
	}
	for _, name := range j.keys("runtimes") {
		if h := j.table("runtimes", name); !usual(name) {
			s.OCIRuntimes = append(s.OCIRuntimes, v1alpha1.OCIRuntime{Name: name, Path: h.str("path"), Type: h.str("runtimeType")})
		}
	}
	if name := firstOf(cmd, j, "default-runtime"); !usual(name) {
		s.DefaultOCIRuntime = name
	}
	r := newRegistries()
	dockerRegistries(f, r)
	s.Registries = r.sorted()
	return s, append(r.findings, dockerUntold(f, j)...)
}

// firstOf returns a flag's value, else the file's.
func firstOf(cmd argv, j tree, names ...string) string {
	if v, ok := cmd.flag(names...); ok {
		return v
	}
	for _, name := range names {
		if s := j.str(name); s != "" {
			return s
		}
	}
	return ""
}

// dockerDriver is the cgroup driver that dockerd uses or would use.
func dockerDriver(f *v1alpha1.Facts) string {
	for _, o := range slices.Concat(dockerCommand(f).values("exec-opt"), daemonJSON(f).strs("exec-opts")) {
		if v, ok := strings.CutPrefix(o, "native.cgroupdriver="); ok {
			return v
		}
	}
	if r := f.Runtime(v1alpha1.Docker); r.CRI != nil && r.CRI.CgroupDriver != "" {
		return r.CRI.CgroupDriver
	}
	if f.Machine.CgroupVersion == 2 {
		return "systemd"
	}
	return "cgroupfs"
}

// dockerSandbox is the sandbox image of cri-dockerd: as told, as it answered, or as built in.
func dockerSandbox(f *v1alpha1.Facts) string {
	if image, ok := criDockerCommand(f).flag("pod-infra-container-image"); ok {
		return image
	}
	if r := f.Runtime(v1alpha1.Docker); r.CRI != nil && r.CRI.SandboxImage != "" {
		return r.CRI.SandboxImage
	}
	switch v := CRIDaemon(f, v1alpha1.Docker).Version; {
	case !known(v):
		return ""
	case before(v, 0, 3, 5):
		return "registry.k8s.io/pause:3.6"
	case before(v, 0, 3, 16):
		return "registry.k8s.io/pause:3.9"
	}
	return "registry.k8s.io/pause:3.10"
}

// dockerProxies are those of the file, which win, or those of the unit.
func dockerProxies(f *v1alpha1.Facts) []v1alpha1.Variable {
	j, cmd := daemonJSON(f), dockerCommand(f)
	var out []v1alpha1.Variable
	file, _ := follow(f, dockerFile(f))
	for _, p := range []struct{ key, name string }{{"http-proxy", "HTTP_PROXY"}, {"https-proxy", "HTTPS_PROXY"}, {"no-proxy", "NO_PROXY"}} {
		if value, ok := cmd.flag(p.key); ok && value != "" {
			v := v1alpha1.Variable{Name: p.name, Text: value, Content: text(value), Source: "--" + p.key}
			if strings.Contains(value, string(rune(v1alpha1.MaskByte))) {
				v.Content = nil // a password on a command line is told nowhere else
			}
			out = append(out, v)
			continue
		}
		value := j.str("proxies", p.key)
		if value == "" {
			continue
		}
		v := v1alpha1.Variable{Name: p.name, Text: value, Content: text(value), Source: file.Path}
		if strings.Contains(value, string(rune(v1alpha1.MaskByte))) {
			v.Content = nil
			if i := strings.Index(file.Content, `"`+value+`"`); i >= 0 {
				v.Content = []v1alpha1.Segment{{From: file.Path, Start: i + 1, End: i + 1 + len(value)}}
			}
		}
		out = append(out, v)
	}
	if len(out) > 0 {
		return out
	}
	return proxies(f, dockerUnit)
}

// dockerLogs reads the limits of the json-file and local log drivers.
func dockerLogs(cmd argv, j tree) (size int64, files int) {
	option := func(name string) string {
		for _, o := range slices.Backward(cmd.values("log-opt")) {
			if value, ok := strings.CutPrefix(o, name+"="); ok {
				return value
			}
		}
		return j.str("log-opts", name)
	}
	files, _ = strconv.Atoi(option("max-file"))
	s := strings.ToLower(option("max-size"))
	unit := int64(1)
	for suffix, n := range map[string]int64{"k": 1 << 10, "m": 1 << 20, "g": 1 << 30} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = rest, n
			break
		}
	}
	return number(s) * unit, files
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// dockerRegistries reads mirrors of Docker Hub, registries without TLS and certificates.
func dockerRegistries(f *v1alpha1.Facts, r *registries) {
	j, cmd, file := daemonJSON(f), dockerCommand(f), dockerFile(f)
	insecure := slices.Concat(cmd.values("insecure-registry"), j.strs("insecure-registries"))
	for _, host := range insecure {
		if isCIDR(host) {
			r.note(at(warning(NotCarried, "name the registries in that network one by one", "the network %s of registries without TLS has no equal in other runtimes", host), file, 0))
			continue
		}
		r.update(host, file, func(x *v1alpha1.Registry) { x.Insecure = true })
	}
	for _, m := range slices.Concat(cmd.values("registry-mirror"), j.strs("registry-mirrors")) {
		m = strings.TrimSuffix(m, "/")
		bare := strings.HasPrefix(m, "http://") || slices.Contains(insecure, hostOf(m))
		r.update("docker.io", file, func(x *v1alpha1.Registry) {
			x.Mirrors = append(x.Mirrors, v1alpha1.Mirror{URL: m, Insecure: bare})
		})
	}
	certTree(f, dockerCerts, r)
}
