package runtimes

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func containerdSettings(f *v1alpha1.Facts) (v1alpha1.Settings, []v1alpha1.Finding) {
	c := readContainerd(f)
	var notes []v1alpha1.Finding
	s := v1alpha1.Settings{
		CgroupDriver:     c.cgroupDriver(c.defaultRuntime()),
		SandboxImage:     c.str(ctdSandbox),
		StorageDriver:    c.str(ctdSnapshotter),
		Proxy:            proxies(f, containerdUnit),
		SearchRegistries: []string{"docker.io"},
		CNIConfDir:       cmp.Or(c.str(ctdCNI, "conf_dir"), defaultCNIConf),
		CNIBinDirs:       c.binDirs(),
	}
	if s.SandboxImage == "" && f.Runtime(v1alpha1.Containerd).CRI != nil {
		s.SandboxImage = f.Runtime(v1alpha1.Containerd).CRI.SandboxImage
	}
	if root := c.top("root"); root != "" && root != "/var/lib/containerd" {
		s.StoreRoot = root
	}
	if state := c.top("state"); state != "" && state != "/run/containerd" {
		s.StateRoot = state
	}
	if n, _ := c.effective(ctdDownloads).(int64); n > 0 && n != 3 {
		s.MaxConcurrentDownloads = int(n)
	}
	s.SELinux, _ = c.effective(ctdSELinux).(bool)
	s.OCIRuntimes, s.DefaultOCIRuntime = c.handlers()
	r := newRegistries()
	c.registries(f, r)
	s.Registries = r.sorted()
	notes = append(notes, r.findings...)
	return s, append(notes, c.untold()...)
}

// cgroupDriver of a handler.
func (c ctdConfig) cgroupDriver(handler string) string {
	if v, _ := c.effective(ctdRuntimes, handler, "options", "SystemdCgroup").(bool); v {
		return "systemd"
	}
	return "cgroupfs"
}

func (c ctdConfig) binDirs() []string {
	if dirs := stringsOf(c.effective(ctdCNI, "bin_dirs")); len(dirs) > 0 {
		return dirs
	}
	if dir := c.str(ctdCNI, "bin_dir"); dir != "" {
		return []string{dir}
	}
	return []string{defaultCNIBin}
}

// handlers returns those beside the usual ones, and the default one where it is none of them.
func (c ctdConfig) handlers() (out []v1alpha1.OCIRuntime, byDefault string) {
	t, _ := c.effective(ctdRuntimes).(map[string]any)
	for _, name := range (tree{"r": t}).keys("r") {
		h := tree(t).table(name)
		binary, kind := h.str("options", "BinaryName"), h.str("runtime_type")
		if usual(name) && (binary == "" || usual(path.Base(binary))) {
			continue
		}
		out = append(out, v1alpha1.OCIRuntime{Name: name, Path: binary, Type: kind})
	}
	if name := c.defaultRuntime(); name != "runc" {
		byDefault = name
	}
	return out, byDefault
}

// usual reports whether every node has a runtime of that name anyway.
func usual(name string) bool { return name == "runc" || name == "crun" }

// registries reads mirrors, plain HTTP and certificates.
func (c ctdConfig) registries(f *v1alpha1.Facts, r *registries) {
	for _, dir := range slices.Backward(c.registryDirs()) {
		d, _ := f.Dir(dir)
		for _, e := range d.Entries {
			host := hostOfDir(e)
			file := path.Join(dir, e, "hosts.toml")
			x, ok := follow(f, file)
			if !ok || x.Type != v1alpha1.Regular {
				entries := newConfigured(f, nil).list(path.Join(dir, e))
				if cas, clients := certsOf(entries); len(cas)+len(clients) > 0 {
					r.update(host, path.Join(dir, e), func(x *v1alpha1.Registry) { x.CAs, x.Clients = cas, clients })
				}
				continue
			}
			hostsFile(r, host, file, x)
		}
	}
	c.oldRegistries(r)
}

