package check

import (
	"fmt"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Files returns what rules say about the files that a plan changes, which are known only once it is made.
func Files(f *v1alpha1.Facts, changed []v1alpha1.FileState) []v1alpha1.Finding {
	var paths []string
	for _, x := range changed {
		if x.Type != v1alpha1.Directory {
			paths = append(paths, x.Path)
		}
	}
	return append(identified("N009", f.Node, managed(f, paths)), identified("N010", f.Node, mounted(f, changed))...)
}

// managed names, for each agent of configuration management, what would have to be changed there, too.
func managed(f *v1alpha1.Facts, paths []string) []v1alpha1.Finding {
	var out []v1alpha1.Finding
	for _, m := range f.Managers {
		if len(paths) == 0 {
			break
		}
		hint := fmt.Sprintf("change the listed files in what %s manages, too, before it runs again; those that it doesn't manage need nothing", m.Name)
		out = append(out, shown(warn(hint, "%s manages this node (%s) and may undo what the switch writes", m.Name, several(m.Seen)), paths...)...)
	}
	return out
}

// several is the first of a list, and how many more there are.
func several(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return fmt.Sprintf("%s and %d more", list[0], len(list)-1)
}

// mounted tells of paths that no rename can replace.
func mounted(f *v1alpha1.Facts, changed []v1alpha1.FileState) []v1alpha1.Finding {
	var out []v1alpha1.Finding
	told := map[string]bool{}
	for _, x := range changed {
		m := mountOf(f, x.Path)
		switch {
		case told[m.Path]:
		case m.Path == x.Path:
			out = append(out, shown(stop("umount "+x.Path+" and change the file below the mount; then change what mounts it",
				"%s is mounted by itself: the switch can't replace it", x.Path), x.Path)...)
		case m.ReadOnly:
			out = append(out, shown(stop("mount -o remount,rw "+m.Path+", for good",
				"%s is mounted read-only: the switch can't write %s", m.Path, x.Path), m.Path)...)
		default:
			continue
		}
		told[m.Path] = true
	}
	return out
}

// mountOf is the mount that a path lies on: the nearest one above, and of several at one place the last.
func mountOf(f *v1alpha1.Facts, path string) v1alpha1.Mount {
	var out v1alpha1.Mount
	for _, m := range f.Mounts {
		above := m.Path == "/" || path == m.Path || strings.HasPrefix(path, m.Path+"/")
		if above && len(m.Path) >= len(out.Path) {
			out = m
		}
	}
	return out
}
