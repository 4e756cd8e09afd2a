package shell

import (
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Use is what a command wants of a container runtime of its own machine.
type Use struct {
	Runtime v1alpha1.RuntimeName
	// Address is the daemon that the command is told to ask, as it is written; empty where it is told none. A named context
	// of Docker's client stands as "context:NAME".
	Address string
	// Daemon says that the command acts on the daemon, or watches it, instead of asking it.
	Daemon bool
}

// UseOf returns what a command, of at least one word, wants of a runtime; ok is false where it wants nothing. crictl, curl
// and their like count only when they name a runtime's socket: without it they ask whatever runtime there is.
func UseOf(argv []string) (use Use, ok bool) {
	switch name := Base(argv[0]); name {
	case "dockerd", "cri-dockerd":
		return Use{Runtime: v1alpha1.Docker, Daemon: true}, len(argv) == 1 || !Idle(argv)
	case "crictl":
		address, found := Option(argv[1:], "-r", "--runtime-endpoint")
		return ofSocket(address, found)
	case "curl", "nc", "ncat", "socat":
		return ofSocket(socketWord(name, argv[1:]))
	case "crio-status":
		return Use{Runtime: v1alpha1.CRIO}, true
	case "crio":
		return Use{Runtime: v1alpha1.CRIO}, len(argv) > 1 && argv[1] == "status"
	case "systemctl", "service":
		if !slices.ContainsFunc(argv[1:], needsDaemon) {
			return Use{}, false
		}
	case "journalctl":
		return Use{}, false
	}
	for _, runtime := range []v1alpha1.RuntimeName{v1alpha1.Docker, v1alpha1.Containerd, v1alpha1.CRIO} {
		switch client, unit := Asks(argv, runtime); {
		case client:
			return Use{Runtime: runtime, Address: addressed(argv)}, true
		case unit:
			return Use{Runtime: runtime, Daemon: true}, true
		}
	}
	return Use{}, false
}

// needsDaemon reports whether what systemctl is told makes no sense, or something else, without the daemon. To stop or
// disable it still does.
func needsDaemon(verb string) bool {
	switch verb {
	case "start", "restart", "try-restart", "condrestart", "reload", "reload-or-restart", "force-reload", "kill", "status", "is-active", "show":
		return true
	}
	return false
}

// addressed returns the daemon that a client of Docker or containerd is told to ask.
func addressed(argv []string) string {
	if address, ok := Option(argv[1:], "-H", "--host", "-a", "--address"); ok {
		return address
	}
	if name, ok := Option(argv[1:], "-c", "--context"); ok && name != "default" {
		return "context:" + name
	}
	return ""
}

// Option returns the value of an option that stands before a client's subcommand.
func Option(words []string, names ...string) (string, bool) {
	for i, w := range words {
		if !strings.HasPrefix(w, "-") && (i == 0 || !strings.HasPrefix(words[i-1], "-")) {
			return "", false
		}
		for _, n := range names {
			if w == n && i+1 < len(words) {
				return words[i+1], true
			}
			if v, ok := strings.CutPrefix(w, n+"="); ok {
				return v, true
			}
		}
	}
	return "", false
}

// socketWord returns the Unix socket that a general client connects to.
func socketWord(program string, words []string) (string, bool) {
	for i, w := range words {
		switch {
		case program == "socat":
			kind, path, _ := strings.Cut(w, ":")
			if kind = strings.ToUpper(kind); kind == "UNIX-CONNECT" || kind == "UNIX" || kind == "UNIX-CLIENT" {
				path, _, _ = strings.Cut(path, ",")
				return path, true
			}
		case program == "curl" && strings.HasPrefix(w, "--unix-socket="):
			return strings.TrimPrefix(w, "--unix-socket="), true
		case i+1 == len(words):
		case program == "curl" && w == "--unix-socket":
			return words[i+1], true
		case strings.HasPrefix(w, "-") && !strings.HasPrefix(w, "--") && strings.HasSuffix(w, "U"):
			if program != "curl" { // whose -U is the user at a proxy
				return words[i+1], true
			}
		}
	}
	return "", false
}

func ofSocket(address string, found bool) (Use, bool) {
	runtime := SocketOf(address)
	return Use{Runtime: runtime, Address: address}, found && runtime != ""
}

// SocketOf names the runtime that listens on a socket of that name, wherever it lies; empty where none does.
func SocketOf(address string) v1alpha1.RuntimeName {
	switch Base(address) {
	case "docker.sock", "cri-dockerd.sock", "dockershim.sock":
		return v1alpha1.Docker
	case "containerd.sock":
		return v1alpha1.Containerd
	case "crio.sock":
		return v1alpha1.CRIO
	}
	return ""
}