// hostOfDir undoes the spelling of a port in a directory's name: host_5000_ is host:5000.
func hostOfDir(name string) string {
	if rest, ok := strings.CutSuffix(name, "_"); ok {
		if i := strings.LastIndexByte(rest, '_'); i >= 0 {
			return rest[:i] + ":" + rest[i+1:]
		}
	}
	return name
}

// hostsFile reads one hosts.toml.
func hostsFile(r *registries, host, file string, x v1alpha1.File) {
	t := parseTree(x.Content)
	if host == "_default" {
		r.note(at(warning(NotCarried, "name the registries one by one", "the mirror for every registry (_default) has no equal in other runtimes"), file, 0))
		return
	}
	dir := path.Dir(file)
	r.byHost[host] = v1alpha1.Registry{Host: host, Source: file}
	if server := t.str("server"); server != "" {
		r.update(host, file, func(x *v1alpha1.Registry) {
			switch at := canonical(hostOf(server)); {
			case at != canonical(host):
				x.Location = at
			case strings.HasPrefix(server, "http://"):
				x.Insecure = true
			}
		})
	}
	for _, name := range hostOrder(x.Content, t.keys("host")) {
		h := t.table("host", name)
		m := v1alpha1.Mirror{URL: name, Insecure: strings.HasPrefix(name, "http://")}
		if skip, _ := h.boolean("skip_verify"); skip {
			m.Insecure = true
		}
		m.OverridePath, _ = h.boolean("override_path")
		for _, ca := range h.strs("ca") {
			m.CAs = append(m.CAs, absolute(path.Join(dir, "hosts.toml"), ca))
		}
		m.Clients = clientsOf(dir, h)
		if len(h.table("header")) > 0 {
			r.note(at(warning(NotCarried, "give the credential to the kubelet (config.json) or to the pods (imagePullSecrets)",
				"the HTTP headers that %s sends to %s have no equal in other runtimes", "hosts.toml", name), file, lineWith(x.Content, ".header")))
		}
		if canonical(hostOf(name)) == canonical(host) {
			r.update(host, file, func(x *v1alpha1.Registry) {
				x.Insecure = x.Insecure || m.Insecure
				x.CAs, x.Clients = append(x.CAs, m.CAs...), append(x.Clients, m.Clients...)
			})
			continue
		}
		if caps := h.strs("capabilities"); len(caps) > 0 && !slices.Contains(caps, "pull") {
			continue
		} else if len(caps) > 0 && !slices.Contains(caps, "resolve") {
			m.DigestOnly = true
		}
		r.update(host, file, func(x *v1alpha1.Registry) { x.Mirrors = append(x.Mirrors, m) })
	}
}

// hostOrder sorts hosts as they stand in the file: mirrors are asked in that order.
func hostOrder(content string, hosts []string) []string {
	out := slices.Clone(hosts)
	place := func(h string) int { return strings.Index(content, h) }
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(place(`"`+a+`"`), place(`"`+b+`"`)) })
	return out
}

// clientsOf reads client = "file", ["file"] or [["cert", "key"]].
func clientsOf(dir string, h tree) []v1alpha1.ClientCert {
	v, _ := h.get("client")
	list, ok := v.([]any)
	if !ok {
		if s, ok := v.(string); ok {
			list = []any{s}
		}
	}
	var out []v1alpha1.ClientCert
	for _, e := range list {
		pair := stringsOf(e)
		if len(pair) == 0 {
			continue
		}
		c := v1alpha1.ClientCert{Cert: absolute(dir+"/x", pair[0])}
		if len(pair) > 1 {
			c.Key = absolute(dir+"/x", pair[1])
		}
		out = append(out, c)
	}
	return out
}

// hostsCerts are the files that a hosts.toml in dir names.
func hostsCerts(dir string, t tree) []string {
	var out []string
	for _, name := range t.keys("host") {
		h := t.table("host", name)
		for _, ca := range h.strs("ca") {
			out = append(out, absolute(dir+"/x", ca))
		}
		for _, c := range clientsOf(dir, h) {
			out = append(out, c.Cert)
			if c.Key != "" {
				out = append(out, c.Key)
			}
		}
	}
	return out
}

