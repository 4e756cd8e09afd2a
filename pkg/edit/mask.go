package edit

import (
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Mask replaces every byte of a secret in the content of path by v1alpha1.MaskByte and returns the spans it masked.
// Offsets, lines and structure stay: a masked file parses like the true one. (A YAML scalar without quotes can't start
// with an asterisk; its first byte becomes an x.) The path tells the format: a configuration that was printed and not
// read gets a name like "containerd.toml".
//
// Secrets are passwords in URLs, the values of keys, variables and flags with telling names, HTTP headers, and private
// keys. What planning needs (endpoints, paths, addresses) stays. Masking a masked content changes nothing.
func Mask(path, content string) (masked string, spans []v1alpha1.Span) {
	format := formatOf(path)
	text := content
	var all []v1alpha1.Span
	// What one pass masks may uncover what another reads differently; a few passes come to rest.
	for range 8 {
		m := masker{content: text, out: []byte(text)}
		m.scan(format)
		m.structure(format)
		all = append(all, m.spans...)
		next := string(m.out)
		if next == text {
			break
		}
		text = next
	}
	return text, union(all)
}

// MaskArgs masks a command line word by word.
func MaskArgs(args []string) []string {
	out := make([]string, len(args))
	secret := false
	for i, a := range args {
		name, _, has, isFlag := cutFlag(a)
		switch {
		case secret && !strings.HasPrefix(a, "-"):
			out[i] = strings.Repeat(string(rune(v1alpha1.MaskByte)), len(a))
		case isFlag && has && secretFlag(name):
			eq := strings.IndexByte(a, '=') + 1
			out[i] = a[:eq] + hide(a[eq:])
		default:
			out[i], _ = Mask("", a)
		}
		secret = isFlag && !has && secretFlag(name)
	}
	return out
}

// MaskEnviron masks the value of one NAME=value word of an environment.
func MaskEnviron(word string) string {
	name, value, ok := strings.Cut(word, "=")
	if ok && secretName(name) {
		return name + "=" + hide(value)
	}
	masked, _ := Mask("", word)
	return masked
}

func hide(s string) string {
	if harmless(s) {
		return s
	}
	return strings.Repeat(string(rune(v1alpha1.MaskByte)), len(s))
}

// format is the syntax of a file.
type format int

const (
	formatText format = iota
	formatTOML
	formatYAML
	formatJSON
	formatEnv
	formatUnit
)

func formatOf(p string) format {
	under := func(dirs ...string) bool {
		return slices.ContainsFunc(dirs, func(d string) bool { return strings.HasPrefix(p, d) })
	}
	switch path.Ext(p) {
	case ".json":
		return formatJSON
	case ".yaml", ".yml":
		return formatYAML
	case ".toml":
		return formatTOML
	case ".env":
		return formatEnv
	case ".service", ".socket", ".timer", ".target", ".mount", ".slice":
		return formatUnit
	}
	switch {
	case strings.Contains(p, "/systemd/"):
		return formatUnit
	case under("/etc/crio/", "/etc/containerd/", "/etc/containers/", "/usr/share/containers/"):
		return formatTOML
	case under("/etc/kubernetes/"):
		return formatYAML
	case under("/etc/default/", "/etc/sysconfig/") || p == "/etc/environment":
		return formatEnv
	}
	return formatText
}

// SecretName reports whether a key, a variable or a header of that name holds a secret, as Mask has it.
func SecretName(name string) bool { return secretName(name) }

// secretName reports whether a key or variable of that name holds a secret. Names of files, directories and the like
// say where a secret is, which is none.
func secretName(name string) bool {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		name = name[i+1:]
	}
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'A' && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			b.WriteByte(c)
		}
	}
	plain := b.String()
	switch plain {
	case "auth", "basicauth", "httpauth", "registryauth", "xregistryauth", "pass":
		return true
	}
	// What a shell calls so is its directory.
	if strings.HasSuffix(plain, "pwd") && plain != "pwd" && plain != "oldpwd" {
		return true
	}
	for _, suffix := range []string{
		"password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "secretkey", "privatekey",
		"authorization", "cookie", "credentials", "clientkeydata",
	} {
		if strings.HasSuffix(plain, suffix) {
			return true
		}
	}
	return false
}

// headerName reports whether everything below a key of that name is an HTTP header: its value may be a credential.
func headerName(name string) bool {
	switch strings.ToLower(name) {
	case "header", "headers", "httpheaders", "staticpodurlheader":
		return true
	}
	return false
}

func secretFlag(name string) bool { return secretName(name) || strings.HasSuffix(name, "-header") }

// harmless values tell nothing.
func harmless(s string) bool {
	switch strings.ToLower(s) {
	case "", "true", "false", "null", "yes", "no", "~":
		return true
	}
	return false
}

// masker masks one content.
type masker struct {
	content string
	out     []byte
	spans   []v1alpha1.Span
	line    int // where the line under scan starts
	until   int // how far the last value without quotes went
}

// mask hides [start, end), line ends excepted. A plain YAML scalar keeps a first byte that starts a plain scalar.
func (m *masker) mask(start, end int, plainYAML bool) {
	if end <= start || end-start < 8 && harmless(m.content[start:end]) {
		return
	}
	m.hide(start, end)
	if plainYAML {
		m.out[start] = 'x'
	}
}

// hide masks [start, end) whatever stands there, line ends excepted.
func (m *masker) hide(start, end int) {
	m.spans = append(m.spans, v1alpha1.Span{Start: start, End: end})
	for i := start; i < end; i++ {
		if c := m.content[i]; c != '\n' && c != '\r' {
			m.out[i] = v1alpha1.MaskByte
		}
	}
}

// union sorts spans and joins those that touch.
func union(spans []v1alpha1.Span) []v1alpha1.Span {
	slices.SortFunc(spans, func(a, b v1alpha1.Span) int { return a.Start - b.Start })
	var out []v1alpha1.Span
	for _, s := range spans {
		if n := len(out); n > 0 && s.Start <= out[n-1].End {
			out[n-1].End = max(out[n-1].End, s.End)
			continue
		}
		out = append(out, s)
	}
	return out
}
