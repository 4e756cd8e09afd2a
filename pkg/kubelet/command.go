package kubelet

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// command is the command line that a unit would start, each word with its origin.
type command struct {
	words []word
	// defs are the definitions of the variables that the command line uses, in the order in which systemd reads them;
	// a later one hides an earlier one of the same variable.
	defs []definition
	// uses are the variables that the command line expands into words, in order.
	uses []string
	// envFiles are the environment files that the unit reads.
	envFiles []string
	// exec is the unit file that holds ExecStart.
	exec     string
	problems []string
}

// word is one word and where it comes from. Variable is empty for a word of ExecStart itself.
type word struct {
	text     string
	line     int
	file     string
	variable string
	// mixed: part of the word was put in for a ${variable}.
	mixed bool
}

// definition is a variable as one file defines it.
type definition struct {
	variable, file string
	// unit: it is an Environment= line, and not a line of an environment file.
	unit   bool
	words  []edit.Word
	value  string
	hidden bool // another definition wins
}

// command reads the unit's files.
func (s source) command(u v1alpha1.Unit) command {
	c := command{}
	var exec []edit.UnitEntry
	var defs []definition
	var envs []string
	for _, file := range append([]string{u.Fragment}, u.DropIns...) {
		if file == "" {
			continue
		}
		text, p := s.read(file)
		if p != present {
			c.problem("the unit file %s couldn't be read", file)
			continue
		}
		parsed, err := edit.ParseUnit(text)
		if err != nil {
			c.problem("%s: %v", file, err)
			continue
		}
		if parsed.Resets("Service", "Environment") {
			defs = nil
		}
		vars, err := parsed.Environment()
		if err != nil {
			c.problem("%s: %v", file, err)
		}
		for _, v := range vars {
			d := definition{variable: v.Name, file: file, unit: true, words: v.Words(), value: v.Value}
			defs = append(defs, d.unescape())
		}
		if parsed.Resets("Service", "EnvironmentFile") {
			envs = nil
		}
		for _, e := range parsed.Values("Service", "EnvironmentFile") {
			envs = append(envs, e.Value)
		}
		if parsed.Resets("Service", "ExecStart") {
			exec = nil
		}
		for _, e := range parsed.Values("Service", "ExecStart") {
			exec, c.exec = append(exec, e), file
		}
	}
	for _, e := range envs {
		defs = append(defs, s.environmentFile(e, &c)...)
	}
	if len(exec) != 1 {
		c.problem("the unit has %d commands", len(exec))
		return c
	}
	c.expand(exec[0], defs)
	return c
}

// unescape resolves %% in a line of a unit. Other specifiers stay: what the kubelet runs with will differ, and that is
// told.
func (d definition) unescape() definition {
	d.value = strings.ReplaceAll(d.value, "%%", "%")
	for i := range d.words {
		d.words[i].Text = strings.ReplaceAll(d.words[i].Text, "%%", "%")
	}
	return d
}

func (c *command) problem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// environmentFile reads one EnvironmentFile= value.
func (s source) environmentFile(value string, c *command) []definition {
	name, optional := strings.CutPrefix(value, "-")
	if strings.ContainsAny(name, "*?[%") || !strings.HasPrefix(name, "/") {
		c.problem("EnvironmentFile=%s isn't one file", value)
		return nil
	}
	c.envFiles = append(c.envFiles, name)
	text, p := s.read(name)
	switch {
	case p == absent && optional:
		return nil
	case p != present:
		c.problem("the environment file %s couldn't be read", name)
		return nil
	}
	env, err := edit.ParseEnv(text)
	if err != nil {
		c.problem("%s: %v", name, err)
		return nil
	}
	var out []definition
	for _, v := range env.Vars {
		out = append(out, definition{variable: v.Name, file: name, words: v.Words(), value: v.Value})
	}
	return out
}

