package facts

import (
	"strings"
	"testing"
)

func TestCronCommand(t *testing.T) {
	for _, c := range []struct {
		line   string
		fields int
		want   string
	}{
		{"0 0 * * * docker ps", 5, "docker ps"},
		{"0 0 * * *\troot  docker ps", 6, "docker ps"},
		{"@reboot docker ps", 5, "docker ps"},
		{"@daily root docker ps", 6, "docker ps"},
		{"7 10 job docker ps", 3, "docker ps"},
		{`0 0 * * * date +\%F%docker ps`, 5, "date +%F"},
		{"0 0 * *", 5, ""},
		{"", 5, ""},
	} {
		if have := cronCommand(c.line, c.fields); have != c.want {
			t.Errorf("%q: %q", c.line, have)
		}
	}
}

func FuzzCronCommand(f *testing.F) {
	for _, s := range []string{"0 0 * * * root docker ps", "@daily x", `0 0 * * * a\%b%c`, "\t\t"} {
		f.Add(s, 6)
	}
	f.Fuzz(func(t *testing.T, line string, fields int) {
		command := cronCommand(line, fields%10)
		if len(command) > len(line) || !strings.Contains(strings.ReplaceAll(line, `\%`, "%"), command) {
			t.Fatalf("%q of %q", command, line)
		}
	})
}
