package workload

import (
	"cmp"
	"fmt"
	"path"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
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
		if base(u.calls[i].Argv[0]) == name {
			return true
		}
	}
	return false
}

type usedCall struct {
	shell.Call
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

// readWords takes in the words of one command; argv is nil where they are only arguments of an unknown program.
func (c *container) readWords(u *uses, field string, words, argv []string) []string {
	called, named := argv != nil && shell.Interesting(argv[0]), false
	for _, w := range words {
		called = called || shell.Interesting(w)
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
		s := c.s.j.parser.Command(argv)
		runs = s.Runs
		for _, k := range s.Calls {
			u.calls = append(u.calls, usedCall{k, c.says("%s: %s", field, brief(k.Argv)), line})
			root, host = cmp.Or(root, k.Root), host || k.Host
		}
		if name := base(argv[0]); strings.HasPrefix(name, "python") || name == "node" || name == "ruby" || name == "perl" {
			for _, w := range argv[1:] {
				for _, k := range c.s.j.parser.Foreign(w) {
					u.calls = append(u.calls, usedCall{k, c.says("%s: %s", field, brief(k.Argv)), line})
				}
			}
		}
		for _, v := range s.DockerHosts {
			u.hosts = append(u.hosts, usedHost{value: c.expand(v.Value), evidence: c.says("%s: DOCKER_HOST=%s", field, masked(v.Value)), line: line})
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

func (c *container) readVariables(u *uses) {
	for _, name := range c.order {
		v := c.env[name]
		from := ""
		if v.from != "" {
			from = " (" + v.from + ")"
		}
		if name == "DOCKER_HOST" {
			u.hosts = append(u.hosts, usedHost{v.value, v.unread, c.says("env DOCKER_HOST=%s%s", masked(v.value), from), c.at("env", name)})
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
			var s *shell.Script
			switch {
			case shell.IsForeign(f.key, t.body):
				s = t.asForeign(c.s.j.parser)
			case t.isScript(f.key) || startsOne(runs, f.at):
				s = t.asScript(c.s.j.parser)
			default:
				continue
			}
			for _, k := range s.Calls {
				u.calls = append(u.calls, usedCall{k, c.says("%s:%d: %s", where, k.Line, brief(k.Argv)), line})
			}
			for _, v := range s.DockerHosts {
				u.hosts = append(u.hosts, usedHost{value: v.Value, evidence: c.says("%s:%d: DOCKER_HOST=%s", where, v.Line, masked(v.Value)), line: line})
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
