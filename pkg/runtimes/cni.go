package runtimes

import (
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

const (
	defaultCNIConf = "/etc/cni/net.d"
	defaultCNIBin  = "/opt/cni/bin"
)

// cniBinDirs are where a runtime looks for network plugins.
func cniBinDirs(d Description, f *v1alpha1.Facts) []string {
	s, _ := d.settings(f)
	return slices.Concat(s.CNIBinDirs, []string{s.CNIConfDir})
}

// CNIConfDirs are the directories in which the runtimes on the node look for the network's configuration.
func CNIConfDirs(f *v1alpha1.Facts) []string {
	var out []string
	for _, d := range All() {
		s, _ := d.settings(f)
		add(&out, path.Clean(s.CNIConfDir))
	}
	return out
}

// lacksPlugins reports whether the target's directories lack plugins that the source's have. Unknown listings count as
// complete: an operator's own directories win.
func lacksPlugins(f *v1alpha1.Facts, target, source []string) bool {
	have := map[string]bool{}
	for _, dir := range target {
		d, ok := f.Dir(path.Clean(dir))
		if !ok {
			return false
		}
		for _, e := range d.Entries {
			have[e] = true
		}
	}
	for _, dir := range source {
		d, _ := f.Dir(path.Clean(dir))
		for _, e := range d.Entries {
			if !have[e] && !strings.ContainsAny(e, ".") && !strings.EqualFold(e, "LICENSE") {
				return true
			}
		}
	}
	return false
}

// sameDir compares directories, a trailing slash aside.
func sameDir(a, b string) bool { return path.Clean(a) == path.Clean(b) }
