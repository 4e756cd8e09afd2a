package runtimes

import (
	"cmp"
	"path"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// matchRegistries writes certs.d directories for hosts that containerd knows nothing of.
func (e *ctdEdit) matchRegistries(c *changes, f *v1alpha1.Facts, s v1alpha1.Settings) {
	mine := newRegistries()
	e.registries(f, mine)
	var missing []v1alpha1.Registry
	for _, x := range s.Registries {
		if has, ok := mine.byHost[x.Host]; ok {
			noteConflict(c, x, has, "containerd")
			continue
		}
		if carriedCerts(x) && mine.mirrors(x.Host) {
			// An earlier run brought them out of these very mirrors.
			continue
		}
		missing = append(missing, x)
	}
	if len(missing) == 0 {
		return
	}
	old, _ := e.explicit(ctdRegistry, "mirrors")
	if table, _ := old.(map[string]any); len(table) > 0 || !certsKnown(e.version) {
		// The old tables exclude certs.d, which 1.4 doesn't know anyway.
		for _, x := range missing {
			e.oldTables(c, x)
		}
		return
	}
	dir := containerdCerts
	if dirs := e.registryDirs(); len(dirs) > 0 {
		dir = dirs[0]
	} else {
		e.set("registries have directories of their own", ctdRegistry, dir, "config_path")
	}
	for _, x := range missing {
		c.hostsDir(dir, x)
	}
}

// oldTables writes a registry into the tables that certs.d replaced.
func (e *ctdEdit) oldTables(c *changes, x v1alpha1.Registry) {
	if x.Blocked || x.Location != "" || strings.ContainsAny(x.Host, "/*") {
		c.note(at(warning(NotCarried, "", "registry %s is blocked or fetched from elsewhere, which can't be said for containerd", x.Host), x.Source, 0))
		return
	}
	why := "registry " + x.Host
	var endpoints []string
	for _, m := range x.Mirrors {
		endpoints = append(endpoints, m.URL)
		e.oldTLS(why, hostOf(m.URL), m.Insecure && strings.HasPrefix(m.URL, "https://"), m.CAs, m.Clients)
	}
	if x.Insecure {
		endpoints = append(endpoints, "https://"+x.Host, "http://"+x.Host)
	}
	if len(endpoints) > 0 {
		e.set(why, ctdRegistry, endpoints, "mirrors", x.Host, "endpoint")
	}
	e.oldTLS(why, x.Host, x.Insecure, x.CAs, x.Clients)
	c.note(at(fixable(Registries, "the configuration of registry %s is written for containerd", x.Host), x.Source, 0))
}

func (e *ctdEdit) oldTLS(why, host string, insecure bool, cas []string, clients []v1alpha1.ClientCert) {
	if insecure {
		e.set(why, ctdRegistry, true, "configs", host, "tls", "insecure_skip_verify")
	}
	if len(cas) > 0 {
		e.set(why, ctdRegistry, cas[0], "configs", host, "tls", "ca_file")
	}
	if len(clients) > 0 {
		e.set(why, ctdRegistry, clients[0].Cert, "configs", host, "tls", "cert_file")
		e.set(why, ctdRegistry, clients[0].Key, "configs", host, "tls", "key_file")
	}
}

// hostsDir writes certs.d/host/hosts.toml.
func (c *changes) hostsDir(dir string, x v1alpha1.Registry) {
	switch {
	case x.Blocked:
		c.note(at(warning(NotCarried, "refuse it by an admission policy", "containerd can't block registry %s", x.Host), x.Source, 0))
		return
	case strings.Contains(x.Host, "/") || strings.HasPrefix(x.Host, "*"):
		c.note(at(warning(NotCarried, "configure the whole host", "containerd configures whole registry hosts: %s can't be carried", x.Host), x.Source, 0))
		return
	}
	var t tomlText
	t.comment("Written by kubectl runtime: as the runtime that containerd replaced fetched from " + x.Host + ".")
	server := cmp.Or(x.Location, map[bool]string{true: "registry-1.docker.io"}[x.Host == "docker.io"], x.Host)
	if strings.Contains(server, "/") {
		c.note(at(warning(NotCarried, "write its hosts.toml by hand", "registry %s is fetched from %s, which can't be said for containerd", x.Host, server), x.Source, 0))
		return
	}
	t.set("server", "https://"+server)
	host := func(url string, m v1alpha1.Mirror, caps []string) {
		t.header("host", url)
		t.set("capabilities", caps)
		if m.Insecure && strings.HasPrefix(url, "https://") {
			t.set("skip_verify", true)
		}
		if m.OverridePath {
			t.set("override_path", true)
		}
		if len(m.CAs) > 0 {
			t.set("ca", m.CAs)
		}
		for _, p := range m.Clients {
			// A pair of files: an array in an array.
			quoted, _ := edit.TOMLQuote([]string{p.Cert, p.Key})
			t.b.WriteString("client = [" + quoted + "]\n")
		}
	}
	for _, m := range x.Mirrors {
		caps := []string{"pull", "resolve"}
		if m.DigestOnly {
			caps = caps[:1]
		}
		host(m.URL, m, caps)
		if m.Insecure && strings.HasPrefix(m.URL, "https://") {
			host("http://"+strings.TrimPrefix(m.URL, "https://"), m, caps)
		}
	}
	if x.Insecure || len(x.CAs)+len(x.Clients) > 0 {
		self := v1alpha1.Mirror{Insecure: x.Insecure, CAs: x.CAs, Clients: x.Clients}
		host("https://"+server, self, []string{"pull", "resolve"})
		if x.Insecure {
			host("http://"+server, v1alpha1.Mirror{}, []string{"pull", "resolve"})
		}
	}
	c.own(path.Join(dir, x.Host, "hosts.toml"), "registry "+x.Host, text(t.String()))
	c.note(at(fixable(Registries, "the configuration of registry %s is written for containerd", x.Host), x.Source, 0))
}
