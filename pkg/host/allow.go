package host

import (
	"fmt"
	"path"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// allowlist says which paths may be written, whatever a plan says, and which directories may be made for them.
type allowlist []v1alpha1.WritablePath

// place splits an allowed path into a directory that the list vouches for and the rest below it. The first may be reached
// through symbolic links (an operator moved /var/lib/kubelet to another disk), the rest must not lead out of it.
func (a allowlist) place(p string) (root, rel string, err error) {
	if !path.IsAbs(p) || path.Clean(p) != p || strings.ContainsRune(p, 0) {
		return "", "", fmt.Errorf("writing %q: not a clean absolute path", p)
	}
	for _, w := range a {
		switch {
		case !w.Matches(p) && !w.OnTheWay(p):
		case p == w.Root:
			return path.Dir(p), path.Base(p), nil
		default:
			return w.Root, strings.TrimPrefix(p, w.Root+"/"), nil
		}
	}
	return "", "", fmt.Errorf("writing %s: not among the paths that this program may write", p)
}
