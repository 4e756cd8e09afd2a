package kubelet

import (
	"fmt"
	"path"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// config is the --config file and the drop-ins of --config-dir, weakest first.
type config struct {
	files    []configFile
	problems []string
}

type configFile struct {
	name string
	yaml *edit.YAML
}

// config reads the files that the flags name.
func (s source) config(flags []flag) (c config, file, dir string) {
	if f, ok := lastFlag(flags, "config"); ok {
		file = f.value
	}
	if f, ok := lastFlag(flags, "config-dir"); ok {
		dir = f.value
	}
	var names []string
	if file != "" {
		names = append(names, file)
	}
	if dir != "" {
		more, unknown := s.dropIns(dir, 0)
		for _, u := range unknown {
			c.problems = append(c.problems, fmt.Sprintf("%s couldn't be looked at", u))
		}
		names = append(names, more...)
	}
	for _, name := range names {
		if !path.IsAbs(name) {
			c.problems = append(c.problems, fmt.Sprintf("the configuration %s isn't an absolute path", name))
			continue
		}
		text, p := s.read(name)
		if p != present {
			c.problems = append(c.problems, fmt.Sprintf("the configuration %s couldn't be read", name))
			continue
		}
		y, err := edit.ParseYAML(text)
		if err != nil {
			c.problems = append(c.problems, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		c.files = append(c.files, configFile{name, y})
	}
	return c, file, dir
}

// get returns the strongest value of a field. An empty value of the weakest file is none: the default holds.
func (c config) get(key ...string) string {
	value := ""
	for _, f := range c.files {
		if text, _, ok := f.yaml.Get(key...); ok {
			value = text
		}
	}
	return value
}

// withScheme returns an endpoint with its scheme: the kubelet takes one without for a path of a unix socket.
func withScheme(endpoint string) string {
	if endpoint == "" || strings.Contains(endpoint, "://") {
		return endpoint
	}
	return "unix://" + endpoint
}

// socketOf returns the path of an endpoint's socket, /var/run told as /run.
func socketOf(endpoint string) string {
	p := strings.TrimPrefix(endpoint, "unix://")
	if p == "" || strings.Contains(p, "://") {
		return endpoint
	}
	p = path.Clean(p)
	if rest, ok := strings.CutPrefix(p, "/var/run/"); ok {
		return "/run/" + rest
	}
	return p
}

// SameSocket reports whether two endpoints lead to the same socket, however they are written.
func SameSocket(a, b string) bool { return a != "" && b != "" && socketOf(a) == socketOf(b) }
