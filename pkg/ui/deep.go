package ui

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/cli-runtime/pkg/printers"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// Deep is one node in full.
type Deep struct {
	Status v1alpha1.NodeStatus
	Facts  *v1alpha1.Facts
	View   kubelet.View
	// ViewErr says why View is empty.
	ViewErr error
	// Err says why there are no Facts.
	Err error
}

// Deep prints nodes in full, each after the other.
func (u *UI) Deep(nodes []Deep) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.erase()
	for i, d := range nodes {
		if i > 0 {
			fmt.Fprintln(u.out)
		}
		d.print(u.out, u.outStyle, u.now())
	}
}

func (d Deep) print(w io.Writer, s style, now time.Time) {
	n := d.Status
	head := []string{s.bold(clean(n.Metadata.Name)), clean(join(string(n.Runtime), n.RuntimeVersion)), clean(string(n.State)), clean(n.Reason)}
	head = slices.DeleteFunc(head, func(h string) bool { return h == "" })
	fmt.Fprintln(w, strings.Join(head, "  "))
	if d.Facts == nil {
		fmt.Fprintf(w, "  %s the node could not be asked: %s\n", s.red(s.fail), clean(fmt.Sprint(d.Err)))
		return
	}
	f := d.Facts
	d.machine(w)
	d.kubelet(w, s, now)
	section(w, s, "Where endpoints are set", "READER\tKEY\tVALUE\tAT\tWINS", d.places())
	section(w, s, "Runtimes", "RUNTIME\tVERSION\tPROGRAM\tCRI\tCGROUP\tPODS\tIMAGES\tSOCKETS", runtimes(f))
	section(w, s, "Containers that Kubernetes doesn't own", "RUNTIME\tSCOPE\tNAME\tIMAGE\tRUNNING", foreign(f))
	section(w, s, "Units", "UNIT\tACTIVE\tENABLED\tSINCE\tNOTE", units(f, now))
	section(w, s, "Stores", "PATH\tFREE\tOF\tFREE INODES\tUSED BY", stores(f))
	section(w, s, "Runs", "RUN\tFROM\tTO\tSTATE\tWHEN\tBY\tREASON", d.runs(now))
	for _, p := range f.Problems {
		fmt.Fprintf(w, "  %s %s\n", s.yellow(s.warn), clean(p))
	}
}

func (d Deep) machine(w io.Writer) {
	m := d.Facts.Machine
	text := fmt.Sprintf("%s, kernel %s, %s, cgroup v%d", m.OSName, m.Kernel, m.Architecture, m.CgroupVersion)
	if m.SystemdVersion > 0 {
		text += fmt.Sprintf(", systemd %d", m.SystemdVersion)
	} else {
		text += ", no systemd"
	}
	if m.SELinux != "" {
		text += ", SELinux " + m.SELinux
	}
	if m.ReadOnlyUsr {
		text += ", read-only system"
	}
	fmt.Fprintf(w, "  machine   %s\n", clean(text))
}

func (d Deep) kubelet(w io.Writer, s style, now time.Time) {
	k := d.Facts.Kubelet
	health := "healthy"
	if !k.Healthy {
		health = s.red("not healthy")
	}
	unit := k.Unit
	if unit == "" {
		unit = "no systemd unit"
	}
	fmt.Fprintf(w, "  kubelet   %s, %s, %s, up %s", clean(k.Version), clean(unit), health, age(k.Started, now))
	if d.ViewErr != nil {
		fmt.Fprintf(w, "\n  %s %s\n", s.yellow(s.warn), clean(d.ViewErr.Error()))
		return
	}
	v := d.View
	by := string(v.Installer)
	if v.Why != "" {
		by += " (" + v.Why + ")"
	}
	fmt.Fprintf(w, ", installed by %s\n", clean(by))
	endpoint := v.Endpoint
	if v.Dockershim {
		endpoint += " (dockershim, in the kubelet itself)"
	}
	if v.ImageEndpoint != "" {
		endpoint += ", images from " + v.ImageEndpoint
	}
	fmt.Fprintf(w, "  endpoint  %s\n", clean(endpoint))
	fmt.Fprintf(w, "  cgroups   kubelet %s\n", clean(driver(v.CgroupDriver)))
	if v.ControlPlane {
		fmt.Fprintf(w, "  role      control plane: its API server runs on this node\n")
	}
}

func driver(name string) string {
	if name == "" {
		return "asks the runtime"
	}
	return name
}

func (d Deep) places() [][]string {
	var rows [][]string
	for _, p := range d.View.Places {
		at := "the command line"
		if p.File != "" {
			at = p.File
			if p.Line > 0 {
				at += fmt.Sprintf(":%d", p.Line)
			}
		}
		key := p.Key
		if p.Variable != "" {
			key = p.Variable + " " + key
		}
		wins := ""
		if p.Wins {
			wins = "yes"
		}
		rows = append(rows, []string{string(p.Reader), key, p.Value, at, wins})
	}
	return rows
}

