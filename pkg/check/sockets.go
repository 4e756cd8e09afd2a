package check

import (
	"fmt"
	"slices"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/runtimes"
)

// socketPaths tells what stands where runtimes make sockets. The switch clears the paths of the units that it starts, those of
// the source runtime included, which a rollback starts.
func socketPaths(n *node) []v1alpha1.Finding {
	var out []v1alpha1.Finding
	for _, r := range n.f.Runtimes {
		cleared := r.Name == n.to.Name || r.Name == n.from || r.Name == v1alpha1.Containerd && dockerNeedsIt(n)
		for _, b := range r.Blocked {
			what := fmt.Sprintf("%s stands at %s, where %s makes a socket", described(b), b.Path, properRuntime(r.Name))
			again := "a pod that mounts the path without a type makes it again: give its hostPath the type Socket"
			switch {
			case cleared:
				how := "the switch moves it aside"
				if b.Type == v1alpha1.Directory && b.Entries == 0 {
					how = "the switch removes it"
				}
				x := shown(warn(how+"; "+again, "%s: %s would not start", what, properRuntime(r.Name)), b.Path)
				x[0].Severity = v1alpha1.SeverityFixable
				out = append(out, x...)
			case r.Installed():
				out = append(out, shown(warn(byHand(b)+"; "+again, "%s: %s, which this switch doesn't start, would not start", what, properRuntime(r.Name)), b.Path)...)
			}
		}
	}
	return out
}

// dockerNeedsIt reports whether one side is a Docker that uses the node's own containerd.
func dockerNeedsIt(n *node) bool {
	return slices.Contains([]v1alpha1.RuntimeName{n.from, n.to.Name}, v1alpha1.Docker) && runtimes.DockerSharesContainerd(n.f)
}

func described(b v1alpha1.BlockedSocket) string {
	switch {
	case b.Type == v1alpha1.Directory && b.Entries == 0:
		return "an empty directory"
	case b.Type == v1alpha1.Directory && b.Entries == 1:
		return "a directory with 1 entry"
	case b.Type == v1alpha1.Directory:
		return fmt.Sprintf("a directory with %d entries", b.Entries)
	case b.Type == v1alpha1.Symlink:
		return "a symbolic link that leads to no socket"
	case b.Type == v1alpha1.Regular:
		return "a file"
	}
	return "something that is no socket"
}

// byHand is the command that clears the path.
func byHand(b v1alpha1.BlockedSocket) string {
	if b.Type == v1alpha1.Directory && b.Entries == 0 {
		return "run rmdir " + b.Path
	}
	return "move " + b.Path + " aside"
}

// properRuntime is how a runtime writes itself.
func properRuntime(name v1alpha1.RuntimeName) string {
	switch name {
	case v1alpha1.CRIO:
		return "CRI-O"
	case v1alpha1.Docker:
		return "Docker"
	}
	return string(name)
}
