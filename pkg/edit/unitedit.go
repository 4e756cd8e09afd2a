package edit

import (
	"fmt"
	"slices"
	"strings"
)

// UnitSetFlag gives flag the value inside the variable of an Environment= line, see EnvSetFlag. A unit that doesn't set
// the variable is refused: a drop-in of its own is the place then.
func UnitSetFlag(content, variable, flag, value string) ([]Splice, error) {
	fail := func(err error) ([]Splice, error) {
		return nil, fmt.Errorf("setting --%s in Environment=%s: %w", flag, variable, err)
	}
	if err := checkFlag(flag, value); err != nil {
		return fail(err)
	}
	p, err := unitVariable(content, variable)
	if err != nil {
		return fail(err)
	}
	words, _ := splitWords(p.variable.value, keepNext)
	if f, ok := LastFlag(Flags(texts(words)), flag); ok && f.HasValue && f.Value == value && len(occurrences(words, flag)) == 1 {
		return nil, nil
	}
	s, want := setFlag(content, words, flag, value)
	if want == nil {
		text := "--" + flag + "=" + value
		want = append(texts(words), text)
		at, gap := p.variable.start, ""
		if len(words) > 0 {
			at, gap = words[len(words)-1].end, " "
		}
		s = []Splice{{at, at, gap + text}}
		if len(words) > 0 && !strings.HasPrefix(content[p.holder.start:], `"`) && !strings.HasPrefix(content[p.holder.start:], "'") {
			s = []Splice{{p.holder.start, p.holder.start, `"`}, {at, at, gap + text + `"`}}
		}
	}
	return proved(s, fail, p.prove(s, variable, want))
}

// UnitRemoveFlag removes every flag of that name from the variable of an Environment= line.
func UnitRemoveFlag(content, variable, flag string) ([]Splice, error) {
	fail := func(err error) ([]Splice, error) {
		return nil, fmt.Errorf("removing --%s from Environment=%s: %w", flag, variable, err)
	}
	p, err := unitVariable(content, variable)
	if err != nil {
		return fail(err)
	}
	words, _ := splitWords(p.variable.value, keepNext)
	drop := occurrences(words, flag)
	if len(drop) == 0 {
		return nil, nil
	}
	s, want := dropWords(content, words, drop, texts(words))
	return proved(s, fail, p.prove(s, variable, want))
}

// unitPlace is a variable in an Environment= line.
type unitPlace struct {
	unit     *Unit
	variable EnvVar
	holder   word
}

func unitVariable(content, variable string) (unitPlace, error) {
	u, err := ParseUnit(content)
	if err != nil {
		return unitPlace{}, err
	}
	p := unitPlace{unit: u}
	found := false
	for _, e := range u.Values("Service", "Environment") {
		vars, holders, err := e.environment()
		if err != nil {
			return unitPlace{}, err
		}
		for i, v := range vars {
			if v.Name == variable {
				p.variable, p.holder, found = v, holders[i], true
			}
		}
	}
	if !found {
		return unitPlace{}, fmt.Errorf("the unit doesn't set it: %w", ErrRefused)
	}
	return p, nil
}

func (p unitPlace) prove(s []Splice, variable string, want []string) error {
	after, err := p.unit.reparse(s)
	if err != nil {
		return err
	}
	before, err := p.unit.Environment()
	if err != nil {
		return err
	}
	vars, err := after.Environment()
	if err != nil {
		return fmt.Errorf("%w: %w", err, ErrRefused)
	}
	env := Env{Vars: vars}
	if v, ok := env.Get(variable); !ok || !slices.Equal(SplitWords(v.Value), want) {
		return fmt.Errorf("the edit would change more than the flag: %w", ErrRefused)
	}
	if !slices.Equal(rest(before, variable), rest(vars, variable)) {
		return fmt.Errorf("the edit would change another variable: %w", ErrRefused)
	}
	return p.unit.same(after, "Environment")
}

