package runtimes

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// registriesFiles are the files of the containers libraries in the order in which they count.
func registriesFiles(f *v1alpha1.Facts) []string {
	out := []string{registriesConf}
	for _, name := range below(f, registriesDir) {
		if strings.HasSuffix(name, ".conf") {
			out = append(out, name)
		}
	}
	return out
}

// crioRegistries reads registries and the search list. A later table of the same prefix replaces the earlier one.
func crioRegistries(f *v1alpha1.Facts) (*registries, []string) {
	r := newRegistries()
	var search []string
	for _, name := range registriesFiles(f) {
		x, ok := follow(f, name)
		if !ok || x.Type != v1alpha1.Regular {
			continue
		}
		t := parseTree(x.Content)
		if list := t.strs("unqualified-search-registries"); list != nil {
			search = list
		}
		if list := t.strs("registries", "search", "registries"); list != nil {
			search = list
		}
		for _, host := range t.strs("registries", "insecure", "registries") {
			r.update(host, name, func(x *v1alpha1.Registry) { x.Insecure = true })
		}
		for _, e := range t.tables("registry") {
			registryTable(r, e, name)
		}
	}
	for _, root := range []string{dockerCerts, containerCerts} {
		certTree(f, root, r)
	}
	return r, search
}

func registryTable(r *registries, e tree, file string) {
	location := e.str("location")
	host := cmp.Or(e.str("prefix"), location)
	x := v1alpha1.Registry{Host: host, Source: file}
	if location != "" && canonical(location) != host {
		x.Location = location
	}
	x.Insecure, _ = e.boolean("insecure")
	x.Blocked, _ = e.boolean("blocked")
	for _, m := range e.tables("mirror") {
		insecure, _ := m.boolean("insecure")
		mirror := locationMirror(m.str("location"), insecure)
		only := m.str("pull-from-mirror")
		if by, _ := e.boolean("mirror-by-digest-only"); by {
			only = "digest-only"
		}
		mirror.DigestOnly, mirror.TagOnly = only == "digest-only", only == "tag-only"
		x.Mirrors = append(x.Mirrors, mirror)
	}
	r.byHost[host] = x
}

// crioRegistries writes what the files say nothing of: one file of ours with a table a registry.
func (c *changes) crioRegistries(f *v1alpha1.Facts, s v1alpha1.Settings) {
	name := path.Join(registriesDir, crioOwn)
	others, search := foreignRegistries(f, name)
	var t tomlText
	t.comment("Written by kubectl runtime: as the runtime that CRI-O replaced fetched images.")
	wrote := false
	var repaired []v1alpha1.Finding
	if len(search) == 0 && len(s.SearchRegistries) > 0 {
		repaired = append(repaired, fixable(Registries, "CRI-O would refuse image names without a registry; it gets %s to complete them", strings.Join(s.SearchRegistries, ", ")))
		t.set("unqualified-search-registries", s.SearchRegistries)
		wrote = true
	}
	for _, x := range s.Registries {
		if has, ok := others.byHost[x.Host]; ok && (says(has) || has.Source != "") && tableOf(has) {
			noteConflict(c, x, has, "CRI-O")
			continue
		}
		if x.Insecure || x.Blocked || x.Location != "" || len(x.Mirrors) > 0 {
			c.registryEntry(&t, x)
			repaired = append(repaired, at(fixable(Registries, "the configuration of registry %s is written for CRI-O", x.Host), x.Source, 0))
			wrote = true
		}
		c.crioCerts(others, x)
	}
	if !wrote {
		c.remove(name, "no longer needed")
		return
	}
	if c.own(name, "registries", text(t.String())) {
		c.note(repaired...)
	}
}

// tableOf reports whether a registry was read from a table and not only from a directory of certificates.
func tableOf(x v1alpha1.Registry) bool { return strings.HasSuffix(x.Source, ".conf") }

// foreignRegistries reads all files but the one of ours.
func foreignRegistries(f *v1alpha1.Facts, own string) (*registries, []string) {
	without := *f
	without.Files = slices.DeleteFunc(slices.Clone(f.Files), func(x v1alpha1.File) bool { return x.Path == own })
	return crioRegistries(&without)
}

func (c *changes) registryEntry(t *tomlText, x v1alpha1.Registry) {
	t.element("registry")
	t.set("prefix", x.Host)
	t.set("location", cmp.Or(x.Location, x.Host))
	if x.Insecure {
		t.set("insecure", true)
	}
	if x.Blocked {
		t.set("blocked", true)
	}
	for _, m := range x.Mirrors {
		location, ok := mirrorLocation(m)
		if !ok {
			c.note(at(warning(NotCarried, "give the mirror an address without a path", "the mirror %s of %s can't be said for CRI-O: its API isn't at the host's root", m.URL, x.Host), x.Source, 0))
			continue
		}
		t.element("registry", "mirror")
		t.set("location", location)
		if m.Insecure {
			t.set("insecure", true)
		}
		switch {
		case m.DigestOnly:
			t.set("pull-from-mirror", "digest-only")
		case m.TagOnly:
			t.set("pull-from-mirror", "tag-only")
		}
	}
}

// crioCerts copies certificates that CRI-O would not find: it reads Docker's directories too.
func (c *changes) crioCerts(others *registries, x v1alpha1.Registry) {
	if has := others.byHost[x.Host]; len(has.CAs)+len(has.Clients) > 0 {
		return
	}
	elsewhere := v1alpha1.Registry{Host: x.Host, Source: x.Source, CAs: x.CAs, Clients: x.Clients}
	for _, m := range x.Mirrors {
		if has := others.byHost[hostOf(m.URL)]; len(has.CAs)+len(has.Clients) == 0 {
			elsewhere.Mirrors = append(elsewhere.Mirrors, m)
		}
	}
	c.certFiles(containerCerts, elsewhere)
}
