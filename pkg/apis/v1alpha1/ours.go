package v1alpha1

import "strings"

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
