package facts

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

// crontabs reads the tables of cron and the scripts in its directories.
func (s *callScan) crontabs() {
	const ofSystem, ofUser, ofAnacron = 6, 5, 3 // fields before the command
	s.crontab("/etc/crontab", ofSystem)
	s.crontab("/etc/anacrontab", ofAnacron)
	for _, p := range s.list("/etc/cron.d") {
		s.crontab(p, ofSystem)
	}
	for _, dir := range []string{"/var/spool/cron", "/var/spool/cron/crontabs"} {
		for _, p := range s.list(dir) {
			s.crontab(p, ofUser)
		}
	}
	for _, dir := range []string{"/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly"} {
		for _, p := range s.list(dir) {
			s.script(p, v1alpha1.RuntimeCall{Kind: v1alpha1.CallCron}, "")
		}
	}
}

var cronVariable = regexp.MustCompile(`^["']?([A-Za-z_][A-Za-z0-9_]*)["']?\s*=\s*["']?([^"']*)["']?$`)

func (s *callScan) crontab(p string, fields int) {
	t, ok := s.read(p)
	if !ok {
		return
	}
	at := newPlace(v1alpha1.CallCron, t)
	for i, line := range strings.Split(t.body, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if m := cronVariable.FindStringSubmatch(line); m != nil {
			if m[1] == "DOCKER_HOST" {
				at.host = m[2]
			}
			continue
		}
		script := s.parser.Script(cronCommand(line, fields))
		for k := range script.Calls {
			script.Calls[k].Line = 1
		}
		s.add(at, script, i)
		s.run(at, script.Runs, i+1)
	}
}

// cronCommand returns the command of a line: what follows the times and, in a system's table, the user. A percent sign ends it
// unless it is escaped.
func cronCommand(line string, fields int) string {
	if strings.HasPrefix(line, "@") {
		fields = max(fields-4, 1) // one word stands for five
	}
	for range fields {
		i := strings.IndexAny(line, " \t")
		if i < 0 {
			return ""
		}
		line = strings.TrimLeft(line[i:], " \t")
	}
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line) && line[i+1] == '%':
			i++
			b.WriteByte('%')
		case line[i] == '%':
			return b.String()
		default:
			b.WriteByte(line[i])
		}
	}
	return b.String()
}

// scripts reads the scripts in the usual places.
func (s *callScan) scripts() {
	dirs := []string{"/usr/local/bin", "/usr/local/sbin", "/root/bin", "/opt/bin", "/etc/NetworkManager/dispatcher.d", "/etc/profile.d"}
	for _, p := range s.list("/opt") {
		dirs = append(dirs, path.Join(p, "bin"))
	}
	for _, dir := range dirs {
		for _, p := range s.list(dir) {
			s.script(p, v1alpha1.RuntimeCall{Kind: v1alpha1.CallScript}, "")
		}
	}
	for _, p := range s.list("/etc/init.d") {
		if !ownUnit(path.Base(p) + ".service") {
			s.script(p, v1alpha1.RuntimeCall{Kind: v1alpha1.CallScript}, "")
		}
	}
	for _, p := range []string{"/etc/rc.local", "/etc/rc.d/rc.local"} {
		s.script(p, v1alpha1.RuntimeCall{Kind: v1alpha1.CallScript}, "")
	}
}

// script reads one script, once for each unit that runs it; by says where a unit or a cron job does. What nobody runs by that must
// be executable, but for what shells read when somebody logs in.
func (s *callScan) script(p string, as v1alpha1.RuntimeCall, by string) {
	key := seenScript{p, as.Unit, as.Kind}
	if ownScript(path.Base(p)) {
		return
	}
	if s.seen[key] {
		s.alsoRun(key, by)
		return
	}
	t, ok := s.read(p)
	if !ok {
		return
	}
	sourced := strings.HasPrefix(p, "/etc/profile.d/")
	if !t.executable && by == "" && !sourced {
		return
	}
	s.seen[key] = true
	if !shell.Interesting(t.body) {
		return
	}
	at := newPlace(as.Kind, t)
	at.call.Unit = as.Unit
	if by != "" {
		at.call.RunBy = []string{by}
	}
	switch first, _, _ := strings.Cut(t.body, "\n"); {
	case shell.IsForeign(path.Base(p), t.body):
		s.add(at, shell.Script{Calls: s.parser.Foreign(t.body)}, 0)
	case forShell(first) || by != "" && !strings.HasPrefix(first, "#!") || sourced:
		s.add(at, s.parser.Script(t.body), 0)
	}
}

// alsoRun adds another place that runs a script whose calls are known.
func (s *callScan) alsoRun(key seenScript, by string) {
	for i := range s.out {
		c := &s.out[i]
		if c.Path == key.path && c.Unit == key.unit && c.Kind == key.kind && by != "" && !slices.Contains(c.RunBy, by) {
			c.RunBy = append(c.RunBy, by)
		}
	}
}

func forShell(first string) bool {
	if !strings.HasPrefix(first, "#!") {
		return false
	}
	return slices.ContainsFunc(strings.Fields(first[2:]), func(w string) bool { return shell.Is(path.Base(w)) })
}

// ownScript reports whether a script of that name comes with a runtime.
func ownScript(name string) bool {
	switch name {
	case "dockerd-rootless.sh", "dockerd-rootless-setuptool.sh", "containerd-rootless.sh", "containerd-rootless-setuptool.sh",
		"dockerd-entrypoint.sh", "docker-entrypoint.sh", "dind", "check-config.sh":
		return true
	}
	return false
}

// dockerLogs is where Docker writes what containers print.
const dockerLogs = "/var/lib/docker/containers"

// logrotate reads its configurations: which logs they rotate, and what they call before and after.
func (s *callScan) logrotate() {
	for _, p := range append([]string{"/etc/logrotate.conf"}, s.list("/etc/logrotate.d")...) {
		t, ok := s.read(p)
		if !ok {
			continue
		}
		at := newPlace(v1alpha1.CallLogrotate, t)
		begin := -1
		lines := strings.Split(t.body, "\n")
		for i, line := range lines {
			line = strings.TrimSpace(line)
			switch {
			case begin >= 0 && line == "endscript":
				s.add(at, s.parser.Script(strings.Join(lines[begin:i], "\n")), begin)
				begin = -1
			case begin >= 0 || strings.HasPrefix(line, "#"):
			case slices.Contains([]string{"prerotate", "postrotate", "firstaction", "lastaction", "preremove"}, line):
				begin = i + 1
			case strings.Contains(line, dockerLogs) && len(s.out) < maxCalls:
				c := at.call
				c.Line, c.Text, c.Runtime, c.Logs = i+1, at.line(i+1), v1alpha1.Docker, true
				s.out = append(s.out, c)
			}
		}
	}
}
