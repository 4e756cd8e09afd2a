package shell

import (
	"path"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// maxSpent bounds, in bytes, what the variables of one script are written out to: it may double one again and again.
const maxSpent = 1 << 20

// variables are what a script has given its variables so far, read from top to bottom.
type variables struct {
	known map[string]string
	spent int
}

// assign notes the value of an assignment, and returns it.
func (v *variables) assign(a *syntax.Assign) string {
	value := ""
	if a.Value != nil {
		value = v.word(a.Value)
	}
	if a.Append {
		value = v.known[a.Name.Value] + value
	}
	if v.spent += len(value); v.spent > maxSpent {
		value = Unknown
	}
	if v.known == nil {
		v.known = map[string]string{}
	}
	v.known[a.Name.Value] = value
	return value
}

// word returns a word as the shell would pass it, with Unknown for what isn't written in the script. The default of a variable that
// has no value is taken for it.
func (v *variables) word(w *syntax.Word) string {
	var b strings.Builder
	v.parts(&b, w.Parts)
	return b.String()
}

// words are what becomes of a word: a variable without quotes is split.
func (v *variables) words(w *syntax.Word) []string {
	if len(w.Parts) == 1 {
		if p, ok := w.Parts[0].(*syntax.ParamExp); ok {
			if value, known := v.value(p); known {
				return strings.Fields(value)
			}
		}
	}
	return []string{v.word(w)}
}

// value is that of a variable which is named and nothing else.
func (v *variables) value(p *syntax.ParamExp) (string, bool) {
	if p.Param == nil || p.Excl || p.Length || p.Width || p.IsSet || p.Index != nil || p.Slice != nil || p.Repl != nil {
		return "", false
	}
	if p.Exp != nil && p.Exp.Op != syntax.DefaultUnset && p.Exp.Op != syntax.DefaultUnsetOrNull {
		return "", false
	}
	value, known := v.known[p.Param.Value]
	if v.spent += len(value); v.spent > maxSpent {
		return "", false
	}
	return value, known
}

func (v *variables) parts(b *strings.Builder, in []syntax.WordPart) {
	for _, p := range in {
		switch p := p.(type) {
		case *syntax.Lit:
			b.WriteString(strings.ReplaceAll(p.Value, `\`, ""))
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			v.parts(b, p.Parts)
		case *syntax.CmdSubst:
			b.WriteString(v.located(p))
		case *syntax.ParamExp:
			if value, known := v.value(p); known {
				b.WriteString(value)
				continue
			}
			if p.Exp != nil && (p.Exp.Op == syntax.DefaultUnset || p.Exp.Op == syntax.DefaultUnsetOrNull) && p.Exp.Word != nil {
				v.parts(b, p.Exp.Word.Parts)
				continue
			}
			b.WriteString(Unknown)
		default:
			b.WriteString(Unknown)
		}
	}
}

// located is the program that a substitution looks for, as $(which docker) does.
func (v *variables) located(c *syntax.CmdSubst) string {
	if len(c.Stmts) == 0 {
		return Unknown
	}
	call, ok := c.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) < 2 {
		return Unknown
	}
	name, last := path.Base(v.word(call.Args[0])), call.Args[len(call.Args)-1]
	if looks := name == "which" || (name == "command" || name == "type") && v.word(call.Args[1]) != v.word(last); !looks {
		return Unknown
	}
	return v.word(last)
}

// heredoc returns what a statement reads from its own text.
func (v *variables) heredoc(s *syntax.Stmt) string {
	for _, redirect := range s.Redirs {
		if redirect.Hdoc != nil {
			return v.word(redirect.Hdoc)
		}
	}
	return ""
}
