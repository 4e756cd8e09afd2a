package check

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

// calls are the calls that a switch ends, of those that are wanted, by runtime.
func calls(n *node, name v1alpha1.RuntimeName, wanted func(c v1alpha1.RuntimeCall) bool) []v1alpha1.RuntimeCall {
	if n.f.Users == nil || fateOf(n, name) == stays {
		return nil
	}
	var out []v1alpha1.RuntimeCall
	for _, c := range n.f.Users.Calls {
		switch {
		case c.Runtime != name || !wanted(c) || !ofNode(n, c):
		case (c.Ties || c.Daemon) && fateOf(n, name) != stops: // the daemon goes on
		default:
			out = append(out, c)
		}
	}
	return out
}

// ofNode reports whether a call is meant for the node's own daemon. What only a running shell knows isn't taken for it.
func ofNode(n *node, c v1alpha1.RuntimeCall) bool {
	if c.Address == "" {
		return true
	}
	if strings.Contains(c.Address, shell.Unknown) {
		return false
	}
	d, err := runtimes.Get(c.Runtime)
	if err != nil {
		return false
	}
	sockets, ports := d.Listening(n.f)
	if p := strings.TrimPrefix(c.Address, "unix://"); strings.HasPrefix(p, "/") {
		return slices.ContainsFunc(sockets, func(s string) bool { return strings.TrimPrefix(s, "/var") == strings.TrimPrefix(p, "/var") })
	}
	port, local := localPort(c.Address)
	return local && slices.Contains(ports, port)
}

// localPort returns the port of a tcp:// address of this machine's loopback.
func localPort(address string) (port int, ok bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "tcp" && u.Scheme != "http" && u.Scheme != "https" {
		return 0, false
	}
	if h := u.Hostname(); h != "localhost" && h != "::1" && !strings.HasPrefix(h, "127.") {
		return 0, false
	}
	if u.Port() == "" {
		return 2375, true
	}
	port, err = strconv.Atoi(u.Port())
	return port, err == nil
}

// inUse reports whether a unit runs, or will run by itself.
func inUse(n *node, c v1alpha1.RuntimeCall) bool {
	switch c.ActiveState {
	case "active", "activating", "reloading":
		return true
	}
	if c.Unit == n.f.Kubelet.Unit || len(c.Timers) > 0 {
		return true
	}
	switch c.FileState {
	case "enabled", "enabled-runtime", "generated", "linked", "linked-runtime":
		return true
	case "static", "indirect", "": // started by others, or a template
		return strings.HasPrefix(c.Path, "/etc/") || strings.HasPrefix(c.Path, "/run/")
	}
	return false
}

func units(n *node) []v1alpha1.Finding {
	var out []v1alpha1.Finding
	for _, d := range runtimes.All() {
		of := calls(n, d.Name, func(c v1alpha1.RuntimeCall) bool { return c.Kind == v1alpha1.CallUnit && inUse(n, c) })
		var own, tied, rest []v1alpha1.RuntimeCall
		for _, c := range of {
			switch {
			case c.Unit == n.f.Kubelet.Unit && needed(c):
				own = append(own, c)
			case c.Ties && (c.Unit == n.f.Kubelet.Unit || plugin(c) || !stopsWith(c)): // the switch stops and starts the kubelet
			case c.Ties:
				tied = append(tied, c)
			default:
				rest = append(rest, c)
			}
		}
		if len(own) > 0 {
			out = append(out, shown(stop("take the line out of the unit, daemon-reload and restart the kubelet", "the kubelet's own unit can't start without %s, which stops", d.Name), evidence(own)...)...)
		}
		if len(tied) > 0 {
			out = append(out, shown(warn("take the dependency out of the unit, or start it by hand after the switch", "%s stopped together with %s, and nothing starts %s again", listed(tied, "is", "are"), d.Name, it(tied)), evidence(tied)...)...)
		}
		if len(rest) > 0 {
			out = append(out, shown(warn("change them to what the target has (crictl asks any runtime), or disable them", "%s %s, %s", listed(rest, "calls", "call"), d.Name, fateOf(n, d.Name)), evidence(rest)...)...)
		}
	}
	return out
}

