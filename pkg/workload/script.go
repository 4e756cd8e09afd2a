package workload

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// call is one command of a script or of a container.
type call struct {
	// argv are its words; what only a running shell knows stands as unknownWord.
	argv []string
	// root is the directory of a chroot that the command runs in; empty without one.
	root string
	// host says that the command runs in the namespaces of the node's first process.
	host bool
	line int
}

// script is what a shell script does, as far as that matters here.
type script struct {
	calls []call
	// dockerHosts are the values that the script gives DOCKER_HOST.
	dockerHosts []said
	// runs are the paths of scripts that it starts.
	runs []string
}

// said is a value and the line of it, counted from 1.
type said struct {
	value string
	line  int
}

const (
	unknownWord = "$"
	// maxScript bounds, in bytes, what is parsed as one script; ConfigMaps hold a MiB at most.
	maxScript = 256 << 10
	// recovered is how many missing words such as fi are taken for written, so that half a construct can be read.
	recovered = 10
	// maxDepth bounds scripts within the words of scripts, as in sh -c 'sh -c …'.
	maxDepth = 4
)

// reader collects the commands of a container or of a script.
type reader struct {
	parser *syntax.Parser
	out    script
}

func newParser() *syntax.Parser {
	return syntax.NewParser(syntax.Variant(syntax.LangBash), syntax.RecoverErrors(recovered))
}

// readScript parses a shell script. One that is no valid shell is read line by line, so that a template or another
// dialect hides only the lines that it touches.
func readScript(parser *syntax.Parser, text string) script {
	r := reader{parser: parser}
	r.script(text, context{})
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
	if len(text) > maxScript {
		text = text[:maxScript]
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
		if !interesting(line) {
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
			if n.Name != nil && n.Name.Value == "DOCKER_HOST" && n.Value != nil {
				r.out.dockerHosts = append(r.out.dockerHosts, said{literal(n.Value), ctx.line + int(n.Pos().Line())})
			}
		case *syntax.Stmt:
			c, ok := n.Cmd.(*syntax.CallExpr)
			if !ok || len(c.Args) == 0 {
				return true
			}
			words := make([]string, len(c.Args))
			for i, w := range c.Args {
				words[i] = literal(w)
			}
			at := ctx
			at.line += int(c.Pos().Line()) - 1
			r.argv(words, at, heredoc(n))
		}
		return true
	})
}

// heredoc returns what a statement reads from its own text.
func heredoc(s *syntax.Stmt) string {
	for _, redirect := range s.Redirs {
		if redirect.Hdoc != nil {
			return literal(redirect.Hdoc)
		}
	}
	return ""
}

// literal returns a word as the shell would pass it, with unknownWord for what isn't written there. The default of a
// variable is taken for its value.
func literal(w *syntax.Word) string {
	var b strings.Builder
	parts(&b, w.Parts)
	return b.String()
}

func parts(b *strings.Builder, in []syntax.WordPart) {
	for _, p := range in {
		switch p := p.(type) {
		case *syntax.Lit:
			b.WriteString(strings.ReplaceAll(p.Value, `\`, ""))
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			parts(b, p.Parts)
		case *syntax.ParamExp:
			if p.Exp != nil && (p.Exp.Op == syntax.DefaultUnset || p.Exp.Op == syntax.DefaultUnsetOrNull) && p.Exp.Word != nil {
				parts(b, p.Exp.Word.Parts)
				continue
			}
			b.WriteString(unknownWord)
		default:
			b.WriteString(unknownWord)
		}
	}
}

// interesting reports whether a text can hold a command that any rule knows. It spares parsing what holds none.
func interesting(text string) bool {
	for _, name := range [...]string{
		"docker", "docker-compose", "dockerd", "cri-docker", "cri-dockerd", "ctr", "nerdctl", "containerd", "ulimit", "chroot", "mknod", "setcap", "sshd",
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
