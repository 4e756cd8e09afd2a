package facts

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

// unitDirs are where unit files lie, in the order in which systemd prefers one to another of that name.
var unitDirs = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// units reads services and their drop-ins. A unit that is hidden by another of its name isn't read, nor one that is masked, nor
// what a runtime's own packages bring.
func (s *callScan) units() {
	files := map[string]string{}
	dropIns := map[string][]string{}
	timers := map[string][]string{}
	for _, dir := range unitDirs {
		if lib, err := s.g.m.Files.Lstat("/lib"); strings.HasPrefix(dir, "/lib/") && err == nil && lib.Type == v1alpha1.Symlink {
			continue // it was read by its other name
		}
		for _, p := range s.list(dir) {
			name := path.Base(p)
			unit, isDir := strings.CutSuffix(name, ".d")
			switch {
			case isDir && strings.HasSuffix(unit, ".service"):
				dropIns[unit] = append(dropIns[unit], s.list(p)...)
			case files[name] != "":
			case strings.HasSuffix(name, ".service"):
				files[name] = p
			case strings.HasSuffix(name, ".timer"):
				files[name] = p
				if service := s.timed(p); service != "" {
					timers[service] = append(timers[service], name)
				}
			}
		}
	}
	var names []string
	for name := range files {
		if strings.HasSuffix(name, ".service") {
			names = append(names, name)
		}
	}
	for name := range dropIns {
		if files[name] == "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if ownUnit(name) || s.alias(files[name]) {
			continue
		}
		first := len(s.out)
		for _, p := range append([]string{files[name]}, dropIns[name]...) {
			if p != "" && (p == files[name] || strings.HasSuffix(p, ".conf")) {
				s.unit(name, p)
			}
		}
		s.state(name, s.out[first:], timers[name])
	}
}

// ownUnit reports whether a unit belongs to a runtime, or is this program's.
func ownUnit(name string) bool {
	switch name {
	case "crio-wipe.service", "crio-shutdown.service", "docker-cleanup.service", "docker-storage-setup.service":
		return true
	}
	if strings.HasPrefix(name, "kubectl-runtime-") {
		return true
	}
	return slices.ContainsFunc(runtimes.All(), func(d runtimes.Description) bool { return slices.Contains(d.Units, name) })
}

// alias reports whether a unit file is a second name of another one, or masked.
func (s *callScan) alias(p string) bool {
	if p == "" {
		return false
	}
	if s.over() {
		return false
	}
	f, err := s.files.Lstat(p)
	s.answered(err)
	return err == nil && f.Type == v1alpha1.Symlink && path.Base(f.Target) != path.Base(p)
}

// timed is the unit that a timer starts.
func (s *callScan) timed(p string) string {
	service := strings.TrimSuffix(path.Base(p), ".timer") + ".service"
	t, ok := s.read(p)
	if !ok {
		return ""
	}
	if u, err := edit.ParseUnit(t.body); err == nil {
		for _, e := range u.Values("Timer", "Unit") {
			service = e.Value
		}
	}
	return service
}

// unit reads one file of a unit: what it starts, and what it is tied to.
func (s *callScan) unit(name, p string) {
	t, ok := s.read(p)
	if !ok {
		return
	}
	u, err := edit.ParseUnit(t.body)
	if err != nil {
		return // systemd reads what it can of it; a runtime's user is seen by its connections then
	}
	at := newPlace(v1alpha1.CallUnit, t)
	at.call.Unit = name
	if vars, err := u.Environment(); err == nil {
		for _, v := range vars {
			if v.Name == "DOCKER_HOST" {
				at.host = v.Value
			}
		}
	}
	for _, e := range u.Values("Service", "EnvironmentFile") {
		at.host = cmp.Or(s.hostIn(strings.TrimPrefix(e.Value, "-")), at.host)
	}
	for _, e := range u.Entries {
		switch {
		case e.Section == "Service" && strings.HasPrefix(e.Name, "Exec"):
			s.command(at, e)
		case e.Section == "Unit":
			s.ties(at, e)
		}
	}
}

