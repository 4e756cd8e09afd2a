// Package plan decides everything that a switch does to one node before anything is done: Build makes two photographs
// out of Facts and a goal, Inverse exchanges those of a kept run.
//
// The package is pure: it may import runtimes, kubelet, check, edit and apis and reaches no machine.
package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/check"
)

// Goal is what a plan is to reach.
type Goal struct {
	// Run is the identifier of the run that will apply it.
	Run string
	// To is the runtime that shall serve the kubelet.
	To v1alpha1.RuntimeName
	// KubeadmAnnotation is the value of the node's annotation kubeadm.alpha.kubernetes.io/cri-socket; empty: absent.
	KubeadmAnnotation string
	// Ignore are the IDs of error findings that shall not refuse the plan.
	Ignore []string
}

// Kind says what happens to a path: it is created, changed or removed.
type Kind string

// The kinds of changes.
const (
	Create Kind = "+"
	Change Kind = "~"
	Remove Kind = "-"
)

// FileDiff is one path's change, for people.
type FileDiff struct {
	Path string `json:"path"`
	Kind Kind   `json:"kind"`
	Why  string `json:"why,omitempty"`
	// Unified is the unified diff of masked contents; empty for directories, and where no content is known.
	Unified string `json:"unified,omitempty"`
	// Notes say what the diff can't: another mode, owner or kind, and contents that aren't known.
	Notes []string `json:"notes,omitempty"`
}

// Step is one act of a plan, for people, in the order in which they happen.
type Step struct {
	Kind Kind   `json:"kind"`
	Text string `json:"text"`
}

// ChangedError says that files aren't as a kept run left them, so it can't be undone: kubeadm upgrade writes the kubelet's
// configuration anew, for example.
type ChangedError struct {
	// Run left the files, and Node is where. To is the runtime that served before.
	Run, Node string
	To        v1alpha1.RuntimeName
	Files     []FileDiff
}

// Error implements error.
func (e *ChangedError) Error() string {
	var paths []string
	for _, f := range e.Files {
		paths = append(paths, f.Path)
	}
	return fmt.Sprintf("files were changed since run %s, and a rollback would lose the changes: %s; nothing was changed on node %s; to return to %s and keep them: %s",
		e.Run, strings.Join(paths, ", "), e.Node, e.To, check.Road(e.Node, e.To))
}

// RefusedError says that rules stop the switch: there is no plan.
type RefusedError struct {
	// Findings are all that rules said; at least one has severity error.
	Findings []v1alpha1.Finding
	// Ignored are the IDs that the goal ignores. A firm rule's among them was named in vain.
	Ignored []string
}

// Error implements error.
func (e *RefusedError) Error() string {
	var messages, vain []string
	for _, f := range e.Findings {
		ignored := slices.Contains(e.Ignored, f.ID)
		if f.Severity != v1alpha1.SeverityError || ignored && !check.Firm(f.ID) {
			continue
		}
		messages = append(messages, f.ID+" "+f.Message)
		if ignored && !slices.Contains(vain, f.ID) {
			vain = append(vain, f.ID)
		}
	}
	text := "the node can't be switched: " + strings.Join(messages, "; ")
	if len(vain) > 0 {
		text += "; --ignore can't override " + strings.Join(vain, ", ") + ": no plan would be right"
	}
	return text
}

// NothingError says that the node is where the goal wants it.
type NothingError struct {
	Runtime v1alpha1.RuntimeRef
}

// Error implements error.
func (e *NothingError) Error() string {
	return fmt.Sprintf("%s %s serves the kubelet already", e.Runtime.Name, e.Runtime.Version)
}
