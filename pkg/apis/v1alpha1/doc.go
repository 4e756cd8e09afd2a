// Package v1alpha1 holds the types that the plugin and the agent exchange: what was seen on a node (Facts), what is
// wanted there (Plan, State), what became of it (Run, Progress) and what was noticed on the way (Finding).
//
// It holds types and trivial accessors only and imports nothing but the standard library's text, encoding and time
// packages: both programs link it. Its path is the first version's; APIVersion is that of the documents.
package v1alpha1
