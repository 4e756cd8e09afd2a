package runtimes

import (
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Names of what we put beside units of others.
const (
	// ParkingDropIn keeps a unit from starting for as long as it is there.
	ParkingDropIn = "zz-kubectl-runtime-parked.conf"
	// OwnDropIn carries what a runtime's unit must be told: proxies, flags.
	OwnDropIn = "90-kubectl-runtime.conf"
	// ModulesFile and SysctlFile make kernel modules and parameters last through boots.
	ModulesFile = "/etc/modules-load.d/kubectl-runtime.conf"
	SysctlFile  = "/etc/sysctl.d/99-kubectl-runtime.conf"
)

const systemdDir = "/etc/systemd/system"

// DropInDir is where the drop-ins of a unit go.
func DropInDir(unit string) string { return path.Join(systemdDir, unit+".d") }

// Parking returns the drop-in that keeps a unit from starting, by whatever road: boot, socket, or another unit that
// wants it.
func Parking(unit string) v1alpha1.FileState {
	file := path.Join(DropInDir(unit), ParkingDropIn)
	return v1alpha1.FileState{
		Path: file, Type: v1alpha1.Regular, Mode: 0o644,
		Content: text("# Written by kubectl runtime: " + unit + " rests while this file is here.\n" +
			"[Unit]\nConditionPathExists=!" + file + "\n"),
		Why: "parks " + unit,
	}
}

// InstallLinks are the symbolic links that enabling a unit makes, per its [Install] section. A unit without one has
// none: it is started by others.
func InstallLinks(f *v1alpha1.Facts, unit string) []v1alpha1.FileState {
	u, ok := f.Unit(unit)
	if !ok || u.Fragment == "" {
		return nil
	}
	parsed := parseUnit(f, unit)
	var out []v1alpha1.FileState
	link := func(file string) {
		out = append(out, v1alpha1.FileState{Path: file, Type: v1alpha1.Symlink, Target: u.Fragment, Why: "enables " + unit})
	}
	for _, kind := range []struct{ key, suffix string }{{"WantedBy", ".wants"}, {"RequiredBy", ".requires"}} {
		for _, e := range parsed.Values("Install", kind.key) {
			for target := range strings.FieldsSeq(e.Value) {
				link(path.Join(systemdDir, target+kind.suffix, unit))
			}
		}
	}
	for _, e := range parsed.Values("Install", "Alias") {
		for alias := range strings.FieldsSeq(e.Value) {
			if alias != unit {
				link(path.Join(systemdDir, alias))
			}
		}
	}
	return slices.CompactFunc(out, func(a, b v1alpha1.FileState) bool { return a.Path == b.Path })
}

// Resets reports whether a drop-in that counts after ours throws conditions away, so that parking wouldn't hold.
func Resets(f *v1alpha1.Facts, unit string) (file string, line int, ok bool) {
	u, found := f.Unit(unit)
	if !found {
		return "", 0, false
	}
	for _, name := range u.DropIns {
		if path.Base(name) <= ParkingDropIn {
			continue
		}
		x, known := f.File(name)
		if !known {
			continue
		}
		for i, l := range strings.Split(x.Content, "\n") {
			key, value, found := strings.Cut(strings.TrimSpace(l), "=")
			if found && strings.HasPrefix(strings.TrimSpace(key), "Condition") && strings.TrimSpace(value) == "" {
				return name, i + 1, true
			}
		}
	}
	return "", 0, false
}

// DockerSharesContainerd reports whether dockerd on this node uses the node's own containerd instead of one that it
// starts itself.
func DockerSharesContainerd(f *v1alpha1.Facts) bool {
	c, ok := f.Unit(containerdUnit)
	if !ok || c.LoadState != "loaded" {
		return false
	}
	d, ok := f.Unit(dockerUnit)
	if !ok || d.LoadState == "not-found" {
		return false
	}
	cmd := command(f, v1alpha1.Docker, "dockerd", dockerUnit)
	if address, ok := cmd.flag("containerd"); ok {
		return strings.HasSuffix(strings.TrimPrefix(address, "unix://"), "run/containerd/containerd.sock")
	}
	if j := daemonJSON(f); j != nil {
		if address, ok := j["containerd"].(string); ok {
			return strings.HasSuffix(address, "run/containerd/containerd.sock")
		}
	}
	// Without a flag dockerd uses the system's containerd when its socket is there, else it starts its own.
	return slices.Contains(slices.Concat(d.Wants, d.Requires, d.BindsTo), containerdUnit)
}

// DockerRuns reports whether dockerd serves on this node.
func DockerRuns(f *v1alpha1.Facts) bool {
	u, ok := f.Unit(dockerUnit)
	return ok && u.ActiveState == "active"
}