// hostIn is the DOCKER_HOST of an environment file; empty where there is none.
func (s *callScan) hostIn(p string) string {
	if !path.IsAbs(p) || strings.ContainsAny(p, "%*?[") {
		return ""
	}
	t, ok := s.read(p)
	if !ok || !strings.Contains(t.body, "DOCKER_HOST") {
		return ""
	}
	env, err := edit.ParseEnv(t.body)
	if err != nil {
		return ""
	}
	v, _ := env.Get("DOCKER_HOST")
	return v.Value
}

// ties notes what makes systemd stop the unit together with a runtime's.
func (s *callScan) ties(at place, e edit.UnitEntry) {
	switch e.Name {
	case "Requires", "Requisite", "BindsTo", "PartOf":
	default:
		return
	}
	for _, d := range runtimes.All() {
		for other := range strings.FieldsSeq(e.Value) {
			if slices.Contains(d.Units, other) && len(s.out) < maxCalls {
				c := at.call
				c.Line, c.Text, c.Runtime, c.Setting, c.Ties = e.Line, at.line(e.Line), d.Name, e.Name, true
				s.out = append(s.out, c)
			}
		}
	}
}

// command reads one Exec…= line, which may hold several commands, and the scripts that it runs.
func (s *callScan) command(at place, e edit.UnitEntry) {
	words, err := edit.SplitCommand(e.Value)
	if err != nil {
		words = edit.SplitWords(e.Value) // systemd leaves an escape that it doesn't know as it is
	}
	for len(words) > 0 {
		end := slices.Index(words, ";")
		if end < 0 {
			end = len(words)
		}
		argv := slices.Clone(words[:end])
		words = words[min(end+1, len(words)):]
		if len(argv) == 0 {
			continue
		}
		exe := strings.TrimLeft(argv[0], "@-:+!|")
		prefix := argv[0][:len(argv[0])-len(exe)]
		if argv[0] = exe; strings.Contains(prefix, "@") && len(argv) > 1 {
			argv = slices.Delete(argv, 1, 2) // the name that the program is given
		}
		if exe == "" {
			continue
		}
		at.call.Setting, at.call.MayFail = e.Name, strings.Contains(prefix, "-")
		script := s.parser.Command(argv)
		for i := range script.Calls {
			script.Calls[i].Line = 1 // a line of a command that was joined or quoted isn't one of the file
		}
		s.add(at, script, e.Line-1)
		s.run(at, script.Runs, e.Line)
	}
}

// run reads the scripts that a unit or a cron job runs, wherever they lie.
func (s *callScan) run(by place, scripts []string, line int) {
	for _, p := range scripts {
		if !path.IsAbs(p) || strings.Contains(p, shell.Unknown) {
			continue
		}
		s.script(path.Clean(p), by.call, fmt.Sprintf("%s:%d", by.call.Path, line))
	}
}

// state asks PID 1 for the unit whose calls these are, and for its timers.
func (s *callScan) state(name string, calls []v1alpha1.RuntimeCall, timers []string) {
	if len(calls) == 0 || strings.HasSuffix(name, "@.service") {
		return // nothing to tell, or a template, of which PID 1 knows the instances alone
	}
	u, err := s.g.m.Units.Show(s.ctx, name)
	if err != nil {
		s.g.problem("unit "+name, err)
		return
	}
	var running []string
	for _, t := range timers {
		if x, err := s.g.m.Units.Show(s.ctx, t); err == nil && (x.ActiveState == "active" || strings.HasPrefix(x.FileState, "enabled")) {
			running = append(running, t)
		}
	}
	for i := range calls {
		calls[i].ActiveState, calls[i].FileState, calls[i].Timers = u.ActiveState, u.FileState, running
	}
}