// daemon names the program that is a runtime, among those that come with it.
func daemon(r v1alpha1.RuntimeName) string {
	switch r {
	case v1alpha1.CRIO:
		return "crio"
	case v1alpha1.Docker:
		return "dockerd"
	}
	return string(r)
}

func runtimes(f *v1alpha1.Facts) [][]string {
	var rows [][]string
	for _, r := range f.Runtimes {
		if !r.Installed() && len(r.Processes) == 0 && r.CRI == nil {
			continue
		}
		answers, cgroup, pods, images := "not running", "", "", ""
		if len(r.Processes) > 0 || len(r.Sockets) > 0 {
			answers = "no answer"
		}
		if c := r.CRI; c != nil {
			answers = "ready"
			if !c.RuntimeReady {
				answers = "runtime not ready"
			} else if !c.NetworkReady {
				answers = "network not ready"
			}
			answers += " (" + c.APIVersion + ")"
			cgroup, pods, images = c.CgroupDriver, fmt.Sprint(c.Sandboxes), fmt.Sprint(len(c.Images))
		}
		names := slices.Sorted(maps.Keys(r.Binaries))
		main := daemon(r.Name)
		b := r.Binaries[main]
		rows = append(rows, []string{string(r.Name), b.Version, b.Path, answers, cgroup, pods, images, strings.Join(r.Sockets, " ")})
		for _, name := range names {
			if b := r.Binaries[name]; name != main {
				rows = append(rows, []string{" ", b.Version, b.Path, " ", " ", " ", " ", " "})
			}
		}
	}
	return rows
}

func foreign(f *v1alpha1.Facts) [][]string {
	var rows [][]string
	for _, r := range f.Runtimes {
		for _, c := range r.Foreign {
			running := "no"
			if c.Running {
				running = "yes"
			}
			name := c.Name
			if name == "" {
				name = c.ID[:min(len(c.ID), 12)]
			}
			rows = append(rows, []string{string(r.Name), c.Scope, name, c.Image, running})
		}
	}
	return rows
}

func units(f *v1alpha1.Facts, now time.Time) [][]string {
	var rows [][]string
	for _, x := range f.Units {
		if x.LoadState == "not-found" {
			continue
		}
		var notes []string
		if x.LoadState != "loaded" {
			notes = append(notes, x.LoadState)
		}
		if x.NeedDaemonReload {
			notes = append(notes, "changed on disk, not reloaded")
		}
		rows = append(rows, []string{x.Name, x.ActiveState + " (" + x.SubState + ")", x.FileState, age(x.ActiveSince, now), strings.Join(notes, ", ")})
	}
	return rows
}

func stores(f *v1alpha1.Facts) [][]string {
	var rows [][]string
	for _, fs := range f.Filesystems {
		var users []string
		for _, r := range f.Runtimes {
			if r.StorePath == fs.Path && r.StoreBytes > 0 {
				users = append(users, fmt.Sprintf("%s %s", r.Name, size(r.StoreBytes)))
			}
		}
		rows = append(rows, []string{fs.Path, size(fs.FreeBytes), size(fs.Bytes), fmt.Sprint(fs.FreeInodes), strings.Join(users, ", ")})
	}
	return rows
}

func (d Deep) runs(now time.Time) [][]string {
	list := d.Facts.Runs
	if open := d.Facts.OpenRun; open != nil && !slices.ContainsFunc(list, func(r v1alpha1.Run) bool { return r.ID == open.ID }) {
		list = append([]v1alpha1.Run{*open}, list...)
	}
	var rows [][]string
	for _, r := range list {
		state := phaseWord(r.Phase)
		if r.Phase == v1alpha1.PhaseApplied && r.DeadlineIn > 0 {
			state += fmt.Sprintf(" (back in %s)", seconds(r.DeadlineIn))
		}
		rows = append(rows, []string{r.ID, join(string(r.From), r.FromVersion), join(string(r.To), r.ToVersion), state, age(r.Created, now), r.By, brief(r.Reason)})
	}
	return rows
}

// section prints a headed table, or nothing when it has no rows.
func section(w io.Writer, s style, title, header string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(w, "\n  %s\n", s.bold(title))
	var text strings.Builder
	tab := printers.GetNewTabWriter(&text)
	fmt.Fprintf(tab, "    %s\n", header)
	for _, r := range rows {
		cells := make([]string, len(r))
		for i, c := range r {
			if cells[i] = clean(c); c == "" {
				cells[i] = none
			}
		}
		fmt.Fprintf(tab, "    %s\n", strings.Join(cells, "\t"))
	}
	_ = tab.Flush()
	for line := range strings.Lines(text.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
}

// size writes a size as Kubernetes writes quantities: 12Gi.
func size(n int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1 << 40, "Ti"}, {1 << 30, "Gi"}, {1 << 20, "Mi"}, {1 << 10, "Ki"}} {
		if n >= 10*unit.bytes {
			return fmt.Sprintf("%d%s", n/unit.bytes, unit.name)
		}
		if n >= unit.bytes {
			return fmt.Sprintf("%.1f%s", float64(n)/float64(unit.bytes), unit.name)
		}
	}
	return fmt.Sprint(n)
}
