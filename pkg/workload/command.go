package workload

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

// program returns the command that a container starts; nil where its words are arguments of a program that only the
// image knows. Where no command is given a shell or docker at the head of the arguments is taken for one, as images
// without an entry point, and most entry points, start it.
func program(image string, command, words []string) []string {
	if len(command) > 0 || len(words) == 0 {
		return words
	}
	first := base(words[0])
	name, _ := repository(image)
	docker := name == "docker" || name == "docker-cli"
	switch {
	case shell.Is(first), docker && strings.HasPrefix(first, "docker"):
		return words
	case first == "docker" && len(words) > 1 && subcommand(words[1]):
		return words
	case docker && subcommand(first):
		return append([]string{"docker"}, words...)
	}
	switch name {
	case "alpine", "busybox", "ubuntu", "debian", "centos", "fedora", "bash":
		return words
	}
	return nil
}

// subcommand reports whether a word is one of docker's usual commands.
func subcommand(word string) bool {
	switch word {
	case "build", "buildx", "builder", "compose", "container", "cp", "create", "events", "exec", "image", "images", "info", "inspect", "kill", "load", "logs",
		"network", "ps", "pull", "push", "restart", "rm", "rmi", "run", "save", "start", "stats", "stop", "system", "tag", "top", "version", "volume":
		return true
	}
	return false
}

type handler struct {
	field string
	exec  []string
}

func (c *container) handlers() []handler {
	var out []handler
	add := func(field string, e *corev1.ExecAction) {
		if e != nil {
			out = append(out, handler{field, e.Command})
		}
	}
	for _, p := range [...]struct {
		field string
		probe *corev1.Probe
	}{{"livenessProbe", c.LivenessProbe}, {"readinessProbe", c.ReadinessProbe}, {"startupProbe", c.StartupProbe}} {
		if p.probe != nil {
			add(p.field, p.probe.Exec)
		}
	}
	if c.Lifecycle != nil {
		if c.Lifecycle.PostStart != nil {
			add("lifecycle", c.Lifecycle.PostStart.Exec)
		}
		if c.Lifecycle.PreStop != nil {
			add("lifecycle", c.Lifecycle.PreStop.Exec)
		}
	}
	return out
}

// brief shows a command in a few words, without what may be a secret: reports are sent around.
func brief(argv []string) string {
	const most = 60
	shown := make([]string, len(argv))
	for i, w := range argv {
		shown[i] = masked(w)
	}
	s := strings.ReplaceAll(strings.Join(shown, " "), shell.Unknown, "…")
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i] + " …"
	}
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return s
}

// masked hides the value of an assignment or an option whose name speaks of a secret, and the password of an address.
func masked(word string) string {
	if name, _, ok := strings.Cut(word, "="); ok {
		upper := strings.ToUpper(name)
		for _, mark := range [...]string{"PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL"} {
			if strings.Contains(upper, mark) {
				return name + "=…"
			}
		}
	}
	if i := strings.Index(word, "://"); i > 0 {
		if user, host, ok := strings.Cut(word[i+3:], "@"); ok && !strings.Contains(user, "/") {
			if name, _, secret := strings.Cut(user, ":"); secret {
				return word[:i+3] + name + ":…@" + host
			}
		}
	}
	return word
}
