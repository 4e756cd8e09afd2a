package runtimes

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// containerdStaging copies the configuration as it will be, file by file, and changes in each what a staging instance
// must not share. Values are set where the files set them: a file that is imported would overrule the main one.
func containerdStaging(f *v1alpha1.Facts, c configured) v1alpha1.Staging {
	if ready(f, v1alpha1.Containerd) {
		return serving(f, v1alpha1.Containerd)
	}
	cfg := readContainerd(f)
	s := staged{Staging: v1alpha1.Staging{
		Needed:   true,
		Endpoint: "unix://{dir}/containerd.sock",
		Dirs:     []string{"cni", "state", "certs.d"},
	}}
	files := stagedFiles(cfg, c)
	if len(files) == 0 {
		files = []stagedTOML{{to: "config.toml", text: "version = 2\n", version: 2, segments: text("version = 2\n")}}
	}
	values := quiet(cfg, files)
	exe := f.Runtime(v1alpha1.Containerd).Binaries["containerd"].Path
	if _, ok := running(f, v1alpha1.Containerd, "containerd", containerdUnit); ok {
		// Docker's containerd has the store open: the instance gets one of its own, and hands over what it pulled.
		s.Dirs = append(s.Dirs, "root")
		values = append(values, override{func(int) []string { return []string{"root"} }, "{dir}/root"},
			override{func(version int) []string { return ctdDiscard.key(version) }, false})
		s.Handover = handover(path.Join(path.Dir(exe), "ctr"))
	}
	for i := range files {
		x := &files[i]
		if i == 0 && len(files) > 1 {
			var imports []string
			for _, other := range files[1:] {
				imports = append(imports, "{dir}/"+other.to)
			}
			x.set([]string{"imports"}, imports)
		} else if i == 0 && len(parseTree(x.text).strs("imports")) > 0 {
			x.remove([]string{"imports"})
		}
		for _, v := range values {
			if i == 0 || x.concerned(cfg, v) {
				x.apply(v)
			}
		}
		s.Files = append(s.Files, v1alpha1.StagedFile{Path: x.to, Content: x.segments})
	}
	for _, dir := range registryDirsAfter(cfg) {
		s.stageTree(c, dir, "certs.d")
	}
	s.Argv = []string{exe, "--config={dir}/config.toml"}
	s.Validate = [][]string{{exe, "--config={dir}/config.toml", "config", "dump"}}
	if file, ok := proxyFile(f, c, containerdUnit); ok {
		s.Files, s.EnvFile = append(s.Files, file), file.Path
	}
	if certsKnown(cfg.version) {
		s.Mirror = v1alpha1.MirrorConfig{
			Path:   "certs.d/{host}/hosts.toml",
			Header: "# The images of the runtime that is left, for those that no registry gives.\n",
			Entry:  "[host.\"http://{mirror}\"]\ncapabilities = [\"pull\", \"resolve\"]\n",
		}
	}
	s.Pinned = pinned(sandboxAfter(cfg, files))
	return s.Staging
}

// stagedTOML is one of containerd's files on its way into the staging directory.
type stagedTOML struct {
	to, text string
	version  int
	segments []v1alpha1.Segment
	err      error
}

// stagedFiles are the files as they will be, our drop-in included.
func stagedFiles(cfg ctdConfig, c configured) []stagedTOML {
	names := []string{}
	for _, file := range cfg.files {
		names = append(names, file.path)
	}
	for _, own := range []string{cfg.main, path.Join(path.Dir(cfg.main), "conf.d", ctdDropIn)} {
		if _, ok := c.files[own]; ok && !slices.Contains(names, own) {
			names = append(names, own)
		}
	}
	var out []stagedTOML
	for i, name := range names {
		content, segments, ok := c.content(name)
		if !ok {
			continue
		}
		to := "config.toml"
		if i > 0 {
			to = fmt.Sprintf("conf.d/%02d-%s", i, path.Base(name))
		}
		version := max(int(parseTree(content).number("version")), 1)
		out = append(out, stagedTOML{to: to, text: content, version: version, segments: segments})
	}
	return out
}

func (x *stagedTOML) splice(s []edit.Splice, err error) {
	if err != nil {
		x.err = cmp.Or(x.err, err)
		return
	}
	after, err := edit.Apply(x.text, s...)
	if err != nil {
		x.err = cmp.Or(x.err, err)
		return
	}
	x.text, x.segments = after, respliced(x.segments, s)
}

func (x *stagedTOML) set(key []string, value any) { x.splice(edit.TOMLSet(x.text, key, value)) }

func (x *stagedTOML) remove(key []string) { x.splice(edit.TOMLRemove(x.text, key)) }

// override is a value of the staging instance. Its key depends on the version of the file; no key means that the
// version doesn't know it. A nil value removes the key where it stands.
type override struct {
	key   func(version int) []string
	value any
}

