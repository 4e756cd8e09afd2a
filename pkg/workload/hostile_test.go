package workload

import (
	"strings"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

// TestHostileScripts: no text takes long or exhausts the stack, however it is nested.
func TestHostileScripts(t *testing.T) {
	for _, c := range []struct{ name, open, close string }{
		{"open subshells", "(", ""},
		{"subshells", "(", ")"},
		{"groups", "{ ", "; }"},
		{"substitutions", "$(", ")"},
		{"quoted substitutions", `"$(`, `)"`},
		{"arithmetic", "$((", "))"},
		{"parameters", "${a:-", "}"},
		{"backquotes", "`", "`"},
		{"conditions", "if ", " ;then a;fi"},
		{"open conditions", "if ", ""},
		{"loops", "while a; do ", "; done"},
		{"open loops", "for i in a; do ", ""},
		{"cases", "case a in a) ", ";; esac"},
		{"negations", "! ", ""},
		{"functions", "f() { ", "; }"},
		{"lists", "a && ", ""},
		{"pipes", "a | ", ""},
		{"words", "a ", ""},
		{"here documents", "a <<E\n", "\nE"},
		{"evals", "eval ", ""},
		{"wrappers", "sudo ", ""},
		{"tests", "[[ ( ", " ) ]]"},
		{"process substitutions", "<(", ")"},
		{"arrays", "a=(", ")"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := shell.MaxScript / (len(c.open) + len(c.close))
			start := time.Now()
			shell.NewParser().Script(strings.Repeat(c.open, n) + "docker ps" + strings.Repeat(c.close, n))
			took := time.Since(start)
			if took > slow {
				t.Errorf("took %s", took)
			}
			t.Log(took)
		})
	}
}
