package kubelet

import (
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// places lists every place that names an endpoint. The kubelet's come first, weakest first.
func (s source) places(v View, flags []flag, c command, cfg config) []Place {
	var out []Place
	winner := map[string]int{}
	add := func(p Place, effective bool) {
		out = append(out, p)
		if effective {
			winner[p.Key] = len(out) - 1
		}
	}
	for _, field := range []string{fieldEndpoint, fieldImage} {
		for _, f := range cfg.files {
			if text, line, ok := f.yaml.Get(field); ok && text != "" {
				add(Place{File: f.name, Line: line, Key: field, Value: text, Reader: ReaderKubelet}, v.Minor >= 27)
			}
		}
	}
	for _, name := range []string{flagEndpoint, flagImage} {
		for _, d := range c.defs {
			for _, f := range edit.Flags(textsOf(d.words)) {
				if d.hidden && f.Name == name {
					add(Place{File: d.file, Line: lineOf(d, name), Key: "--" + name, Variable: d.variable, Value: f.Value, Reader: ReaderKubelet}, false)
				}
			}
		}
		found := false
		for _, f := range c.flags() {
			if f.name == name {
				found = true
				add(Place{File: f.file, Line: f.line, Key: "--" + name, Variable: f.variable, Value: f.value, Reader: ReaderKubelet}, true)
			}
		}
		if f, ok := lastFlag(flags, name); ok && !found {
			add(Place{Key: "--" + name, Value: f.value, Reader: ReaderKubelet}, true)
		}
	}
	// A flag beats every field.
	for flag, field := range map[string]string{"--" + flagEndpoint: fieldEndpoint, "--" + flagImage: fieldImage} {
		if i, ok := winner[flag]; ok && out[i].Value != "" {
			delete(winner, field)
		}
	}
	for _, i := range winner {
		out[i].Wins = true
	}
	if v.Installer.UsesKubeadm() {
		if value, line := s.unreadFlag(c); value != "" {
			out = append(out, Place{File: kubeadmFlags, Line: line, Key: "--" + flagEndpoint, Variable: "KUBELET_KUBEADM_ARGS", Value: value, Reader: ReaderKubeadm})
		}
	}
	if text, p := s.read(instanceConfig); p == present && v.Installer.UsesKubeadm() {
		if y, err := edit.ParseYAML(text); err == nil {
			for _, field := range []string{fieldEndpoint, fieldImage} {
				if value, line, ok := y.Get(field); ok && value != "" {
					out = append(out, Place{File: instanceConfig, Line: line, Key: field, Value: value, Reader: ReaderKubeadm})
				}
			}
		}
	}
	if text, p := s.read(crictlConfig); p == present {
		if y, err := edit.ParseYAML(text); err == nil {
			for _, field := range []string{crictlEndpoint, crictlImage} {
				if value, line, ok := y.Get(field); ok && value != "" {
					out = append(out, Place{File: crictlConfig, Line: line, Key: field, Value: value, Reader: ReaderCrictl})
				}
			}
		}
	}
	return out
}

// The keys of /etc/crictl.yaml.
const (
	crictlEndpoint = "runtime-endpoint"
	crictlImage    = "image-endpoint"
)

func textsOf(words []edit.Word) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w.Text
	}
	return out
}

// lineOf returns the line of the last flag of that name in a definition.
func lineOf(d definition, name string) int {
	line := 0
	for _, w := range d.words {
		if w.Text == "--"+name || len(w.Text) > len(name)+2 && w.Text[:len(name)+3] == "--"+name+"=" {
			line = w.Line
		}
	}
	return line
}
