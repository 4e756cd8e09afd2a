package v1alpha1

// Severity says what a finding does to a switch.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"   // stops switch
	SeverityFixable Severity = "fixable" // the plan repairs it
	SeverityWarning Severity = "warning"
)

// Finding is something a rule noticed.
type Finding struct {
	// ID is the rule's stable identifier, such as N004.
	ID       string   `json:"id"`
	Severity Severity `json:"severity"`
	// Message is one line: what is so, and why it matters.
	Message string `json:"message"`
	// Evidence are the places that show it: a path with its line, a process, a container.
	Evidence []string `json:"evidence,omitempty"`
	// Hint says what to do about it.
	Hint string `json:"hint,omitempty"`
	Node string `json:"node,omitempty"`
	// Object is the workload that is concerned, as namespace/kind/name, for findings about workloads.
	Object string `json:"object,omitempty"`
}
