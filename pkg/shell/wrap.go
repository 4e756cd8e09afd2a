package shell

import (
	"path"
	"strings"
)

// wrapper is a command that runs another one.
type wrapper struct {
	// valued are the one-letter options whose value is a word of its own; long are the long ones.
	valued string
	long   []string
	// operands are the words between the options and the command.
	operands int
}

// wrappers returns the commands that run what their words name. Options are those of coreutils, util-linux, procps,
// sudo and the usual init programs of containers.
func wrapperOf(name string) (wrapper, bool) {
	switch name {
	case "exec":
		return wrapper{valued: "a"}, true
	case "command", "builtin", "nohup", "setsid", "time", "eatmydata", "dumb-init", "catatonit", "busybox", "!", "then", "else", "do", "if":
		return wrapper{}, true
	case "tini", "tini-static", "docker-init":
		return wrapper{valued: "pe"}, true
	case "sudo", "doas":
		return wrapper{valued: "uUgGhpCcrtTDR", long: []string{"--user", "--group", "--host", "--prompt", "--chdir"}}, true
	case "env":
		return wrapper{valued: "uCS", long: []string{"--unset", "--chdir"}}, true
	case "nice":
		return wrapper{valued: "n", long: []string{"--adjustment"}}, true
	case "ionice":
		return wrapper{valued: "cnpPu", long: []string{"--class", "--classdata"}}, true
	case "stdbuf":
		return wrapper{valued: "ioe"}, true
	case "timeout":
		return wrapper{valued: "ks", long: []string{"--kill-after", "--signal"}, operands: 1}, true
	case "watch":
		return wrapper{valued: "n", long: []string{"--interval"}}, true
	case "xargs":
		return wrapper{valued: "adEIiLlnPs", long: []string{"--arg-file", "--delimiter", "--max-args", "--max-procs", "--replace"}}, true
	case "flock":
		return wrapper{valued: "wE", operands: 1}, true
	case "gosu", "su-exec":
		return wrapper{operands: 1}, true
	case "runuser", "setpriv":
		return wrapper{valued: "ug"}, true
	case "chroot":
		return wrapper{operands: 1}, true
	case "nsenter":
		return wrapper{valued: "tSGF", long: []string{"--target", "--setuid", "--setgid"}}, true
	case "unshare":
		return wrapper{valued: "SGRw"}, true
	}
	return wrapper{}, false
}

// argv takes the words of one command, unwrapping what runs others. stdin is a text that the command reads.
func (r *reader) argv(words []string, ctx context, stdin string) {
	for len(words) > 0 {
		if name, value, ok := strings.Cut(words[0], "="); ok && !strings.ContainsAny(name, "/-.$ ") && name != "" {
			if name == "DOCKER_HOST" {
				r.out.DockerHosts = append(r.out.DockerHosts, Said{value, ctx.line + 1})
			}
			words = words[1:]
			continue
		}
		name := path.Base(words[0])
		if Is(name) {
			r.shell(words, ctx, stdin)
			return
		}
		if name == "su" || name == "eval" || name == "trap" {
			r.quoted(name, words[1:], ctx)
			return
		}
		w, ok := wrapperOf(name)
		if !ok {
			if strings.HasSuffix(name, ".sh") || strings.HasPrefix(words[0], "/") {
				r.out.Runs = append(r.out.Runs, words[0])
			}
			r.out.Calls = append(r.out.Calls, Call{Argv: words, Root: ctx.root, Host: ctx.host, Line: ctx.line + 1})
			return
		}
		if name == "chroot" {
			// A rule asks for the capability that chroot itself takes.
			r.out.Calls = append(r.out.Calls, Call{Argv: words, Root: ctx.root, Host: ctx.host, Line: ctx.line + 1})
		}
		options, operands, rest := w.split(words[1:])
		switch {
		case name == "command" && len(options) > 0 && strings.ContainsAny(options[0], "vV"):
			return
		case name == "chroot" && len(operands) == 1:
			ctx.root = operands[0]
		case name == "nsenter" && enters(options):
			ctx.host, ctx.root = true, ""
		}
		// These run a shell when they are told no command.
		if len(rest) == 0 && stdin != "" && (name == "chroot" || name == "nsenter") && ctx.depth < maxDepth {
			ctx.depth++
			r.script(stdin, ctx)
			return
		}
		if name == "flock" && len(rest) == 2 && (rest[0] == "-c" || rest[0] == "--command") {
			rest = rest[1:]
		}
		// flock and watch take a whole line as well.
		if len(rest) == 1 && strings.ContainsAny(rest[0], " \n") && ctx.depth < maxDepth {
			ctx.depth++
			r.script(rest[0], ctx)
			return
		}
		words = rest
	}
}