// needed reports whether a unit can't start while the runtime rests.
func needed(c v1alpha1.RuntimeCall) bool {
	switch c.Setting {
	case "BindsTo", "Requisite":
		return true
	case "ExecStart", "ExecStartPre", "ExecCondition":
		return !c.MayFail && len(c.RunBy) == 0
	}
	return false
}

// plugin reports whether a unit is a part of containerd that runs by itself, as snapshotters do.
func plugin(c v1alpha1.RuntimeCall) bool {
	return c.Runtime == v1alpha1.Containerd && (strings.HasPrefix(c.Unit, "containerd-") || strings.HasSuffix(c.Unit, "-snapshotter.service"))
}

// stopsWith reports whether a unit that is tied to the runtime's runs now; one that rests stays as it is.
func stopsWith(c v1alpha1.RuntimeCall) bool {
	return c.ActiveState == "active" || c.ActiveState == "activating" || c.ActiveState == "reloading"
}

func cronJobs(n *node) []v1alpha1.Finding {
	var out []v1alpha1.Finding
	for _, d := range runtimes.All() {
		of := calls(n, d.Name, func(c v1alpha1.RuntimeCall) bool { return c.Kind == v1alpha1.CallCron })
		if len(of) > 0 {
			out = append(out, shown(warn("change them to what the target has, or remove them; the kubelet collects unused images itself",
				"%s %s, %s: they fail from then on", number(len(of), "line of cron jobs calls", "lines of cron jobs call"), d.Name, fateOf(n, d.Name)), evidence(of)...)...)
		}
	}
	return out
}

func scripts(n *node) []v1alpha1.Finding {
	var out []v1alpha1.Finding
	for _, d := range runtimes.All() {
		told := map[string]bool{}
		for _, c := range calls(n, d.Name, func(c v1alpha1.RuntimeCall) bool {
			return c.Kind == v1alpha1.CallCron || c.Kind == v1alpha1.CallUnit && inUse(n, c)
		}) {
			told[place(c.Path, c.Line)] = true
		}
		of := calls(n, d.Name, func(c v1alpha1.RuntimeCall) bool {
			return c.Kind == v1alpha1.CallScript && !told[place(c.Path, c.Line)]
		})
		if len(of) > 0 {
			out = append(out, shown(warn("change them to what the target has, or remove them", "%s %s, %s: they fail from then on", number(len(of), "line of scripts calls", "lines of scripts call"), d.Name, fateOf(n, d.Name)), evidence(of)...)...)
		}
		rotated := calls(n, d.Name, func(c v1alpha1.RuntimeCall) bool { return c.Kind == v1alpha1.CallLogrotate })
		if len(rotated) > 0 {
			out = append(out, shown(warn("remove it: the kubelet rotates the logs of pods (containerLogMaxSize)", "logrotate is configured for %s, %s", d.Name, fateOf(n, d.Name)), evidence(rotated)...)...)
		}
	}
	return out
}

// evidence shows calls with their lines, each line once.
func evidence(list []v1alpha1.RuntimeCall) []string {
	var out []string
	for _, c := range list {
		s := place(c.Path, c.Line)
		if c.Text != "" {
			s += ": " + c.Text
		}
		var by []string
		if len(c.RunBy) > 0 {
			by = append(by, "run at "+strings.Join(c.RunBy, ", "))
		}
		if len(c.Timers) > 0 {
			by = append(by, "started by "+strings.Join(c.Timers, ", "))
		}
		if len(by) > 0 {
			s += " (" + strings.Join(by, "; ") + ")"
		}
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// listed names the units of calls, a few of them, and what they do.
func listed(list []v1alpha1.RuntimeCall, one, many string) string {
	const few = 3
	names := unitsOf(list)
	if len(names) == 1 {
		return "unit " + names[0] + " " + one
	}
	if len(names) > few {
		return fmt.Sprintf("%d units (%s, …) %s", len(names), strings.Join(names[:few], ", "), many)
	}
	return "units " + strings.Join(names, ", ") + " " + many
}

func it(list []v1alpha1.RuntimeCall) string {
	if len(unitsOf(list)) == 1 {
		return "it"
	}
	return "them"
}

func unitsOf(list []v1alpha1.RuntimeCall) []string {
	var out []string
	for _, c := range list {
		if !slices.Contains(out, c.Unit) {
			out = append(out, c.Unit)
		}
	}
	slices.Sort(out)
	return out
}
