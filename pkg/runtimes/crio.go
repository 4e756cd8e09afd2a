package runtimes

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

const (
	crioUnit       = "crio.service"
	crioMain       = "/etc/crio/crio.conf"
	crioDropIns    = "/etc/crio/crio.conf.d"
	crioOwn        = "99-kubectl-runtime.conf"
	crioSocket     = "/var/run/crio/crio.sock"
	registriesConf = "/etc/containers/registries.conf"
	registriesDir  = "/etc/containers/registries.conf.d"
	containerCerts = "/etc/containers/certs.d"
	policyFile     = "/etc/containers/policy.json"
)

// crio reads one file and then every file below a directory, whatever its name. Registries are told by the files of
// the containers libraries.
func crio() Description {
	return Description{
		Name:      v1alpha1.CRIO,
		Daemons:   []string{"crio"},
		Helpers:   []string{"conmon", "conmonrs", "pinns", "runc", "crun"},
		Monitors:  []string{"conmon", "conmonrs"},
		Units:     []string{crioUnit},
		Main:      crioUnit,
		Sockets:   []string{crioSocket},
		Store:     "/var/lib/containers/storage",
		listen:    crioListen,
		wants:     crioWants,
		settings:  crioSettings,
		configure: crioConfigure,
		staging:   crioStaging,
	}
}

// crioConfig is CRI-O's configuration as its files say it, later ones first overriding earlier ones.
type crioConfig struct {
	main, dir string
	files     []ctdFile
	cmd       argv
	version   string
	// printed is what "crio config" printed: values that are built in stand there as comments.
	printed string
}

func crioPaths(f *v1alpha1.Facts) (main, dir string, cmd argv) {
	cmd = command(f, v1alpha1.CRIO, "crio", crioUnit)
	main, dir = crioMain, crioDropIns
	if s, ok := cmd.flag("config", "c"); ok {
		main = s
	}
	if s, ok := cmd.flag("config-dir", "d"); ok {
		dir = s
	}
	return main, dir, cmd
}

func crioWants(f *v1alpha1.Facts, w *wants) {
	main, dir, _ := crioPaths(f)
	w.stat(path.Dir(main), dir)
	w.file(main)
	w.file(path.Join(dir, crioOwn))
	w.tree(dir, 3)
	w.stat("/etc/containers", registriesDir)
	w.file(registriesConf)
	w.file(path.Join(registriesDir, crioOwn))
	w.tree(registriesDir, 0)
	w.file(policyFile)
	w.file(readCRIO(f).policy())
	w.file("/etc/containers/storage.conf")
	w.file("/usr/share/containers/storage.conf")
	certWants(w, containerCerts)
	certWants(w, dockerCerts)
	w.command(v1alpha1.CRIO, f.Runtime(v1alpha1.CRIO).Binaries["crio"].Path, [][2]string{{"--config", main}, {"--config-dir", dir}}, "config")
}

// tree asks for all files below a directory. What is a directory itself is known only after it was looked at.
func (w *wants) tree(dir string, depth int) {
	for _, name := range w.dir(dir) {
		x, ok := w.f.File(name)
		switch {
		case !ok:
			add(&w.want.Files, name)
		case x.Type == v1alpha1.Directory && depth > 0:
			w.tree(name, depth-1)
		}
	}
}

func readCRIO(f *v1alpha1.Facts) crioConfig {
	c := crioConfig{version: f.Runtime(v1alpha1.CRIO).Binaries["crio"].Version, printed: f.Runtime(v1alpha1.CRIO).EffectiveConfig}
	c.main, c.dir, c.cmd = crioPaths(f)
	for _, name := range append([]string{c.main}, below(f, c.dir)...) {
		x, ok := follow(f, name)
		if !ok || x.Type != v1alpha1.Regular {
			continue
		}
		file := ctdFile{path: x.Path, content: x.Content}
		if parsed, err := edit.ParseTOML(x.Content); err != nil {
			file.err = err
		} else {
			file.tree = parsed.Tree()
		}
		c.files = append(c.files, file)
	}
	return c
}

// below returns the regular files below a directory in lexical order.
func below(f *v1alpha1.Facts, dir string) []string {
	d, _ := f.Dir(dir)
	var out []string
	for _, e := range d.Entries {
		name := path.Join(dir, e)
		if x, ok := f.File(name); ok && x.Type == v1alpha1.Directory {
			out = append(out, below(f, name)...)
			continue
		}
		out = append(out, name)
	}
	return out
}

// last returns the last file that sets a key, the file of ours left out when others is set.
func (c crioConfig) last(others bool, key ...string) (any, *ctdFile) {
	for i := len(c.files) - 1; i >= 0; i-- {
		if others && path.Base(c.files[i].path) == crioOwn {
			continue
		}
		if v, ok := c.files[i].tree.get(key...); ok {
			return v, &c.files[i]
		}
	}
	return nil, nil
}

func (c crioConfig) str(key ...string) string {
	v, _ := c.last(false, key...)
	s, _ := v.(string)
	return s
}

// effective returns a string that the files set, a flag sets, or that is built in.
func (c crioConfig) effective(flag string, key ...string) string {
	if flag != "" {
		if s, ok := c.cmd.flag(flag); ok {
			return s
		}
	}
	return cmp.Or(c.str(key...), c.builtIn(key[len(key)-1]))
}

// policy is the file that says which images are accepted.
func (c crioConfig) policy() string {
	if s, ok := c.cmd.flag("signature-policy"); ok {
		return s
	}
	return cmp.Or(c.str("crio", "image", "signature_policy"), policyFile)
}

