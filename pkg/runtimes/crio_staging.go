package runtimes

import (
	"path"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// crioQuiet is what a staging instance of CRI-O says differently. It shares the image store alone, which the containers
// libraries lock against other users; everything else would disturb the node or be taken for an unclean end later:
// sockets, network, NRI, metrics, version files, the irqbalance and resctrl configuration of the host.
const crioQuiet = `# The staging instance of kubectl runtime.
[crio]
log_dir = "{dir}/log"
version_file = "{dir}/version"
version_file_persist = "{dir}/version-persist"
clean_shutdown_file = "{dir}/clean.shutdown"
internal_wipe = false

[crio.api]
listen = "{dir}/crio.sock"
stream_address = "127.0.0.1"
stream_port = "0"
stream_enable_tls = false

[crio.runtime]
container_exits_dir = "{dir}/exits"
container_attach_socket_dir = "{dir}/attach"
namespaces_dir = "{dir}/ns"
irqbalance_config_restore_file = "disable"
disable_hostport_mapping = true
rdt_config_file = ""
blockio_config_file = ""

[crio.network]
network_dir = "{dir}/cni"
cni_default_network = ""

[crio.metrics]
enable_metrics = false

[crio.tracing]
enable_tracing = false

[crio.nri]
enable_nri = false
`

// crioStoreFlags are the flags of the unit that say where images are kept.
var crioStoreFlags = []string{"root", "runroot", "storage-driver", "storage-opt", "imagestore"}

// crioStaging copies the configuration as it will be and adds a last word. Registries are told by the containers
// libraries' files, which have flags of their own.
func crioStaging(f *v1alpha1.Facts, c configured) v1alpha1.Staging {
	if ready(f, v1alpha1.CRIO) {
		return serving(f, v1alpha1.CRIO)
	}
	cfg := readCRIO(f)
	s := staged{Staging: v1alpha1.Staging{
		Needed:   true,
		Endpoint: "unix://{dir}/crio.sock",
		Dirs:     []string{"cni", "crio.conf.d", "registries.conf.d", "log", "exits", "attach", "ns"},
	}}
	if !s.copy(c, cfg.main, "crio.conf") {
		s.Files = append(s.Files, v1alpha1.StagedFile{Path: "crio.conf", Content: text("")})
	}
	for _, name := range c.below(cfg.dir) {
		s.copy(c, name, path.Join("crio.conf.d", strings.ReplaceAll(strings.TrimPrefix(name, cfg.dir+"/"), "/", "-")))
	}
	s.Files = append(s.Files, v1alpha1.StagedFile{Path: "crio.conf.d/zzz-kubectl-runtime-staging.conf", Content: text(crioQuiet)})
	if !s.copy(c, registriesConf, "registries.conf") {
		// A path that is given must exist.
		s.Files = append(s.Files, v1alpha1.StagedFile{Path: "registries.conf", Content: text("")})
	}
	for _, name := range c.list(registriesDir) {
		if strings.HasSuffix(name, ".conf") {
			s.copy(c, name, path.Join("registries.conf.d", path.Base(name)))
		}
	}
	exe := f.Runtime(v1alpha1.CRIO).Binaries["crio"].Path
	s.Argv = []string{
		exe, "--config={dir}/crio.conf", "--config-dir={dir}/crio.conf.d",
		"--registries-conf={dir}/registries.conf", "--registries-conf-dir={dir}/registries.conf.d",
	}
	for _, flag := range crioStoreFlags {
		for _, value := range cfg.cmd.values(flag) {
			s.Argv = append(s.Argv, "--"+flag+"="+value)
		}
	}
	if _, ok := c.files[cfg.policy()]; ok && s.copy(c, cfg.policy(), "policy.json") {
		s.Argv = append(s.Argv, "--signature-policy={dir}/policy.json")
	}
	s.Argv = append(s.Argv, "--listen={dir}/crio.sock", "--cni-config-dir={dir}/cni")
	s.Validate = [][]string{{exe, "--config={dir}/crio.conf", "--config-dir={dir}/crio.conf.d", "config"}}
	if file, ok := proxyFile(f, c, crioUnit); ok {
		s.Files, s.EnvFile = append(s.Files, file), file.Path
	}
	s.Mirror = v1alpha1.MirrorConfig{
		Path:   "registries.conf.d/zzz-kubectl-runtime-mirror.conf",
		Header: "# The images of the runtime that is left, for those that no registry gives.\n",
		Entry:  "\n[[registry]]\nprefix = \"{host}\"\nlocation = \"{host}\"\n\n[[registry.mirror]]\nlocation = \"{mirror}\"\ninsecure = true\n",
	}
	s.Pinned = crioPinned(f, c)
	return s.Staging
}

// crioPinned is the sandbox image that the configured CRI-O will want.
func crioPinned(f *v1alpha1.Facts, c configured) []string {
	cfg := readCRIO(f)
	image := ""
	for _, name := range append([]string{cfg.main}, c.below(cfg.dir)...) {
		content, _, _ := c.content(name)
		if v := parseTree(content).str("crio", "image", "pause_image"); v != "" {
			image = v
		}
	}
	if v, ok := cfg.cmd.flag("pause-image"); ok {
		image = v
	}
	if image == "" && !cfg.ownSets("crio", "image", "pause_image") {
		image = cfg.builtIn("pause_image")
	}
	return pinned(image)
}
