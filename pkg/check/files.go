package check

import (
	"fmt"

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
	return identified("N009", f.Node, managed(f, paths))
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