// reparse parses the unit with the splices applied.
func (u *Unit) reparse(s []Splice) (*Unit, error) {
	text, err := Apply(u.content, s...)
	if err != nil {
		return nil, err
	}
	after, err := ParseUnit(text)
	if err != nil {
		return nil, fmt.Errorf("the edited unit doesn't parse: %w: %w", err, ErrRefused)
	}
	return after, nil
}

// same checks that no comment was lost and that only entries of that name in [Service] differ.
func (u *Unit) same(after *Unit, name string) error {
	list := func(u *Unit) []string {
		var out []string
		for _, e := range u.Entries {
			text := e.Section + "." + e.Name + "="
			if e.Section != "Service" || e.Name != name {
				text += e.Value
			}
			out = append(out, text)
		}
		return out
	}
	if !slices.Equal(list(u), list(after)) {
		return fmt.Errorf("the edit would change another setting: %w", ErrRefused)
	}
	if !slices.Equal(u.comments, after.comments) {
		return fmt.Errorf("the edit would lose a comment: %w", ErrRefused)
	}
	return nil
}

// ExecSetFlag gives flag the value on the last ExecStart= line, see EnvSetFlag.
func ExecSetFlag(content, flag, value string) ([]Splice, error) {
	fail := func(err error) ([]Splice, error) { return nil, fmt.Errorf("setting --%s in ExecStart=: %w", flag, err) }
	if err := checkFlag(flag, value); err != nil {
		return fail(err)
	}
	u, words, err := execStart(content)
	if err != nil {
		return fail(err)
	}
	if f, ok := LastFlag(Flags(texts(words)), flag); ok && f.HasValue && f.Value == value && len(occurrences(words, flag)) == 1 {
		return nil, nil
	}
	s, want := setFlag(content, words, flag, value)
	if want == nil {
		last := words[len(words)-1]
		text := "--" + flag + "=" + value
		want = append(texts(words), text)
		gap := " "
		if indent := indentOf(content, last.start); len(words) > 1 && lineStart(content, words[0].start) != lineStart(content, last.start) {
			gap = " \\" + newline(content) + indent
		}
		s = []Splice{{last.end, last.end, gap + text}}
	}
	return proved(s, fail, u.proveExec(s, want))
}

// ExecRemoveFlag removes every flag of that name from the last ExecStart= line.
func ExecRemoveFlag(content, flag string) ([]Splice, error) {
	fail := func(err error) ([]Splice, error) {
		return nil, fmt.Errorf("removing --%s from ExecStart=: %w", flag, err)
	}
	u, words, err := execStart(content)
	if err != nil {
		return fail(err)
	}
	drop := occurrences(words, flag)
	if len(drop) == 0 {
		return nil, nil
	}
	s, want := dropWords(content, words, drop, texts(words))
	return proved(s, fail, u.proveExec(s, want))
}

// execStart returns the words of the one command that the unit starts.
func execStart(content string) (*Unit, []word, error) {
	u, err := ParseUnit(content)
	if err != nil {
		return nil, nil, err
	}
	commands := u.Values("Service", "ExecStart")
	if len(commands) != 1 {
		return nil, nil, fmt.Errorf("the unit has %d commands: %w", len(commands), ErrRefused)
	}
	words, err := splitWords(commands[0].value, cEscapes)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", err, ErrRefused)
	}
	if len(words) == 0 || slices.Contains(texts(words), ";") {
		return nil, nil, fmt.Errorf("the command isn't a single one: %w", ErrRefused)
	}
	return u, words, nil
}

func (u *Unit) proveExec(s []Splice, want []string) error {
	after, err := u.reparse(s)
	if err != nil {
		return err
	}
	commands := after.Values("Service", "ExecStart")
	if len(commands) != 1 {
		return fmt.Errorf("the edit would change the number of commands: %w", ErrRefused)
	}
	words, err := splitWords(commands[0].value, cEscapes)
	if err != nil || !slices.Equal(texts(words), want) {
		return fmt.Errorf("the edit would change more than the flag: %w", ErrRefused)
	}
	return u.same(after, "ExecStart")
}
