package runtimes

import (
	"cmp"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// registries collects what is said of registry hosts in several files.
type registries struct {
	byHost   map[string]v1alpha1.Registry
	findings []v1alpha1.Finding
}

func newRegistries() *registries { return &registries{byHost: map[string]v1alpha1.Registry{}} }

func (r *registries) update(host, source string, change func(*v1alpha1.Registry)) {
	x := r.byHost[host]
	x.Host = host
	if x.Source == "" {
		x.Source = source
	}
	change(&x)
	r.byHost[host] = x
}

func (r *registries) note(x v1alpha1.Finding) { r.findings = append(r.findings, x) }

func (r *registries) sorted() []v1alpha1.Registry {
	out := make([]v1alpha1.Registry, 0, len(r.byHost))
	for _, x := range r.byHost {
		if says(x) {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b v1alpha1.Registry) int { return cmp.Compare(a.Host, b.Host) })
	return out
}

// says reports whether there is anything to carry.
func says(x v1alpha1.Registry) bool {
	return x.Insecure || x.Blocked || x.Location != "" || len(x.CAs)+len(x.Clients)+len(x.Mirrors) > 0
}

// sameRegistry reports whether two runtimes fetch from a host in the same way, as far as an operator would notice.
func sameRegistry(a, b v1alpha1.Registry) bool {
	if a.Insecure != b.Insecure || a.Blocked != b.Blocked || a.Location != b.Location || len(a.Mirrors) != len(b.Mirrors) {
		return false
	}
	for i := range a.Mirrors {
		if hostOf(a.Mirrors[i].URL) != hostOf(b.Mirrors[i].URL) || a.Mirrors[i].Insecure != b.Mirrors[i].Insecure {
			return false
		}
	}
	return true
}

// hostOf returns the host and port of a URL or of a bare host with a path.
func hostOf(s string) string {
	if _, rest, ok := strings.Cut(s, "://"); ok {
		s = rest
	}
	s, _, _ = strings.Cut(s, "/")
	return s
}

// canonical are the names under which a registry host is really asked.
func canonical(host string) string {
	switch host {
	case "registry-1.docker.io", "index.docker.io":
		return "docker.io"
	}
	return host
}

// mirrorLocation says a mirror as CRI-O does: a host with a path below the API's root. ok is false for a mirror whose
// API isn't at the host's root.
func mirrorLocation(m v1alpha1.Mirror) (location string, ok bool) {
	u, err := url.Parse(m.URL)
	if err != nil || u.Host == "" {
		return "", false
	}
	p := strings.Trim(u.Path, "/")
	if !m.OverridePath {
		// Runtimes that append /v2 themselves to a path ask an API that isn't at the root.
		if p == "" || p == "v2" {
			return u.Host, true
		}
		return "", false
	}
	if p == "v2" || p == "" {
		return u.Host, true
	}
	rest, ok := strings.CutPrefix(p, "v2/")
	return path.Join(u.Host, rest), ok
}

// locationMirror is the reverse: the mirror of a CRI-O location.
func locationMirror(location string, insecure bool) v1alpha1.Mirror {
	scheme := "https"
	host, rest, _ := strings.Cut(location, "/")
	m := v1alpha1.Mirror{Insecure: insecure}
	m.URL = scheme + "://" + host
	if rest != "" {
		m.URL += "/v2/" + rest
		m.OverridePath = true
	}
	return m
}

// isCIDR reports whether an entry of Docker's insecure-registries is a network instead of a host.
func isCIDR(s string) bool {
	_, err := netip.ParsePrefix(s)
	return err == nil
}

// certsOf reads a directory of certificates in Docker's layout (certs.d/host): *.crt are trusted, *.cert and *.key
// belong together.
func certsOf(entries []string) (cas []string, clients []v1alpha1.ClientCert) {
	for _, e := range entries {
		switch path.Ext(e) {
		case ".crt":
			cas = append(cas, e)
		case ".cert":
			key := strings.TrimSuffix(e, ".cert") + ".key"
			if slices.Contains(entries, key) {
				clients = append(clients, v1alpha1.ClientCert{Cert: e, Key: key})
			}
		}
	}
	return cas, clients
}

// certWants asks for the tree of certs.d directories in Docker's layout.
func certWants(w *wants, root string) {
	w.stat(root)
	for _, dir := range w.dir(root) {
		for _, e := range w.dir(dir) {
			switch path.Ext(e) {
			case ".crt", ".cert", ".key":
				w.stat(e)
			}
		}
	}
}

// certTree reads certs.d directories in Docker's layout.
func certTree(f *v1alpha1.Facts, root string, r *registries) {
	d, _ := f.Dir(root)
	for _, host := range d.Entries {
		dir := path.Join(root, host)
		cas, clients := certsOf(newConfigured(f, nil).list(dir))
		if len(cas)+len(clients) == 0 {
			continue
		}
		r.update(host, dir, func(x *v1alpha1.Registry) {
			x.CAs = append(x.CAs, cas...)
			x.Clients = append(x.Clients, clients...)
		})
	}
}

// certFiles writes certificates of a registry below root in Docker's layout, which containerd, CRI-O and Docker all
// read.
func (c *changes) certFiles(root string, x v1alpha1.Registry) {
	dir := path.Join(root, x.Host)
	put := func(name, from string) {
		src, ok := follow(c.f, from)
		if !ok || src.Type != v1alpha1.Regular {
			c.note(at(warning(NotCarried, "copy it by hand", "a certificate of registry %s can't be read", x.Host), from, 0))
			return
		}
		c.own(path.Join(dir, name), "certificate of "+x.Host, []v1alpha1.Segment{{From: src.Path, End: int(src.Size)}})
	}
	cas, clients := x.CAs, x.Clients
	for _, m := range x.Mirrors {
		if host := hostOf(m.URL); len(m.CAs)+len(m.Clients) > 0 && host != x.Host {
			c.certFiles(root, v1alpha1.Registry{Host: host, CAs: m.CAs, Clients: m.Clients})
		}
	}
	for i, ca := range cas {
		put(numbered("kubectl-runtime", i)+".crt", ca)
	}
	for i, p := range clients {
		put(numbered("kubectl-runtime", i)+".cert", p.Cert)
		if p.Key != "" {
			put(numbered("kubectl-runtime", i)+".key", p.Key)
		}
	}
}

func numbered(name string, i int) string {
	if i == 0 {
		return name
	}
	return name + "-" + string(rune('1'+i))
}

// carriedCerts reports whether all that is said of a host are certificates that certFiles wrote.
func carriedCerts(x v1alpha1.Registry) bool {
	if x.Insecure || x.Blocked || x.Location != "" || len(x.Mirrors)+len(x.Clients) > 0 {
		return false
	}
	return !slices.ContainsFunc(x.CAs, func(name string) bool { return !strings.HasPrefix(path.Base(name), "kubectl-runtime") })
}

// mirrors reports whether the host mirrors another one.
func (r *registries) mirrors(host string) bool {
	for _, x := range r.byHost {
		if slices.ContainsFunc(x.Mirrors, func(m v1alpha1.Mirror) bool { return hostOf(m.URL) == host }) {
			return true
		}
	}
	return false
}
