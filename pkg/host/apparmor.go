//go:build linux

package host

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// maxProfiles is far more than any distribution loads.
const maxProfiles = 2000

// appArmor reads what runtimes ask before they give containers a profile, below root; nil where the kernel has none.
func appArmor(root string) *v1alpha1.AppArmor {
	at := func(name string) string { return filepath.Join(root, name) }
	switched, err := readFile(at("/sys/module/apparmor/parameters/enabled"))
	if err != nil {
		return nil
	}
	out := &v1alpha1.AppArmor{}
	_, err = os.Stat(at("/sys/kernel/security/apparmor"))
	out.Enabled = strings.HasPrefix(string(switched), "Y") && err == nil
	// containerd and Docker look for the first of these, CRI-O for it in PATH, too.
	for _, name := range []string{"/sbin/apparmor_parser", "/usr/sbin/apparmor_parser", "/usr/local/sbin/apparmor_parser", "/usr/bin/apparmor_parser", "/bin/apparmor_parser"} {
		if info, err := os.Stat(at(name)); err == nil && info.Mode().IsRegular() {
			out.Parser = name
			break
		}
	}
	list, err := readFile(at("/sys/kernel/security/apparmor/profiles"))
	if err != nil {
		return out
	}
	// A line is a name and its mode in brackets; a child's name has its parent's before it: "/usr/bin/man//filter (enforce)".
	for line := range strings.Lines(string(list)) {
		line = strings.TrimSpace(line)
		name := line
		if i := strings.LastIndex(line, " ("); i >= 0 {
			name = line[:i]
		}
		if name != "" && !strings.Contains(name, "//") && len(out.Profiles) < maxProfiles {
			out.Profiles = append(out.Profiles, name)
		}
	}
	slices.Sort(out.Profiles)
	return out
}
