package v1alpha1

import "strings"

// Sealed begins the digest of a content as it leaves a node: an HMAC, with a key that stays there, of the content's sha256. Digests that
// don't begin so are the sha256 itself: those in the node's own records, and in documents of programs that sealed none.
const Sealed = "hmac-sha256:"

// EarlyDropIn is the base name of the drop-ins that hold a unit back while a run is open and its files aren't settled.
const EarlyDropIn = "00-kubectl-runtime-early.conf"

// Foreign leaves out of a directory's listing what is ours while a run is open: nobody's plan may depend on it.
func Foreign(entries []string) []string {
	var out []string
	for _, e := range entries {
		if e == EarlyDropIn || strings.HasPrefix(e, "kubectl-runtime-") || strings.HasPrefix(e, ".kubectl-runtime") {
			continue
		}
		out = append(out, e)
	}
	return out
}
