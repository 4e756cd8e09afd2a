package workload

import (
	"path"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

// naming is a path that a text mentions.
type naming struct {
	path string
	line int // from 1
	// text is its line, and the one before it.
	text, before string
}

// handsOn reports whether the path stands in the template of a pod: it is given as a path of the node.
func (n naming) handsOn() bool {
	return nodePath(n.text) || nodePath(n.before) && strings.Contains(n.text, "path")
}

func nodePath(line string) bool {
	line = strings.ToLower(line)
	return strings.Contains(line, "host_path") || strings.Contains(line, "hostpath") || strings.Contains(line, "host-path")
}

// marks returns the ends, or the middle, of paths that are worth looking for in texts.
func marks() []string {
	return []string{"docker.sock", "dockershim.sock", "cri-dockerd.sock", "containerd.sock", "crio.sock", "/lib/docker", "/etc/docker"}
}

// pathsIn returns the paths of a text that contain one of marks. Comments of configuration files and scripts don't count.
func pathsIn(text string) []naming {
	if !mentions(text) {
		return nil
	}
	var out []naming
	line := 0
	one, before := "", ""
	for rest := text; rest != ""; {
		before = one
		one, rest, _ = strings.Cut(rest, "\n")
		line++
		if !mentions(one) || leavesOut(one) {
			continue
		}
		for _, p := range pathsOf(shell.Uncomment(one)) {
			out = append(out, naming{p, line, one, before})
		}
	}
	return out
}

func mentions(text string) bool {
	for _, m := range marks() {
		if strings.Contains(text, m) {
			return true
		}
	}
	return false
}

// leavesOut reports whether a line tells a program what not to look at, such as the mount points that an exporter of
// metrics passes over.
func leavesOut(line string) bool {
	line = strings.ToLower(line)
	return strings.Contains(line, "exclude") || strings.Contains(line, "ignore")
}

// pathsOf returns the absolute paths of a line that contain one of marks.
func pathsOf(line string) []string {
	var out []string
	for i := 0; i < len(line); {
		if !pathByte(line[i]) {
			i++
			continue
		}
		end := i
		for end < len(line) && pathByte(line[end]) {
			end++
		}
		if p, ok := absolute(line[i:end]); ok {
			out = append(out, p)
		}
		i = end
	}
	return out
}

// absolute returns the path from its first slash on, if it names something that is looked for.
func absolute(word string) (string, bool) {
	i := strings.IndexByte(word, '/')
	if i < 0 {
		return "", false
	}
	p := path.Clean("/" + strings.TrimLeft(word[i:], "/"))
	base := path.Base(p)
	for _, m := range marks() {
		if m[0] != '/' && base == m {
			return p, true
		}
		if m[0] == '/' {
			if j := strings.Index(p, m); j >= 0 && (j+len(m) == len(p) || p[j+len(m)] == '/') {
				return p, true
			}
		}
	}
	return "", false
}

func pathByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte("/._-*@+", b) >= 0
}
