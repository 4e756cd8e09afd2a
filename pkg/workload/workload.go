package workload

import "github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"

// Rules returns all rules in the order of their IDs.
func Rules() []Rule { return nil }

// Check returns what the rules say about the inventory: once per rule and object, errors first, with the evidence of every
// place. Findings that an annotation suppresses carry its reason.
func Check(*Inventory, Options) []v1alpha1.Finding { return nil }
