package runtimes

import (
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

const (
	containerdUnit   = "containerd.service"
	containerdConfig = "/etc/containerd/config.toml"
	containerdSocket = "/run/containerd/containerd.sock"
	containerdCerts  = "/etc/containerd/certs.d"
	dockerCerts      = "/etc/docker/certs.d"
)

// containerd reads one file and what it imports. Files of version 2 are read by every release from 1.4 on, those
// without a version are of version 1, version 3 came with 2.0 and version 4 with 2.3.
func containerd() Description {
	return Description{
		Name:      v1alpha1.Containerd,
		Daemons:   []string{"containerd"},
		Helpers:   []string{"ctr", "runc", "crun"},
		Monitors:  []string{"containerd-shim-runc-v2", "containerd-shim-runc-v1", "containerd-shim"},
		Units:     []string{containerdUnit},
		Main:      containerdUnit,
		Sockets:   []string{containerdSocket},
		Store:     "/var/lib/containerd",
		listen:    containerdListen,
		wants:     containerdWants,
		settings:  containerdSettings,
		configure: containerdConfigure,
		staging:   containerdStaging,
	}
}

// ctdConfig is containerd's configuration as its files and its own dump tell it.
type ctdConfig struct {
	// main is the file's path; files are it and what it imports, in the order in which they count.
	main    string
	files   []ctdFile
	version string // of the daemon
	// dump is the effective configuration; nil where the daemon could not be asked.
	dump        tree
	dumpVersion int
}

type ctdFile struct {
	path, content string
	tree          tree
	version       int
	err           error
}

func containerdCommand(f *v1alpha1.Facts) argv {
	return command(f, v1alpha1.Containerd, "containerd", containerdUnit)
}

// containerdMain returns the path of its configuration file.
func containerdMain(f *v1alpha1.Facts) string {
	if file, ok := containerdCommand(f).flag("config", "c"); ok {
		return file
	}
	return containerdConfig
}

func containerdWants(f *v1alpha1.Facts, w *wants) {
	main := containerdMain(f)
	w.stat(path.Dir(main), containerdCerts)
	w.dir(path.Dir(main))
	w.dir(containerdCerts)
	pending, seen := []string{main}, map[string]bool{}
	for len(pending) > 0 {
		name := pending[0]
		pending = pending[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		content, ok := w.file(name)
		if !ok {
			continue
		}
		for _, pattern := range parseTree(content).strs("imports") {
			pattern = absolute(name, pattern)
			if strings.Contains(pattern, "*") {
				w.stat(path.Dir(pattern))
				w.dir(path.Dir(pattern))
			}
			pending = append(pending, glob(f, pattern)...)
		}
		w.stat(path.Join(path.Dir(name), "conf.d"), path.Join(path.Dir(name), "conf.d", ctdDropIn))
	}
	w.command(v1alpha1.Containerd, f.Runtime(v1alpha1.Containerd).Binaries["containerd"].Path, [][2]string{{"--config", main}}, "config", "dump")
	for _, dir := range readContainerd(f).registryDirs() {
		w.stat(dir)
		for _, host := range w.dir(dir) {
			for _, e := range w.dir(host) {
				if path.Base(e) == "hosts.toml" {
					content, _ := w.file(e)
					for _, file := range hostsCerts(host, parseTree(content)) {
						w.stat(file)
					}
				}
				if slices.Contains([]string{".crt", ".cert", ".key"}, path.Ext(e)) {
					w.stat(e)
				}
			}
			w.file(path.Join(host, "hosts.toml"))
		}
	}
}

func absolute(parent, name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(path.Dir(parent), name)
}

// glob resolves a pattern against the listings in facts.
func glob(f *v1alpha1.Facts, pattern string) []string {
	if !strings.Contains(pattern, "*") {
		return []string{pattern}
	}
	d, _ := f.Dir(path.Dir(pattern))
	var out []string
	for _, e := range d.Entries {
		if ok, _ := path.Match(path.Base(pattern), e); ok {
			out = append(out, path.Join(d.Path, e))
		}
	}
	return out
}

func readContainerd(f *v1alpha1.Facts) ctdConfig {
	c := ctdConfig{main: containerdMain(f), version: f.Runtime(v1alpha1.Containerd).Binaries["containerd"].Version}
	pending, seen := []string{c.main}, map[string]bool{}
	for len(pending) > 0 {
		name := pending[0]
		pending = pending[1:]
		x, ok := follow(f, name)
		if seen[name] || !ok || x.Type != v1alpha1.Regular {
			continue
		}
		seen[name] = true
		file := ctdFile{path: x.Path, content: x.Content, version: 1}
		parsed, err := edit.ParseTOML(x.Content)
		if err != nil {
			file.err = err
		} else {
			file.tree = parsed.Tree()
			if n := file.tree.number("version"); n > 0 {
				file.version = int(n)
			}
		}
		c.files = append(c.files, file)
		for _, pattern := range file.tree.strs("imports") {
			pending = append(pending, glob(f, absolute(name, pattern))...)
		}
	}
	if out := f.Runtime(v1alpha1.Containerd).EffectiveConfig; out != "" {
		if t := parseTree(out); len(t) > 0 {
			c.dump, c.dumpVersion = t, max(int(t.number("version")), 1)
		}
	}
	return c
}

// Names of values that move between versions of the file.
type ctdKey int

const (
	ctdCRI ctdKey = iota
	ctdRuntimes
	ctdDefaultRuntime
	ctdSandbox
	ctdSnapshotter
	ctdRegistry
	ctdCNI
	ctdSELinux
	ctdDownloads
	ctdDiscard
	ctdStream
	ctdNRI
	ctdContainerd
	ctdEnableCDI
	ctdAppArmorOff
)

// key returns where a value stands in a file of that version.
func (k ctdKey) key(version int, more ...string) []string {
	cri := []string{"plugins", "io.containerd.grpc.v1.cri"}
	if version < 2 {
		cri = []string{"plugins", "cri"}
	}
	images, runtime := cri, cri
	if version > 2 {
		images = []string{"plugins", "io.containerd.cri.v1.images"}
		runtime = []string{"plugins", "io.containerd.cri.v1.runtime"}
	}
	join := func(base []string, rest ...string) []string { return slices.Concat(base, rest, more) }
	switch k {
	case ctdRuntimes:
		return join(runtime, "containerd", "runtimes")
	case ctdDefaultRuntime:
		return join(runtime, "containerd", "default_runtime_name")
	case ctdSandbox:
		if version > 2 {
			return join(images, "pinned_images", "sandbox")
		}
		return join(cri, "sandbox_image")
	case ctdSnapshotter:
		if version > 2 {
			return join(images, "snapshotter")
		}
		return join(cri, "containerd", "snapshotter")
	case ctdRegistry:
		return join(images, "registry")
	case ctdCNI:
		return join(runtime, "cni")
	case ctdSELinux:
		return join(runtime, "enable_selinux")
	case ctdDownloads:
		return join(images, "max_concurrent_downloads")
	case ctdDiscard:
		if version > 2 {
			return join(images, "discard_unpacked_layers")
		}
		return join(cri, "containerd", "discard_unpacked_layers")
	case ctdContainerd:
		return join(runtime, "containerd")
	case ctdEnableCDI:
		return join(runtime, "enable_cdi")
	case ctdAppArmorOff:
		return join(runtime, "disable_apparmor")
	case ctdNRI:
		return join([]string{"plugins", "io.containerd.nri.v1.nri"})
	}
	return join(cri)
}

// explicit returns what the files themselves say, and the file that wins. In 1.x a later file replaces a plugin's
// whole table.
func (c ctdConfig) explicit(k ctdKey, more ...string) (value any, file *ctdFile) {
	for i := len(c.files) - 1; i >= 0; i-- {
		x := &c.files[i]
		key := k.key(x.version, more...)
		if v, ok := x.tree.get(key...); ok {
			return v, x
		}
		if _, has := x.tree.get(key[:2]...); has && before(c.version, 2, 0, 0) && known(c.version) {
			return nil, nil
		}
	}
	return nil, nil
}

// effective returns what the daemon goes by: its dump, else the files.
func (c ctdConfig) effective(k ctdKey, more ...string) any {
	if c.dump != nil {
		v, _ := c.dump.get(k.key(c.dumpVersion, more...)...)
		return v
	}
	v, _ := c.explicit(k, more...)
	return v
}

func (c ctdConfig) str(k ctdKey, more ...string) string {
	s, _ := c.effective(k, more...).(string)
	return s
}

// top returns a top-level string.
func (c ctdConfig) top(key ...string) string {
	if c.dump != nil {
		return c.dump.str(key...)
	}
	for i := len(c.files) - 1; i >= 0; i-- {
		if s := c.files[i].tree.str(key...); s != "" {
			return s
		}
	}
	return ""
}

// defaultRuntime is the handler of pods without a RuntimeClass.
func (c ctdConfig) defaultRuntime() string {
	if name := c.str(ctdDefaultRuntime); name != "" {
		return name
	}
	return "runc"
}

// registryDirs are the directories with a directory a registry host, in search order.
func (c ctdConfig) registryDirs() []string {
	if dirs := c.str(ctdRegistry, "config_path"); dirs != "" {
		return strings.Split(dirs, ":")
	}
	if mirrors, _ := c.effective(ctdRegistry, "mirrors").(map[string]any); len(mirrors) == 0 && !before(c.version, 2, 2, 0) {
		return []string{containerdCerts, dockerCerts}
	}
	return nil
}

// disabled returns the file that disables the CRI plugin, or one of the two that 2.0 made of it, if any does.
func (c ctdConfig) disabled() (file *ctdFile, element string) {
	for i := range c.files {
		for _, id := range c.files[i].tree.strs("disabled_plugins") {
			if slices.Contains([]string{"cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"}, id) {
				return &c.files[i], id
			}
		}
	}
	return nil, ""
}

// containerdListen returns the socket that the files name.
func containerdListen(f *v1alpha1.Facts) string {
	if address, ok := containerdCommand(f).flag("address", "a"); ok {
		return address
	}
	c := readContainerd(f)
	for i := len(c.files) - 1; i >= 0; i-- {
		if c.files[i].version > 3 {
			if s := c.files[i].tree.str("plugins", "io.containerd.server.v1.grpc", "address"); s != "" {
				return s
			}
			continue
		}
		if s := c.files[i].tree.str("grpc", "address"); s != "" {
			return s
		}
	}
	return ""
}