// expand puts the variables into the command line as systemd does: $NAME as a word of its own becomes words, ${NAME}
// is put in as it is.
func (c *command) expand(exec edit.UnitEntry, defs []definition) {
	last := map[string]int{}
	for i, d := range defs {
		if before, ok := last[d.variable]; ok {
			defs[before].hidden = true
		}
		last[d.variable] = i
	}
	words, err := exec.Words()
	if err != nil {
		c.problem("%s: %v", c.exec, err)
		return
	}
	used := map[string]bool{}
	for i, w := range words {
		text := w.Text
		if i == 0 {
			text = strings.TrimLeft(text, "-@:+!")
		}
		if text == ";" {
			c.problem("ExecStart= has more than one command")
			return
		}
		if name, ok := strings.CutPrefix(text, "$"); ok && isName(name) {
			c.uses = append(c.uses, name)
			used[name] = true
			if d, ok := last[name]; ok {
				for _, v := range defs[d].words {
					c.words = append(c.words, word{text: v.Text, line: v.Line, file: defs[d].file, variable: name})
				}
			}
			continue
		}
		text, mixed := c.substitute(text, defs, last)
		c.words = append(c.words, word{text: text, line: w.Line, file: c.exec, mixed: mixed})
	}
	for _, d := range defs {
		if used[d.variable] {
			c.defs = append(c.defs, d)
		}
	}
}

// substitute resolves ${NAME}, $$ and %% inside a word.
func (c *command) substitute(text string, defs []definition, last map[string]int) (string, bool) {
	if !strings.ContainsAny(text, "$%") {
		return text, false
	}
	var b strings.Builder
	mixed := false
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		switch {
		case strings.HasPrefix(rest, "$$"), strings.HasPrefix(rest, "%%"):
			b.WriteByte(text[i])
			i++
		case text[i] == '%':
			c.problem("ExecStart= has the specifier %.2s, which only systemd can resolve", rest)
			b.WriteByte('%')
		case strings.HasPrefix(rest, "${"):
			end := strings.IndexByte(rest, '}')
			if end < 0 || !isName(rest[2:end]) {
				b.WriteByte('$')
				continue
			}
			if d, ok := last[rest[2:end]]; ok {
				b.WriteString(defs[d].value)
			}
			mixed = true
			i += end
		default:
			b.WriteByte(text[i])
		}
	}
	return b.String(), mixed
}

func isName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == "" && (s[0] < '0' || s[0] > '9')
}

// flag is a flag on the command line with the word that it starts at.
type flag struct {
	name, value string
	word
}

// flags reads the command line's flags.
func (c command) flags() []flag { return flagsOf(c.words) }

func flagsOf(words []word) []flag {
	var out []flag
	for i := 1; i < len(words); i++ {
		name, ok := strings.CutPrefix(words[i].text, "--")
		if !ok || name == "" {
			continue
		}
		f := flag{word: words[i]}
		var has bool
		f.name, f.value, has = strings.Cut(name, "=")
		if !has && i+1 < len(words) && !strings.HasPrefix(words[i+1].text, "-") {
			i++
			f.value = words[i].text
			f.mixed = f.mixed || words[i].mixed
		}
		out = append(out, f)
	}
	return out
}

// lastFlag returns the value of the flag that wins.
func lastFlag(flags []flag, name string) (flag, bool) {
	for _, f := range slices.Backward(flags) {
		if f.name == name {
			return f, true
		}
	}
	return flag{}, false
}

// argv is the command line as words.
func (c command) argv() []string {
	out := make([]string, len(c.words))
	for i, w := range c.words {
		out[i] = w.text
	}
	return out
}

// fromArgv reads a running process' command line.
func fromArgv(argv []string) []word {
	out := make([]word, len(argv))
	for i, a := range argv {
		out[i] = word{text: a}
	}
	return out
}

// difference names the words by which two command lines differ, the programs' names left out.
func difference(running, planned []string) []string {
	if len(running) == 0 || len(planned) == 0 || slices.Equal(running[1:], planned[1:]) {
		return nil
	}
	var out []string
	count := map[string]int{}
	for _, w := range planned[1:] {
		count[w]++
	}
	for _, w := range running[1:] {
		if count[w]--; count[w] < 0 {
			out = append(out, w+" (only the running kubelet)")
		}
	}
	clear(count)
	for _, w := range running[1:] {
		count[w]++
	}
	for _, w := range planned[1:] {
		if count[w]--; count[w] < 0 {
			out = append(out, w+" (only its files)")
		}
	}
	if out == nil {
		out = []string{"the order of the flags"}
	}
	return out
}
