package workload

import (
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"mvdan.cc/sh/v3/syntax"
)

// uses is what a container says of itself: in its command, its environment, its probes and hooks, and in the ConfigMaps
// that it mounts.
type uses struct {
	calls []usedCall
	names []usedName
	hosts []usedHost
	files []usedFile
}

// runs reports whether a program of that name is called.
func (u *uses) runs(name string) bool {
	for i := range u.calls {
		if base(u.calls[i].argv[0]) == name {
			return true
		}
	}
	return false
}

type usedCall struct {
	call
	evidence string
	line     int
}

type usedName struct {
	naming
	evidence string
	line     int
	// root is where a command before it changed its root to; host says that it left for the node.
	root string
	host bool
	// config says that it stands in a ConfigMap.
	config bool
}

// usedHost is a value of DOCKER_HOST.
type usedHost struct {
	value    string
	unread   bool
	evidence string
	line     int
}

// usedFile is a ConfigMap's key that the container mounts.
type usedFile struct {
	file
	text     *text
	evidence string
	line     int
}

// used reads the container once.
func (c *container) used() *uses {
	if c.isRead {
		return &c.uses
	}
	c.isRead = true
	u := &c.uses
	runs := c.readCommands(u)
	c.readVariables(u)
	c.readFiles(u, runs)
	return u
}

// readCommands takes in command and args, probes and hooks, and returns the paths of the scripts that they run.
func (c *container) readCommands(u *uses) []string {
	var runs []string
	words := make([]string, 0, len(c.Command)+len(c.Args))
	for _, w := range c.Command {
		words = append(words, c.expand(w))
	}
	for _, w := range c.Args {
		words = append(words, c.expand(w))
	}
	switch argv := program(c.Image, c.Command, words); {
	case len(words) == 0:
	case len(c.Command) > 0:
		runs = append(runs, c.readWords(u, "command", words, argv)...)
	default:
		runs = append(runs, c.readWords(u, "args", words, argv)...)
	}
	for _, p := range c.handlers() {
		if len(p.exec) > 0 {
			runs = append(runs, c.readWords(u, p.field, p.exec, p.exec)...)
		}
	}
	return runs
}

// program returns the command that a container starts; nil where its words are arguments of a program that only the
// image knows. Where no command is given a shell or docker at the head of the arguments is taken for one, as images
// without an entry point, and most entry points, start it.
func program(image string, command, words []string) []string {
	if len(command) > 0 || len(words) == 0 {
		return words
	}
	first := base(words[0])
	name, _ := repository(image)
	docker := name == "docker" || name == "docker-cli"
	switch {
	case shell(first), docker && strings.HasPrefix(first, "docker"):
		return words
	case first == "docker" && len(words) > 1 && subcommand(words[1]):
		return words
	case docker && subcommand(first):
		return append([]string{"docker"}, words...)
	}
	switch name {
	case "alpine", "busybox", "ubuntu", "debian", "centos", "fedora", "bash":
		return words
	}
	return nil
}

// subcommand reports whether a word is one of docker's usual commands.
func subcommand(word string) bool {
	switch word {
	case "build", "buildx", "builder", "compose", "container", "cp", "create", "events", "exec", "image", "images", "info", "inspect", "kill", "load", "logs",
		"network", "ps", "pull", "push", "restart", "rm", "rmi", "run", "save", "start", "stats", "stop", "system", "tag", "top", "version", "volume":
		return true
	}
	return false
}

type handler struct {
	field string
	exec  []string
}

func (c *container) handlers() []handler {
	var out []handler
	add := func(field string, e *corev1.ExecAction) {
		if e != nil {
			out = append(out, handler{field, e.Command})
		}
	}
	for _, p := range [...]struct {
		field string
		probe *corev1.Probe
	}{{"livenessProbe", c.LivenessProbe}, {"readinessProbe", c.ReadinessProbe}, {"startupProbe", c.StartupProbe}} {
		if p.probe != nil {
			add(p.field, p.probe.Exec)
		}
	}
	if c.Lifecycle != nil {
		if c.Lifecycle.PostStart != nil {
			add("lifecycle", c.Lifecycle.PostStart.Exec)
		}
		if c.Lifecycle.PreStop != nil {
			add("lifecycle", c.Lifecycle.PreStop.Exec)
		}
	}
	return out
}

