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
	// Object is the workload that is concerned, as namespace/kind/name, for findings about workloads. One without a
	// namespace has kind/name.
	Object string `json:"object,omitempty"`
	// Pods counts the live pods of Object.
	Pods int `json:"pods,omitempty"`
	// Nodes are the nodes that those pods are on, sorted.
	Nodes []string `json:"nodes,omitempty"`
	// File and Line say where Object is written, for findings about files. Line counts from 1; 0 is unknown.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Suppressed is the reason for which the finding isn't counted; it is empty for one that is.
	Suppressed string `json:"suppressed,omitempty"`
}
