package shell

import (
	"path"
	"strings"
)

// IsForeign reports whether a file of that name is a program in another language than the shell's.
func IsForeign(name, body string) bool {
	switch path.Ext(name) {
	case ".py", ".js", ".rb", ".pl":
		return true
	}
	first, _, _ := strings.Cut(body, "\n")
	if !strings.HasPrefix(first, "#!") {
		return false
	}
	for _, name := range [...]string{"python", "node", "ruby", "perl"} {
		if strings.Contains(first, name) {
			return true
		}
	}
	return false
}

// Foreign returns the commands that such a program starts as far as one line shows it: a function that starts
// processes, and a quoted command that rules know. Docker's own library counts as the command docker.
func (p *Parser) Foreign(body string) []Call {
	if !strings.Contains(body, "docker") && !strings.Contains(body, "ctr") {
		return nil
	}
	r := reader{parser: p.bash}
	line := 0
	for text := range strings.Lines(body) {
		line++
		text = Uncomment(text)
		if strings.Contains(text, "docker.from_env(") || strings.Contains(text, "docker.DockerClient(") || strings.Contains(text, "docker.APIClient(") {
			r.out.Calls = append(r.out.Calls, Call{Argv: []string{"docker", "(library)"}, Line: line})
		}
		at := starts(text)
		if at < 0 {
			continue
		}
		words := quoted(text[at:])
		switch {
		case len(words) == 0:
		case strings.ContainsAny(words[0], " \t"):
			r.script(words[0], context{line: line - 1})
		default:
			r.argv(words, context{line: line - 1}, "")
		}
	}
	return r.out.Calls
}

// starts returns where a line calls a function that starts processes, or -1.
func starts(line string) int {
	for _, f := range [...]string{"subprocess.", "Popen(", "check_output(", "check_call(", "os.system(", "os.popen(", "execSync(", "execFile", "exec(", "spawn", "system(", "qx("} {
		if i := strings.Index(line, f); i >= 0 {
			return i
		}
	}
	return -1
}

// quoted returns the quoted texts of a line.
func quoted(line string) []string {
	var out []string
	for {
		i := strings.IndexAny(line, "\"'")
		if i < 0 {
			return out
		}
		quote := line[i]
		line = line[i+1:]
		end := strings.IndexByte(line, quote)
		if end < 0 {
			return out
		}
		out = append(out, line[:end])
		line = line[end+1:]
	}
}
