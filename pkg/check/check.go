// Package check holds the rules that say what would break when a node changes its runtime. Each has a stable ID.
//
// The package is pure: it may import runtimes, kubelet and apis and reaches no machine.
package check

import (
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/kubelet"
)

// Rule is one thing that is looked at.
type Rule struct {
	// ID is stable: N… about the node, K… about the kubelet, R… about the runtimes.
	ID string
	// Title says in a few words what holds where the rule has nothing to say.
	Title string
	// Doc says why it matters and what to do, for the reference.
	Doc string
}

// List returns all rules in the order of their IDs.
func List() []Rule { return nil }

// Switch returns what rules say about moving the node to another runtime, errors first.
func Switch(f *v1alpha1.Facts, v kubelet.View, to v1alpha1.RuntimeName) []v1alpha1.Finding {
	return nil
}
