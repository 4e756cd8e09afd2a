package check

import (
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// programFresh looks at the daemons of both sides that run.
func programFresh(n *node) []v1alpha1.Finding {
	var units []string
	for _, name := range []v1alpha1.RuntimeName{n.from, n.to.Name} {
		if d, err := runtimes.Get(name); err == nil {
			units = append(units, d.UnitsOn(n.f)...)
		}
	}
	var out []v1alpha1.Finding
	for _, r := range n.f.Runtimes {
		for _, p := range r.Processes {
			if !slices.Contains(units, p.Unit) {
				continue
			}
			runs, disk := versions(r, path.Base(p.Exe))
			if !p.Replaced && runtimes.SameRelease(runs, disk) {
				continue
			}
			out = append(out, replaced(p.Unit, p, runs, disk)...)
		}
	}
	return out
}

// versions are the release of a daemon that answers over CRI and that of its file; cri-dockerd answers with Docker's.
func versions(r v1alpha1.RuntimeInfo, daemon string) (runs, disk string) {
	disk = r.Binaries[daemon].Version
	if r.CRI == nil || daemon == "cri-dockerd" {
		return "", disk
	}
	return r.CRI.RuntimeVersion, disk
}

func kubeletProgram(n *node) []v1alpha1.Finding {
	k := n.f.Kubelet
	if !k.Replaced {
		return nil
	}
	return replaced(n.v.Unit, v1alpha1.Process{PID: k.PID, Exe: k.Exe}, "", k.Version)
}

// replaced tells of a process whose file isn't the one that a start would start.
func replaced(unit string, p v1alpha1.Process, runs, disk string) []v1alpha1.Finding {
	what := "its file was replaced since it was started"
	switch {
	case disk == "":
		what = "its file was removed since it was started"
	case !runtimes.SameRelease(runs, disk):
		what = fmt.Sprintf("version %s runs and version %s is on disk", runs, disk)
	}
	hint := "run systemctl restart " + unit + " and see whether the node is Ready, or install the version that runs again"
	return shown(stop(hint, "%s has not been restarted since %s was upgraded: %s", unit, path.Base(p.Exe), what), fmt.Sprintf("process %d (%s)", p.PID, p.Exe))
}

// clients are programs of runtimes that neither a switch nor a daemon runs: they are asked for their version alone.
var clients = map[string]bool{"docker": true}

// rootsAlone tells of programs of both sides, and of the kubelet's, that the node agent did not run.
func rootsAlone(n *node) []v1alpha1.Finding {
	var out []v1alpha1.Finding
	if k := n.f.Kubelet; k.Untrusted != "" {
		out = append(out, shown(stop(handBack(k.Untrusted), "others than root may write %s, so %s is not asked for its version, and a restart of the kubelet may run another program",
			k.Untrusted, k.Exe), k.Untrusted)...)
	}
	for _, r := range n.f.Runtimes {
		if r.Name != n.from && r.Name != n.to.Name {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(r.Binaries)) {
			b := r.Binaries[name]
			if b.Untrusted == "" {
				continue
			}
			say := stop
			if clients[name] {
				say = warn
			}
			out = append(out, shown(say(handBack(b.Untrusted), "others than root may write %s, so %s of %s is not run", b.Untrusted, b.Path, r.Name), b.Untrusted)...)
		}
	}
	return out
}

// handBack is what makes a file or directory root's alone.
func handBack(at string) string {
	return "run chown root:root " + at + " and chmod go-w " + at + ", once you know that what lies there is what was installed"
}