// builtIn finds a value that "crio config" prints as a comment.
func (c crioConfig) builtIn(key string) string {
	for line := range strings.Lines(c.printed) {
		rest, ok := strings.CutPrefix(strings.TrimLeft(strings.TrimSpace(line), "# "), key)
		if !ok {
			continue
		}
		if rest, ok = strings.CutPrefix(strings.TrimSpace(rest), "="); ok {
			return strings.Trim(strings.TrimSpace(rest), `"`)
		}
	}
	return ""
}

func crioListen(f *v1alpha1.Facts) string {
	c := readCRIO(f)
	if s, ok := c.cmd.flag("listen"); ok {
		return s
	}
	return c.str("crio", "api", "listen")
}

func crioSettings(f *v1alpha1.Facts) (v1alpha1.Settings, []v1alpha1.Finding) {
	c := readCRIO(f)
	s := v1alpha1.Settings{
		CgroupDriver: cmp.Or(c.effective("cgroup-manager", "crio", "runtime", "cgroup_manager"), "systemd"),
		SandboxImage: c.effective("pause-image", "crio", "image", "pause_image"),
		Proxy:        proxies(f, crioUnit),
		StoreRoot:    c.str("crio", "root"),
		StateRoot:    c.str("crio", "runroot"),
		CNIConfDir:   cmp.Or(c.str("crio", "network", "network_dir"), defaultCNIConf),
	}
	if s.SandboxImage == "" && f.Runtime(v1alpha1.CRIO).CRI != nil {
		s.SandboxImage = f.Runtime(v1alpha1.CRIO).CRI.SandboxImage
	}
	dirs, _ := c.last(false, "crio", "network", "plugin_dirs")
	if s.CNIBinDirs = stringsOf(dirs); len(s.CNIBinDirs) == 0 {
		s.CNIBinDirs = []string{defaultCNIBin}
	}
	if n, _ := c.last(false, "crio", "runtime", "pids_limit"); n != nil {
		s.PidsLimit, _ = n.(int64)
	}
	if n, _ := c.last(false, "crio", "runtime", "log_size_max"); n != nil {
		s.LogMaxBytes, _ = n.(int64)
		s.LogMaxBytes = max(s.LogMaxBytes, 0)
	}
	s.SeccompProfile = c.str("crio", "runtime", "seccomp_profile")
	limits, _ := c.last(false, "crio", "runtime", "default_ulimits")
	s.Ulimits = ulimits(stringsOf(limits))
	if on, _ := c.last(false, "crio", "runtime", "selinux"); on != nil {
		s.SELinux, _ = on.(bool)
	}
	s.OCIRuntimes, s.DefaultOCIRuntime = c.handlers()
	r, search := crioRegistries(f)
	s.Registries, s.SearchRegistries = r.sorted(), search
	return s, append(r.findings, c.untold()...)
}

// handlers returns those beside the usual ones, and the default one where it is none of them.
func (c crioConfig) handlers() (out []v1alpha1.OCIRuntime, byDefault string) {
	seen := map[string]bool{}
	for _, file := range slices.Backward(c.files) {
		for _, name := range file.tree.keys("crio", "runtime", "runtimes") {
			if seen[name] {
				continue
			}
			seen[name] = true
			h := file.tree.table("crio", "runtime", "runtimes", name)
			binary, kind := h.str("runtime_path"), h.str("runtime_type")
			if usual(name) && (binary == "" || usual(path.Base(binary))) {
				continue
			}
			out = append(out, v1alpha1.OCIRuntime{Name: name, Path: binary, Type: cmp.Or(kind, "oci")})
		}
	}
	slices.SortFunc(out, func(a, b v1alpha1.OCIRuntime) int { return cmp.Compare(a.Name, b.Name) })
	if name := c.str("crio", "runtime", "default_runtime"); name != "" && !usual(name) {
		byDefault = name
	}
	return out, byDefault
}

// untold are the operator's choices that Settings have no words for.
func (c crioConfig) untold() []v1alpha1.Finding {
	var out []v1alpha1.Finding
	note := func(hint, format string, value any, file *ctdFile, key string) {
		out = append(out, at(warning(NotCarried, hint, format, value), file.path, lineWith(file.content, key)))
	}
	if v, file := c.last(true, "crio", "image", "signature_policy"); v != nil && v != "" && v != "/etc/crio/policy.json" && v != "/etc/containers/policy.json" {
		note("verify signatures by an admission policy", "the signature policy %v has no equal in other runtimes", v, file, "signature_policy")
	}
	if v, file := c.last(true, "crio", "image", "global_auth_file"); v != nil && v != "" {
		note("give the credentials to the kubelet (config.json) or to the pods (imagePullSecrets)", "the registry credentials in %v are CRI-O's own", v, file, "global_auth_file")
	}
	if v, file := c.last(true, "crio", "metrics", "enable_metrics"); v == true {
		note("point the monitoring at the new runtime's own metrics", "CRI-O's metrics go away with it (enable_metrics = %v)", v, file, "enable_metrics")
	}
	for _, key := range []string{"default_capabilities", "default_sysctls", "default_mounts_file", "hooks_dir", "default_env", "additional_devices"} {
		if v, file := c.last(true, "crio", "runtime", key); v != nil && len(stringsOf(v)) > 0 && stringsOf(v)[0] != "" {
			note("look for pods that rely on it", "CRI-O's "+key+" has no equal in other runtimes (%v)", strings.Join(stringsOf(v), ", "), file, key)
		}
	}
	return out
}

// ulimits reads name=soft:hard.
func ulimits(list []string) []v1alpha1.Ulimit {
	var out []v1alpha1.Ulimit
	for _, s := range list {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			continue
		}
		soft, hard, ok := strings.Cut(value, ":")
		if !ok {
			hard = soft
		}
		out = append(out, v1alpha1.Ulimit{Name: name, Soft: number(soft), Hard: number(hard)})
	}
	return out
}
