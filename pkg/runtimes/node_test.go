package runtimes

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

const (
	ctdUnitFile = "[Service]\nExecStart=/usr/bin/containerd\n[Install]\nWantedBy=multi-user.target\n"
	crioUnitTxt = "[Service]\nEnvironmentFile=-/etc/default/crio\nExecStart=/usr/bin/crio $CRIO_CONFIG_OPTIONS $CRIO_STORAGE_OPTIONS\n[Install]\nWantedBy=multi-user.target\nAlias=cri-o.service\n"
)

// factsOf are facts of a node that has these files, masked as gather masks them, and these versions.
func factsOf(t *testing.T, versions map[string]string, files map[string]string) *v1alpha1.Facts {
	t.Helper()
	f := &v1alpha1.Facts{Machine: v1alpha1.MachineInfo{CgroupVersion: 2, SystemdVersion: 252}}
	dirs := map[string][]string{}
	for _, dir := range []string{"/opt/cni/bin", "/etc/crio/crio.conf.d", registriesDir, containerdCerts, dockerCerts, containerCerts} {
		dirs[dir] = nil
	}
	for name, content := range files {
		masked, spans := edit.Mask(name, content)
		f.Files = append(f.Files, v1alpha1.File{Path: name, Type: v1alpha1.Regular, Content: masked, Masked: spans, Size: int64(len(content)), Mode: 0o644})
		for dir, below := path.Dir(name), path.Base(name); dir != "/"; dir, below = path.Dir(dir), path.Base(dir) {
			if !slices.Contains(dirs[dir], below) {
				dirs[dir] = append(dirs[dir], below)
			}
		}
	}
	for dir, entries := range dirs {
		slices.Sort(entries)
		f.Dirs = append(f.Dirs, v1alpha1.Dir{Path: dir, Exists: len(entries) > 0, Entries: entries})
		if _, ok := f.File(dir); !ok && len(entries) > 0 {
			f.Files = append(f.Files, v1alpha1.File{Path: dir, Type: v1alpha1.Directory, Mode: 0o755})
		}
	}
	slices.SortFunc(f.Files, func(a, b v1alpha1.File) int { return strings.Compare(a.Path, b.Path) })
	binaries := map[v1alpha1.RuntimeName]map[string]v1alpha1.Binary{}
	for name, version := range versions {
		r := map[string]v1alpha1.RuntimeName{"crio": v1alpha1.CRIO, "dockerd": v1alpha1.Docker, "cri-dockerd": v1alpha1.Docker}[name]
		if r == "" {
			r = v1alpha1.Containerd
		}
		if binaries[r] == nil {
			binaries[r] = map[string]v1alpha1.Binary{}
		}
		binaries[r][name] = v1alpha1.Binary{Path: "/usr/bin/" + name, Version: version}
	}
	for _, d := range All() {
		f.Runtimes = append(f.Runtimes, v1alpha1.RuntimeInfo{Name: d.Name, Binaries: binaries[d.Name]})
		for _, unit := range d.Units {
			u := v1alpha1.Unit{Name: unit, LoadState: "not-found"}
			for _, x := range f.Files {
				switch {
				case x.Path == "/usr/lib/systemd/system/"+unit:
					u.LoadState, u.ActiveState, u.FileState, u.Fragment = "loaded", "inactive", "disabled", x.Path
				case strings.HasPrefix(x.Path, "/etc/systemd/system/"+unit+".d/") && x.Type == v1alpha1.Regular:
					u.DropIns = append(u.DropIns, x.Path)
				}
			}
			for _, e := range parseUnits(f, u).Values("Service", "EnvironmentFile") {
				u.EnvironmentFiles = append(u.EnvironmentFiles, e.Value)
			}
			f.Units = append(f.Units, u)
		}
	}
	return f
}

// parseUnits reads a unit that facts don't hold yet.
func parseUnits(f *v1alpha1.Facts, u v1alpha1.Unit) *edit.Unit {
	with := *f
	with.Units = []v1alpha1.Unit{u}
	return parseUnit(&with, u.Name)
}

var systemdKubelet = kubelet.View{Version: "1.34.4", Minor: 34, CgroupDriver: "systemd"}

// configure returns the files that a runtime gets, resolved with masked contents.
func configure(t *testing.T, name v1alpha1.RuntimeName, f *v1alpha1.Facts, s v1alpha1.Settings) (map[string]string, []v1alpha1.Finding) {
	t.Helper()
	d, err := Get(name)
	if err != nil {
		t.Fatal(err)
	}
	files, findings, err := d.Configure(f, s, systemdKubelet)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, x := range files {
		out[x.Path] = "absent"
		if x.Type == v1alpha1.Regular {
			if out[x.Path], err = resolve(f, x.Content); err != nil {
				t.Fatalf("%s: %v", x.Path, err)
			}
		}
	}
	return out, findings
}

func ids(findings []v1alpha1.Finding) string {
	var out []string
	for _, x := range findings {
		out = append(out, string(x.Severity)+" "+x.ID)
	}
	return strings.Join(out, ", ")
}
