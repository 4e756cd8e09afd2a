package runtimes

import (
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/edit"
)

// raise makes a file of version 1, such as Docker's packages ship, one of version 2 where containerd 2 reads it: that
// renames the plugins of version 1 but ignores what they say of CRI (2.0 to 2.2), and still starts. It reports whether
// the file can say what is needed.
func (e *ctdEdit) raise(file *ctdFile) bool {
	if file.version > 1 || !known(e.version) || before(e.version, 2, 0, 0) {
		return true
	}
	d := e.draft(file)
	now := parseTree(d.Text())
	// In version 2 the short names of plugins are errors in lists and mean nothing as tables.
	names := slices.Concat(now.strs("disabled_plugins"), now.strs("required_plugins"), now.keys("plugins"))
	short := slices.DeleteFunc(names, func(id string) bool { return strings.Contains(id, ".") })
	if len(short) > 0 {
		if len(e.refusals) == 0 {
			e.refusals = append(e.refusals, at(failure(Unreadable, "write it anew with version = 2 and the plugins' full names",
				"containerd %s ignores what a file of version 1 says of CRI, and this one names plugins as only version 1 does: %s", e.version, strings.Join(short, ", ")), file.path, 0))
		}
		return false
	}
	e.fail(file.path, d.Apply(edit.TOMLSet(d.Text(), []string{"version"}, 2)))
	e.why[file.path] = append(e.why[file.path], "version 2 of the file")
	file.version, file.tree = 2, parseTree(d.Text())
	return true
}
