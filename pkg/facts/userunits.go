package facts

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

// userUnits reads the services of users' own managers, which systemd's first process doesn't know.
func (s *callScan) userUnits(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, homesTimeout)
	defer cancel()
	s.ctx, s.files = ctx, s.g.m.Files.Foreign(ctx)
	dirs := []string{"/etc/systemd/user", "/root/.config/systemd/user"}
	for _, home := range s.list("/home") {
		dirs = append(dirs, path.Join(home, ".config/systemd/user"))
	}
	for _, dir := range dirs {
		units := s.list(dir)
		started := s.startedBy(units)
		for _, p := range units {
			name := path.Base(p)
			if !strings.HasSuffix(name, ".service") || ownUnit(name) || s.alias(p) {
				continue
			}
			first := len(s.out)
			s.unit(name, p)
			// What it requires are units of the user's, not the node's.
			s.out = append(s.out[:first], slices.DeleteFunc(s.out[first:], func(c v1alpha1.RuntimeCall) bool { return c.Ties })...)
			for i := range s.out[first:] {
				c := &s.out[first+i]
				if c.FileState = "disabled"; slices.Contains(started, name) {
					c.FileState = "enabled"
				}
				if rootless := slices.Contains(units, path.Join(dir, "docker.service")); rootless && c.Address == "" {
					c.Address = shell.Unknown // the user's own daemon, by the context that its installer sets
				}
			}
		}
	}
}

// startedBy are the services among units that are enabled, or whose timers are.
func (s *callScan) startedBy(units []string) []string {
	var enabled, out []string
	for _, p := range units {
		if strings.HasSuffix(p, ".wants") || strings.HasSuffix(p, ".requires") {
			for _, link := range s.list(p) {
				enabled = append(enabled, path.Base(link))
			}
		}
	}
	for _, p := range units {
		switch name := path.Base(p); {
		case !slices.Contains(enabled, name):
		case strings.HasSuffix(name, ".timer"):
			out = append(out, s.timed(p))
		default:
			out = append(out, name)
		}
	}
	return out
}