// split separates a wrapper's options and operands from the command that follows.
func (w wrapper) split(words []string) (options, operands, rest []string) {
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		o := words[0]
		words = words[1:]
		options = append(options, o)
		if o == "--" {
			break
		}
		takes := false
		if strings.HasPrefix(o, "--") {
			for _, l := range w.long {
				takes = takes || o == l
			}
		} else {
			// The value follows as its own word only when the letter is the last one.
			takes = len(o) > 1 && strings.IndexByte(w.valued, o[len(o)-1]) >= 0
		}
		if takes && len(words) > 0 {
			options = append(options, words[0])
			words = words[1:]
		}
	}
	n := min(w.operands, len(words))
	operands, words = words[:n], words[n:]
	for len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	return options, operands, words
}

// enters reports whether nsenter's options lead into the mount namespace of the node's first process.
func enters(options []string) bool {
	first, mounts := false, false
	for i, o := range options {
		switch {
		case o == "-t" || o == "--target":
			first = first || i+1 < len(options) && options[i+1] == "1"
		case o == "-t1", o == "--target=1":
			first = true
		case strings.Contains(o, "/1/ns/mnt"):
			first, mounts = true, true
		case o == "-a", o == "--all", o == "--mount", strings.HasPrefix(o, "-") && !strings.HasPrefix(o, "--") && strings.ContainsAny(o, "ma"):
			mounts = true
		}
	}
	return first && mounts
}

// Is reports whether a program of that base name is a shell.
func Is(name string) bool {
	switch name {
	case "sh", "bash", "ash", "dash", "zsh", "ksh":
		return true
	}
	return false
}

// shell takes the words of a shell: the script after -c, the file that it is to run, or what it reads.
func (r *reader) shell(words []string, ctx context, stdin string) {
	if ctx.depth >= maxDepth {
		return
	}
	ctx.depth++
	command := false
	for i := 1; i < len(words); i++ {
		switch o := words[i]; {
		case o == "-o" || o == "+o" || o == "-O" || o == "--rcfile" || o == "--init-file":
			i++
		case strings.HasPrefix(o, "--"):
		case strings.HasPrefix(o, "-") && len(o) > 1:
			command = command || strings.ContainsRune(o, 'c')
			if strings.HasSuffix(o, "o") {
				i++
			}
		case command:
			r.script(o, ctx)
			return
		default:
			r.out.Runs = append(r.out.Runs, o)
			return
		}
	}
	if stdin != "" {
		r.script(stdin, ctx)
	}
}

// quoted takes the words of a command that gets another one as text.
func (r *reader) quoted(name string, words []string, ctx context) {
	if ctx.depth >= maxDepth {
		return
	}
	ctx.depth++
	switch name {
	case "eval":
		r.script(strings.Join(words, " "), ctx)
	case "trap":
		if len(words) > 1 {
			r.script(words[0], ctx)
		}
	case "su":
		for i, w := range words {
			if (w == "-c" || w == "--command") && i+1 < len(words) {
				r.script(words[i+1], ctx)
			}
		}
	}
}
