package rollout

import (
	"fmt"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// FindingsError says that rules stop a switch.
type FindingsError struct {
	Node     string
	Findings []v1alpha1.Finding // errors only
}

// Error implements error.
func (e *FindingsError) Error() string {
	var parts []string
	for _, f := range e.Findings {
		text := f.ID + " " + f.Message
		if f.Object != "" {
			text = f.ID + " " + f.Object + " " + f.Message
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// BusyError says that another run is open on the node.
type BusyError struct {
	Node string
	Run  v1alpha1.Run
}

// Error implements error.
func (e *BusyError) Error() string {
	if e.Run.Created.IsZero() {
		return fmt.Sprintf("node %s: %s", e.Node, e.Run.Reason) // its record can't be read
	}
	return fmt.Sprintf("node %s is in the middle of run %s (%s to %s, %s) by %s since %s", e.Node, e.Run.ID, e.Run.From, e.Run.To, e.Run.Phase,
		e.Run.By, e.Run.Created.Local().Format(time.DateTime))
}

// RunError says why a run was taken back or stands still, as the node tells it.
type RunError struct{ Run v1alpha1.Run }

// Error implements error.
func (e *RunError) Error() string {
	if e.Run.Reason != "" {
		return e.Run.Reason
	}
	return fmt.Sprintf("run %s is %s", e.Run.ID, e.Run.Phase)
}

// ProofError says that the new runtime didn't prove itself.
type ProofError struct{ Err error }

// Error implements error.
func (e *ProofError) Error() string { return "the new runtime didn't prove itself: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ProofError) Unwrap() error { return e.Err }