// concerned reports whether an imported file sets the value, or replaces the table that holds it as 1.x does.
func (x *stagedTOML) concerned(cfg ctdConfig, o override) bool {
	key := o.key(x.version)
	if len(key) == 0 {
		return false
	}
	t := parseTree(x.text)
	if _, ok := t.get(key...); ok {
		return true
	}
	if key[0] != "plugins" || !before(cfg.version, 2, 0, 0) {
		return false
	}
	_, ok := t.get(key[:2]...)
	return ok
}

func (x *stagedTOML) apply(o override) {
	key := o.key(x.version)
	switch {
	case len(key) == 0:
	case o.value == nil:
		if _, ok := parseTree(x.text).get(key...); ok {
			x.remove(key)
		}
	default:
		x.set(key, o.value)
	}
}

// quiet are the values by which a staging instance leaves the node alone: its state, sockets and ports are private, it
// sees no network and no NRI. Its root, and so its image store, is the real one.
func quiet(cfg ctdConfig, files []stagedTOML) []override {
	top := func(key ...string) func(int) []string { return func(int) []string { return key } }
	server := func(plugin, old string) func(int) []string {
		return func(version int) []string {
			if version > 3 {
				return []string{"plugins", "io.containerd.server.v1." + plugin, "address"}
			}
			return []string{old, "address"}
		}
	}
	cri := func(k ctdKey, more ...string) func(int) []string {
		return func(version int) []string { return k.key(version, more...) }
	}
	out := []override{
		{top("state"), "{dir}/state"},
		{server("grpc", "grpc"), "{dir}/containerd.sock"},
		{server("ttrpc", "ttrpc"), "{dir}/containerd.sock.ttrpc"},
		{cri(ctdCNI, "conf_dir"), "{dir}/cni"},
	}
	if certsKnown(cfg.version) {
		out = append(out, override{cri(ctdRegistry, "mirrors"), nil}, withoutTLS(files), override{cri(ctdRegistry, "config_path"), "{dir}/certs.d"})
	}
	for _, o := range []override{
		{server("debug", "debug"), "{dir}/debug.sock"},
		{server("metrics", "metrics"), ""},
		{func(version int) []string {
			if version > 3 {
				return []string{"plugins", "io.containerd.server.v1.grpc-tcp", "address"}
			}
			return []string{"grpc", "tcp_address"}
		}, ""},
		{cri(ctdStream, "stream_server_address"), "127.0.0.1"},
		{cri(ctdStream, "stream_server_port"), "0"},
	} {
		// These are off or harmless unless a file says otherwise.
		if slices.ContainsFunc(files, func(x stagedTOML) bool { _, ok := parseTree(x.text).get(o.key(x.version)...); return ok }) {
			out = append(out, o)
		}
	}
	if !before(cfg.version, 1, 7, 0) {
		out = append(out, override{func(version int) []string {
			if version < 2 {
				return nil
			}
			return ctdNRI.key(version, "disable")
		}, true})
	}
	return append(out, withoutRestart(files))
}

// certsKnown reports whether that containerd reads a directory a registry host, as from 1.5 on.
func certsKnown(version string) bool { return !known(version) || !before(version, 1, 5, 0) }

// handover are the commands that move an image from the instance's store to the one of the daemon that runs.
func handover(ctr string) [][]string {
	return [][]string{
		{ctr, "--address={dir}/containerd.sock", "--namespace=k8s.io", "images", "export", "{dir}/handover.tar", "{ref}"},
		{ctr, "--address=" + containerdSocket, "--namespace=k8s.io", "images", "import", "{dir}/handover.tar"},
	}
}

// withoutTLS removes registry tables that exclude certs.d.
func withoutTLS(files []stagedTOML) override {
	return override{func(version int) []string {
		for _, x := range files {
			configs, _ := parseTree(x.text).get(ctdRegistry.key(x.version, "configs")...)
			for _, host := range (tree{"c": configs}).keys("c") {
				if len(tree(configs.(map[string]any)).table(host, "tls")) > 0 {
					return ctdRegistry.key(version, "configs")
				}
			}
		}
		return nil
	}, nil}
}

// withoutRestart keeps the instance from starting containers that carry a restart label.
func withoutRestart(files []stagedTOML) override {
	id := "io.containerd.internal.v1.restart"
	list := []string{id}
	for _, x := range files {
		list = append(list, parseTree(x.text).strs("disabled_plugins")...)
	}
	return override{func(version int) []string {
		if version < 2 {
			return nil
		}
		return []string{"disabled_plugins"}
	}, unique(list)}
}

// registryDirsAfter are the directories that the configured containerd reads.
func registryDirsAfter(cfg ctdConfig) []string {
	dirs := cfg.registryDirs()
	if !slices.Contains(dirs, containerdCerts) {
		dirs = append(dirs, containerdCerts)
	}
	return dirs
}

// sandboxAfter is the sandbox image that the configured containerd will want.
func sandboxAfter(cfg ctdConfig, files []stagedTOML) string {
	image := cfg.str(ctdSandbox)
	for _, x := range files {
		if s := parseTree(x.text).str(ctdSandbox.key(x.version)...); s != "" {
			image = s
		}
	}
	return image
}
