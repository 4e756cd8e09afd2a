package runtimes

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// isProxy reports whether a variable tells programs a proxy.
func isProxy(name string) bool {
	switch strings.ToUpper(name) {
	case "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY":
		return true
	}
	return false
}

// proxies reads the proxy variables of a unit.
func proxies(f *v1alpha1.Facts, unit string) []v1alpha1.Variable {
	byName := map[string]v1alpha1.Variable{}
	for _, v := range variables(f, unit) {
		if !isProxy(v.name) {
			continue
		}
		if v.value == "" {
			delete(byName, v.name)
			continue
		}
		byName[v.name] = v1alpha1.Variable{Name: v.name, Text: v.value, Content: spanOf(f, v), Source: v.file}
	}
	out := make([]v1alpha1.Variable, 0, len(byName))
	for _, v := range byName {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b v1alpha1.Variable) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// spanOf tells a variable's value in spans of its file where it holds a secret, else as text. Nothing when the value
// doesn't stand in the file as it is read.
func spanOf(f *v1alpha1.Facts, v variable) []v1alpha1.Segment {
	value := v.value
	if v.fromUnit {
		value = strings.ReplaceAll(value, "%%", "%")
	}
	x, ok := f.File(v.file)
	if !ok || len(x.Masked) == 0 {
		return text(value)
	}
	from := 0
	for range v.line - 1 {
		from += strings.IndexByte(x.Content[from:], '\n') + 1
	}
	i := strings.Index(x.Content[from:], v.name+"=")
	if i < 0 {
		return nil
	}
	start := from + i + len(v.name) + 1
	start += len(x.Content[start:]) - len(strings.TrimLeft(x.Content[start:], `"'`))
	end := start + len(v.value)
	if end > len(x.Content) || x.Content[start:end] != v.value {
		return nil
	}
	if !masked(x, start, end) {
		return text(value)
	}
	return []v1alpha1.Segment{{From: x.Path, Start: start, End: end}}
}

// masked reports whether a secret touches the span.
func masked(x v1alpha1.File, start, end int) bool {
	for _, m := range x.Masked {
		if m.Start < end && start < m.End {
			return true
		}
	}
	return false
}

// proxyDropIn tells a unit the proxies of the settings, unless it has its own.
func (c *changes) proxyDropIn(unit string, s v1alpha1.Settings) {
	if len(s.Proxy) == 0 {
		return
	}
	if has := proxies(c.f, unit); len(has) > 0 && has[0].Source != path.Join(DropInDir(unit), OwnDropIn) {
		for _, v := range has {
			i := slices.IndexFunc(s.Proxy, func(o v1alpha1.Variable) bool { return strings.EqualFold(o.Name, v.Name) })
			if i >= 0 && s.Proxy[i].Text != v.Text {
				c.note(at(warning(Conflict, "", "%s keeps its own %s, which differs from that of the runtime it replaces", unit, v.Name), v.Source, 0))
			}
		}
		return
	}
	content := text("# Written by kubectl runtime: the proxies of the runtime that " + unit + " replaces.\n[Service]\n")
	for _, v := range s.Proxy {
		if v.Content == nil {
			c.note(at(warning(NotCarried, "add it to a drop-in of "+unit, "%s can't be carried to %s: its value is written in a way that can't be copied", v.Name, unit), v.Source, 0))
			continue
		}
		content = append(content, v1alpha1.Segment{Text: `Environment="` + v.Name + "="})
		for _, piece := range v.Content {
			piece.Text = strings.ReplaceAll(piece.Text, "%", "%%")
			content = append(content, piece)
		}
		content = append(content, v1alpha1.Segment{Text: "\"\n"})
	}
	c.own(path.Join(DropInDir(unit), OwnDropIn), "proxies for "+unit, joined(content))
	c.note(fixable(Proxies, "the proxies of the runtime that is left are written for %s", unit))
}

// proxyEnv is the path of a staging instance's environment file.
const proxyEnv = "proxy.env"

// proxyFile is the environment file of a staging instance: what the unit has or will have.
func proxyFile(f *v1alpha1.Facts, c configured, unit string) (v1alpha1.StagedFile, bool) {
	content := []v1alpha1.Segment{}
	if own, ok := c.files[path.Join(DropInDir(unit), OwnDropIn)]; ok && own.Type == v1alpha1.Regular {
		// The lines of the drop-in are Environment="NAME=value".
		for _, s := range own.Content {
			s.Text = strings.ReplaceAll(afterHeader(s.Text), `Environment="`, "")
			s.Text = strings.ReplaceAll(strings.ReplaceAll(s.Text, "\"\n", "\n"), "%%", "%")
			if s.From != "" || s.Text != "" {
				content = append(content, s)
			}
		}
	} else {
		for _, v := range proxies(f, unit) {
			if v.Content == nil {
				continue
			}
			content = append(content, v1alpha1.Segment{Text: v.Name + "="})
			content = append(content, v.Content...)
			content = append(content, v1alpha1.Segment{Text: "\n"})
		}
	}
	if len(content) == 0 {
		return v1alpha1.StagedFile{}, false
	}
	return v1alpha1.StagedFile{Path: proxyEnv, Content: joined(content)}, true
}

func afterHeader(s string) string {
	if _, rest, ok := strings.Cut(s, "[Service]\n"); ok {
		return rest
	}
	return s
}

// joined merges neighbouring texts.
func joined(in []v1alpha1.Segment) []v1alpha1.Segment {
	var out []v1alpha1.Segment
	for _, s := range in {
		if n := len(out); n > 0 && s.From == "" && out[n-1].From == "" {
			out[n-1].Text += s.Text
			continue
		}
		out = append(out, s)
	}
	return out
}
