// Package shell reads shell scripts and command lines for the commands that they call: real command words, with what
// sudo, env, sh -c, chroot and their like run unwrapped, and none of comments or strings.
//
// The package is pure: it may import apis and reaches no machine.
package shell

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Call is one command of a script or of a command line.
type Call struct {
	// Argv are its words, at least one; what only a running shell knows stands as Unknown.
	Argv []string
	// Root is the directory of a chroot that the command runs in; empty without one.
	Root string
	// Host says that the command runs in the namespaces of the machine's first process.
	Host bool
	// Line is where it stands, from 1.
	Line int
}

// Script is what a shell script does, as far as that matters here.
type Script struct {
	Calls []Call
	// DockerHosts are the values that the script gives DOCKER_HOST.
	DockerHosts []Said
	// Runs are the paths of scripts that it starts.
	Runs []string
}

// Said is a value and the line of it, counted from 1.
type Said struct {
	Value string
	Line  int
}

// Unknown stands in a word for what only a running shell knows.
const Unknown = "$"

// MaxScript bounds, in bytes, what is parsed as one script; ConfigMaps hold a MiB at most.
const MaxScript = 256 << 10

const (
	// recovered is how many missing words such as fi are taken for written, so that half a construct can be read.
	recovered = 10
	// maxDepth bounds scripts within the words of scripts, as in sh -c 'sh -c …'.
	maxDepth = 4
)

// reader collects the commands of a container or of a script.
type reader struct {
	parser *syntax.Parser
	vars   variables
	out    Script
}

// Parser reads scripts. It isn't for several goroutines at once.
type Parser struct{ bash *syntax.Parser }

// NewParser returns a parser for bash, which reads what other shells are given as well.
func NewParser() *Parser {
	return &Parser{syntax.NewParser(syntax.Variant(syntax.LangBash), syntax.RecoverErrors(recovered))}
}

// Script parses a shell script. One that is no valid shell is read line by line, so that a template or another
// dialect hides only the lines that it touches.
func (p *Parser) Script(text string) Script {
	r := reader{parser: p.bash}
	r.script(text, context{})
	return r.out
}

// Command takes the words of one command, at least one, as a process is started with them.
func (p *Parser) Command(argv []string) Script {
	r := reader{parser: p.bash}
	r.argv(argv, context{}, "")
	return r.out
}

// context is what a command inherits from those around it.
type context struct {
	root  string
	host  bool
	line  int
	depth int
}

func (r *reader) script(text string, ctx context) {
	if len(text) > MaxScript {
		text = text[:MaxScript]
	}
	if deep(text) {
		return
	}
	f, err := r.parser.Parse(strings.NewReader(text), "")
	if err == nil {
		r.walk(f, ctx)
		return
	}
	for i, line := range strings.Split(text, "\n") {
		if !Interesting(line) {
			continue
		}
		at := ctx
		at.line += i
		if f, err := r.parser.Parse(strings.NewReader(line), ""); err == nil {
			r.walk(f, at)
		}
	}
}

// deep reports whether a script nests so much that parsing it could exhaust the stack; no script that works does.
func deep(text string) bool {
	const limit = 200
	n := 0
	for i := range len(text) {
		switch text[i] {
		case '(', '{', '[':
			n++
		case ')', '}', ']':
			n = max(n-1, 0)
		}
		if n > limit {
			return true
		}
	}
	return false
}

func (r *reader) walk(f *syntax.File, ctx context) {
	syntax.Walk(f, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Assign:
			if n.Name == nil || n.Naked || n.Array != nil {
				return true
			}
			value := r.vars.assign(n)
			if n.Name.Value == "DOCKER_HOST" && n.Value != nil {
				r.out.DockerHosts = append(r.out.DockerHosts, Said{value, ctx.line + int(n.Pos().Line())})
			}
		case *syntax.Stmt:
			c, ok := n.Cmd.(*syntax.CallExpr)
			if !ok || len(c.Args) == 0 {
				return true
			}
			var words []string
			for _, w := range c.Args {
				words = append(words, r.vars.words(w)...)
			}
			at := ctx
			at.line += int(c.Pos().Line()) - 1
			if len(words) > 0 {
				r.argv(words, at, r.vars.heredoc(n))
			}
		}
		return true
	})
}

// Interesting reports whether a text can hold a command that any rule knows. It spares parsing what holds none.
func Interesting(text string) bool {
	for _, name := range [...]string{
		"docker", "docker-compose", "dockerd", "cri-docker", "cri-dockerd", "ctr", "nerdctl", "containerd", "crio", "crio-status", "ulimit", "chroot", "mknod", "setcap", "sshd",
		"ping", "ping6", "arping", "fping", "hping3", "tcpdump", "tshark", "dumpcap", "traceroute", "mtr", "nmap",
	} {
		if hasWord(text, name) {
			return true
		}
	}
	return strings.Contains(text, "DOCKER_HOST")
}

// hasWord reports whether a text holds a name as a word that a shell could take for a command or an operand: the name of
// a unit may follow with its dot.
func hasWord(text, name string) bool {
	for rest := text; ; {
		i := strings.Index(rest, name)
		if i < 0 {
			return false
		}
		end := i + len(name)
		if (i == 0 || !strings.ContainsRune("._-", rune(rest[i-1])) && !alphanumeric(rest[i-1])) &&
			(end == len(rest) || !strings.ContainsRune("_-/:", rune(rest[end])) && !alphanumeric(rest[end]) &&
				(rest[end] != '.' || strings.HasPrefix(rest[end:], ".s"))) {
			return true
		}
		rest = rest[end:]
	}
}

func alphanumeric(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}
