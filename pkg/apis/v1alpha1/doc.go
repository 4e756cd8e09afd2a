// Package v1alpha1 holds the types that the plugin and the agent exchange: what was seen on a node (Facts), what is
// wanted there (Plan, State), what became of it (Run, Progress) and what was noticed on the way (Finding).
//
// It holds types and trivial accessors only and imports nothing but the standard library's encoding and time packages:
// both programs link it.
package v1alpha1

// APIVersion is written into every top-level document of this package.
const APIVersion = "kubectl-runtime/v1alpha1"
