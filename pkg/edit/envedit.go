package edit

import (
	"fmt"
	"slices"
	"strings"
)

// EnvSetFlag gives flag (without dashes) the value inside variable: it replaces the last --flag=value or --flag value
// and drops earlier ones, or appends --flag=value, or adds the variable.
func EnvSetFlag(content, variable, flag, value string) ([]Splice, error) {
	fail := func(err error) ([]Splice, error) {
		return nil, fmt.Errorf("setting --%s in %s: %w", flag, variable, err)
	}
	if err := checkFlag(flag, value); err != nil {
		return fail(err)
	}
	e, v, found, err := editable(content, variable)
	if err != nil {
		return fail(err)
	}
	text := "--" + flag + "=" + value
	if !found {
		line := variable + `="` + text + "\"" + newline(content)
		if content != "" && !strings.HasSuffix(content, "\n") {
			line = newline(content) + line
		}
		s := []Splice{{len(content), len(content), line}}
		return proved(s, fail, e.prove(s, variable, []string{text}))
	}
	words, _ := splitWords(v.value, keepNext)
	if f, ok := LastFlag(Flags(texts(words)), flag); ok && f.HasValue && f.Value == value && len(occurrences(words, flag)) == 1 {
		return nil, nil
	}
	s, want := setFlag(content, words, flag, value)
	if want == nil {
		want = append(texts(words), text)
		s = e.appendWord(v, words, text)
	}
	return proved(s, fail, e.prove(s, variable, want))
}

// EnvRemoveFlag removes every flag of that name from variable; one that isn't there needs no splice.
func EnvRemoveFlag(content, variable, flag string) ([]Splice, error) {
	fail := func(err error) ([]Splice, error) {
		return nil, fmt.Errorf("removing --%s from %s: %w", flag, variable, err)
	}
	e, v, found, err := editable(content, variable)
	if err != nil {
		return fail(err)
	}
	words, _ := splitWords(v.value, keepNext)
	drop := occurrences(words, flag)
	if !found || len(drop) == 0 {
		return nil, nil
	}
	s, want := dropWords(content, words, drop, texts(words))
	return proved(s, fail, e.prove(s, variable, want))
}

// proved returns the splices when their proof holds.
func proved(s []Splice, fail func(error) ([]Splice, error), err error) ([]Splice, error) {
	if err != nil {
		return fail(err)
	}
	return s, nil
}

// editable parses the file and refuses what leaves doubt about its meaning.
func editable(content, variable string) (e *Env, v EnvVar, found bool, err error) {
	if e, err = ParseEnv(content); err != nil {
		return nil, EnvVar{}, false, err
	}
	v, found = e.Get(variable)
	switch {
	case !validName(variable):
		err = fmt.Errorf("%q is no name of a variable: %w", variable, ErrRefused)
	case e.doubt != "":
		err = fmt.Errorf("%s: %w", e.doubt, ErrRefused)
	case slices.ContainsFunc(e.Vars, func(v EnvVar) bool { return v.open }):
		err = fmt.Errorf("a quote isn't closed: %w", ErrRefused)
	}
	return e, v, found, err
}

// appendWord adds a word at the end of the variable's value.
func (e *Env) appendWord(v EnvVar, words []word, text string) []Splice {
	raw := e.content[v.start:v.end]
	quotes := strings.ContainsAny(raw, `"'\`)
	switch {
	case len(words) > 0 && quotes:
		at := words[len(words)-1].end
		return []Splice{{at, at, " " + text}}
	case len(words) > 0:
		return []Splice{{v.start, v.start, `"`}, {v.end, v.end, " " + text + `"`}}
	case len(raw) >= 2 && (raw[0] == '"' || raw[0] == '\''):
		return []Splice{{v.start + 1, v.start + 1, text}}
	}
	return []Splice{{v.start, v.end, `"` + text + `"`}}
}

// prove applies the splices and parses the result: the variable has the wanted words, the others and the comments are
// as before.
func (e *Env) prove(s []Splice, variable string, want []string) error {
	text, err := Apply(e.content, s...)
	if err != nil {
		return err
	}
	after, err := ParseEnv(text)
	if err != nil {
		return fmt.Errorf("the edited file doesn't parse: %w: %w", err, ErrRefused)
	}
	v, ok := after.Get(variable)
	if !ok || !slices.Equal(SplitWords(v.Value), want) {
		return fmt.Errorf("the edit would change more than the flag: %w", ErrRefused)
	}
	if !slices.Equal(rest(e.Vars, variable), rest(after.Vars, variable)) || after.doubt != "" {
		return fmt.Errorf("the edit would change another variable: %w", ErrRefused)
	}
	if !slices.Equal(e.comments, after.comments) {
		return fmt.Errorf("the edit would lose a comment: %w", ErrRefused)
	}
	return nil
}

// rest returns all assignments but the one of name that wins.
func rest(vars []EnvVar, name string) []string {
	var out []string
	skipped := false
	for _, v := range slices.Backward(vars) {
		if v.Name == name && !skipped {
			skipped = true
			continue
		}
		out = append(out, v.Name+"="+v.Value)
	}
	return out
}