// readWords takes in the words of one command; argv is nil where they are only arguments of an unknown program.
func (c *container) readWords(u *uses, field string, words, argv []string) []string {
	called, named := argv != nil && interesting(argv[0]), false
	for _, w := range words {
		called = called || interesting(w)
		named = named || mentions(w)
	}
	// What runs a script of a ConfigMap matters too, whatever it is called.
	if !called && !named && (argv == nil || !c.namesFiles(argv)) {
		return nil
	}
	line := c.at(field)
	var runs []string
	root, host := "", false
	if argv != nil {
		r := reader{parser: c.s.j.parser}
		r.argv(argv, context{}, "")
		runs = r.out.runs
		for _, k := range r.out.calls {
			u.calls = append(u.calls, usedCall{k, c.says("%s: %s", field, brief(k.argv)), line})
			root, host = orRoot(root, k.root), host || k.host
		}
		if name := base(argv[0]); strings.HasPrefix(name, "python") || name == "node" || name == "ruby" || name == "perl" {
			for _, w := range argv[1:] {
				for _, k := range foreignCalls(c.s.j.parser, w) {
					u.calls = append(u.calls, usedCall{k, c.says("%s: %s", field, brief(k.argv)), line})
				}
			}
		}
		for _, v := range r.out.dockerHosts {
			u.hosts = append(u.hosts, usedHost{value: c.expand(v.value), evidence: c.says("%s: DOCKER_HOST=%s", field, v.value), line: line})
		}
	}
	if named {
		for i, w := range words {
			if i > 0 && strings.HasPrefix(words[i-1], "-") && leavesOut(words[i-1]) {
				continue
			}
			for _, n := range pathsIn(w) {
				u.names = append(u.names, usedName{naming: n, evidence: c.says("%s: %s", field, n.path), line: line, root: root, host: host})
			}
		}
	}
	return runs
}

// namesFiles reports whether words mention a place where the container mounts a ConfigMap.
func (c *container) namesFiles(words []string) bool {
	for i := range c.mounts {
		for _, w := range words {
			if len(c.mounts[i].files) > 0 && strings.Contains(w, c.mounts[i].at) {
				return true
			}
		}
	}
	return false
}

func orRoot(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// brief shows a command in a few words.
func brief(argv []string) string {
	const most = 60
	s := strings.ReplaceAll(strings.Join(argv, " "), unknownWord, "…")
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i] + " …"
	}
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return s
}

func (c *container) readVariables(u *uses) {
	for _, name := range c.order {
		v := c.env[name]
		from := ""
		if v.from != "" {
			from = " (" + v.from + ")"
		}
		if name == "DOCKER_HOST" {
			u.hosts = append(u.hosts, usedHost{v.value, v.unread, c.says("env DOCKER_HOST=%s%s", v.value, from), c.at("env", name)})
			continue
		}
		for _, n := range pathsIn(v.value) {
			u.names = append(u.names, usedName{naming: n, evidence: c.says("env %s: %s%s", name, n.path, from), line: c.at("env", name)})
		}
	}
}

// readFiles takes in the ConfigMaps that are mounted. What one does as a script counts when it is named or begins like
// one, or when the container's command runs it.
func (c *container) readFiles(u *uses, runs []string) {
	for i := range c.mounts {
		m := &c.mounts[i]
		for _, f := range m.files {
			t := c.s.j.text(f.ref, f.key)
			if t == nil {
				continue
			}
			line := c.at("volumeMounts", m.volume)
			where := fmt.Sprintf("ConfigMap %s, %s", f.ref.Name, f.key)
			u.files = append(u.files, usedFile{f, t, c.says("%s", where), line})
			for _, n := range t.names {
				u.names = append(u.names, usedName{naming: n, evidence: c.says("%s:%d: %s", where, n.line, n.path), line: line, config: true})
			}
			var s *script
			switch {
			case foreign(f.key, t.body):
				s = t.asForeign(c.s.j.parser)
			case t.isScript(f.key) || startsOne(runs, f.at):
				s = t.asScript(c.s.j.parser)
			default:
				continue
			}
			for _, k := range s.calls {
				u.calls = append(u.calls, usedCall{k, c.says("%s:%d: %s", where, k.line, brief(k.argv)), line})
			}
			for _, v := range s.dockerHosts {
				u.hosts = append(u.hosts, usedHost{value: v.value, evidence: c.says("%s:%d: DOCKER_HOST=%s", where, v.line, v.value), line: line})
			}
		}
	}
}

func startsOne(runs []string, at string) bool {
	for _, r := range runs {
		if path.Clean(r) == at {
			return true
		}
	}
	return false
}

// text is one key of a ConfigMap, read at most once for each purpose.
type text struct {
	body   string
	names  []naming
	parsed *script
	agents []agentUse
	seen   bool
}

func (t *text) isScript(key string) bool {
	if strings.HasSuffix(key, ".sh") || strings.HasSuffix(key, ".bash") {
		return true
	}
	first, _, _ := strings.Cut(t.body, "\n")
	if !strings.HasPrefix(first, "#!") {
		return false
	}
	for _, w := range strings.Fields(first[2:]) {
		if shell(path.Base(w)) {
			return true
		}
	}
	return false
}

func (t *text) asScript(parser *syntax.Parser) *script {
	if t.parsed == nil {
		t.parsed = &script{}
		if interesting(t.body) {
			*t.parsed = readScript(parser, t.body)
		}
	}
	return t.parsed
}

func (t *text) asForeign(parser *syntax.Parser) *script {
	if t.parsed == nil {
		t.parsed = &script{calls: foreignCalls(parser, t.body)}
	}
	return t.parsed
}

// text returns a key of a ConfigMap, or nil where there is none.
func (j *judge) text(ref Key, key string) *text {
	at := textKey{ref, key}
	if t, ok := j.texts[at]; ok {
		return t
	}
	body, ok := j.inv.ConfigMaps[ref][key]
	if !ok {
		j.texts[at] = nil
		return nil
	}
	t := &text{body: body, names: pathsIn(body)}
	j.texts[at] = t
	return t
}

type textKey struct {
	ref Key
	key string
}
