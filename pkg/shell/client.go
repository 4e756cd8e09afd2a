package shell

import (
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Base returns the last element of a path as it is written.
func Base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// Uncomment cuts the comment off a line of a script or a configuration file.
func Uncomment(line string) string {
	t := strings.TrimSpace(line)
	if strings.HasPrefix(t, "#") || strings.HasPrefix(t, "//") || strings.HasPrefix(t, ";") {
		return ""
	}
	// Two slashes begin a path as well; a comment goes on with a blank.
	for _, mark := range [...]string{" #", "\t#", " // ", "\t// "} {
		if i := strings.Index(line, mark); i >= 0 {
			line = line[:i]
		}
	}
	return line
}

// Idle reports whether a docker command needs no daemon.
func Idle(argv []string) bool {
	for _, w := range argv[1:] {
		switch w {
		case "--version", "-v", "--help", "help", "login", "logout", "completion":
			return true
		}
		if !strings.HasPrefix(w, "-") {
			return false
		}
	}
	return len(argv) == 1
}

// Asks reports whether a command is a client of the runtime, or acts on its daemon in the machine's own namespaces.
func Asks(argv []string, runtime v1alpha1.RuntimeName) (client, unit bool) {
	clients, units := []string{"docker", "docker-compose"}, []string{"docker", "docker.service", "docker.socket", "dockerd", "cri-docker", "cri-docker.service", "cri-docker.socket", "cri-dockerd"}
	switch runtime {
	case v1alpha1.Containerd:
		clients, units = []string{"ctr", "nerdctl"}, []string{"containerd", "containerd.service"}
	case v1alpha1.CRIO:
		clients, units = []string{"crio-status"}, []string{"crio", "crio.service"}
	}
	name := Base(argv[0])
	if slices.Contains(clients, name) {
		return !Idle(argv), false
	}
	switch name {
	case "systemctl", "service", "journalctl", "pkill", "killall", "pgrep", "pidof":
		return false, slices.ContainsFunc(argv[1:], func(w string) bool { return slices.Contains(units, w) })
	}
	return false, false
}
