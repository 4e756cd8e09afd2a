package host

import (
	"fmt"
	"path"
	"strings"
)

// allowlist says below which paths files may be written, whatever a plan says. An entry that ends in a slash allows the
// directory itself and everything below it, another one exactly itself.
type allowlist []string

// place splits an allowed path into a directory that the list vouches for and the rest below it. The first may be reached
// through symbolic links (an operator moved /var/lib/kubelet to another disk), the rest must not lead out of it.
func (a allowlist) place(p string) (root, rel string, err error) {
	if !path.IsAbs(p) || path.Clean(p) != p || strings.ContainsRune(p, 0) {
		return "", "", fmt.Errorf("writing %q: not a clean absolute path", p)
	}
	for _, entry := range a {
		dir, isDir := strings.CutSuffix(entry, "/")
		switch {
		case p == dir && p != "":
			return path.Dir(p), path.Base(p), nil
		case isDir && strings.HasPrefix(p, entry):
			return dir, p[len(entry):], nil
		}
	}
	return "", "", fmt.Errorf("writing %s: not among the paths that this program may write", p)
}
