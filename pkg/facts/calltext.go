package facts

import (
	"path"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// line returns a line of the text as it is told: without what may be a secret, and short. The text was masked as a whole; what
// programs take for a password on a command line is masked here, rather too much of it than too little.
func (p place) line(n int) string {
	lines := p.masked()
	if n < 1 || n > len(lines) {
		return ""
	}
	words := strings.Fields(lines[n-1])
	masked := edit.MaskArgs(words)
	program := ""
	for i, w := range words {
		switch name, _, assigned := strings.Cut(w, "="); {
		case i > 0 && givesSecret(program, words[i-1]) && !harmlessValue(w):
			masked[i] = hidden(w)
		case attachedSecret(program, w):
			masked[i] = w[:2] + hidden(w[2:])
		case assigned && !strings.HasPrefix(w, "-"):
			quote := strings.TrimLeft(name, `"'(`)
			masked[i] = w[:len(name)-len(quote)] + edit.MaskEnviron(masked[i][len(name)-len(quote):])
		}
		if base := path.Base(w); secretly(base) {
			program = base
		}
	}
	out := strings.Join(masked, " ")
	if len(out) > maxCallText {
		out = strings.ToValidUTF8(out[:maxCallText], "") + "…"
	}
	return out
}

func hidden(s string) string { return strings.Repeat(string(rune(v1alpha1.MaskByte)), len(s)) }

// secretly reports whether a program of that name takes a password by an option that tells nothing by its name.
func secretly(program string) bool {
	switch program {
	case "curl", "wget", "mysql", "mysqldump", "mysqladmin", "mariadb", "mariadb-dump", "mongo", "mongosh", "mongodump", "redis-cli", "sshpass",
		"ldapsearch", "smbclient", "rclone", "skopeo", "docker", "docker-compose":
		return true
	}
	return false
}

// givesSecret reports whether the word behind an option may be a secret, for the program that was named last.
func givesSecret(program, option string) bool {
	switch strings.Trim(option, `"'`) {
	case "--requirepass", "--masterauth", "--pass", "--user", "--proxy-user", "--authenticationPassword", "--creds", "--src-creds", "--dest-creds":
		return true
	case "-u":
		return program == "curl" || program == "smbclient"
	case "-a":
		return program == "redis-cli"
	case "-w":
		return program == "ldapsearch"
	case "-p":
		return program != ""
	}
	// The name of a header; its value follows.
	name := strings.ToLower(strings.TrimLeft(option, `"'`))
	if !strings.HasSuffix(name, ":") {
		return false
	}
	for _, mark := range []string{"key", "token", "secret", "auth", "pass", "cookie"} {
		if strings.Contains(name, mark) {
			return true
		}
	}
	return false
}

// attachedSecret reports whether a word is an option with a password in one.
func attachedSecret(program, word string) bool {
	if len(word) < 3 || strings.HasPrefix(word, "--") || harmlessValue(word[2:]) {
		return false
	}
	switch word[:2] {
	case "-p":
		return program != ""
	case "-u":
		return program == "curl"
	case "-a":
		return program == "redis-cli"
	}
	return false
}

// harmlessValue reports whether a value is a number, a port or an address of one, or an option: what -p and -u of docker are given.
func harmlessValue(s string) bool {
	s = strings.Trim(s, `"'`)
	for _, protocol := range []string{"/tcp", "/udp", "/sctp"} {
		s = strings.TrimSuffix(s, protocol)
	}
	return strings.HasPrefix(s, "-") || strings.Trim(s, "0123456789.:-") == ""
}