// oldRegistries reads the tables that certs.d replaced.
func (c ctdConfig) oldRegistries(r *registries) {
	mirrors, _ := c.effective(ctdRegistry, "mirrors").(map[string]any)
	for _, host := range (tree{"m": mirrors}).keys("m") {
		if host == "*" {
			r.note(at(warning(NotCarried, "name the registries one by one", "the mirror for every registry (*) has no equal in other runtimes"), c.main, 0))
			continue
		}
		r.update(host, c.main, func(x *v1alpha1.Registry) {
			for _, endpoint := range tree(mirrors).strs(host, "endpoint") {
				insecure := strings.HasPrefix(endpoint, "http://")
				if canonical(hostOf(endpoint)) == canonical(host) {
					x.Insecure = x.Insecure || insecure
					continue
				}
				_, rest, _ := strings.Cut(strings.TrimPrefix(endpoint, "https://"), "/")
				x.Mirrors = append(x.Mirrors, v1alpha1.Mirror{URL: endpoint, Insecure: insecure, OverridePath: rest != "" && !insecure})
			}
		})
	}
	configs, _ := c.effective(ctdRegistry, "configs").(map[string]any)
	for _, host := range (tree{"c": configs}).keys("c") {
		h := tree(configs).table(host)
		if len(h.table("auth")) > 0 {
			r.note(at(warning(NotCarried, "give the credential to the kubelet (config.json) or to the pods (imagePullSecrets)",
				"the credential for %s in containerd's configuration has no equal in other runtimes", host), c.main, 0))
		}
		tls := h.table("tls")
		if tls == nil {
			continue
		}
		r.update(host, c.main, func(x *v1alpha1.Registry) {
			if skip, _ := tls.boolean("insecure_skip_verify"); skip {
				x.Insecure = true
			}
			if ca := tls.str("ca_file"); ca != "" {
				x.CAs = append(x.CAs, ca)
			}
			if cert := tls.str("cert_file"); cert != "" {
				x.Clients = append(x.Clients, v1alpha1.ClientCert{Cert: cert, Key: tls.str("key_file")})
			}
		})
	}
}

// untold are the operator's choices that Settings have no words for.
func (c ctdConfig) untold() []v1alpha1.Finding {
	var out []v1alpha1.Finding
	runtimes, _ := c.effective(ctdRuntimes).(map[string]any)
	handlers := map[string][]string{}
	for _, name := range (tree{"r": runtimes}).keys("r") {
		if spec := tree(runtimes).str(name, "base_runtime_spec"); spec != "" {
			handlers[spec] = append(handlers[spec], name)
		}
	}
	for _, spec := range slices.Sorted(maps.Keys(handlers)) {
		names := handlers[spec]
		x := warning(NotCarried, "look into it for mounts, hooks and limits that pods rely on",
			"the base spec %s (handlers: %s) has no equal in other runtimes", spec, strings.Join(names, ", "))
		if _, file := c.explicit(ctdRuntimes, names[0], "base_runtime_spec"); file != nil {
			x = at(x, file.path, lineWith(file.content, spec))
		}
		out = append(out, x)
	}
	for i := range c.files {
		file := &c.files[i]
		if address := cmp.Or(file.tree.str("metrics", "address"), file.tree.str("plugins", "io.containerd.server.v1.metrics", "address")); address != "" {
			out = append(out, at(warning(NotCarried, "point the monitoring at the new runtime's own metrics", "containerd's metrics on %s tell nothing of the pods any more", address), file.path, lineWith(file.content, address)))
		}
		for _, name := range file.tree.keys("stream_processors") {
			out = append(out, at(warning(NotCarried, "", "the stream processor %s (decryption of images) has no equal in other runtimes", name), file.path, lineWith(file.content, "stream_processors")))
		}
	}
	return out
}

// lineWith returns the first line that holds the text, from 1; 0 when none does.
func lineWith(content, want string) int {
	i := strings.Index(content, want)
	if i < 0 {
		return 0
	}
	return 1 + strings.Count(content[:i], "\n")
}
