// Package plan decides everything that a switch does to one node before anything is done: Build makes two photographs
// out of Facts and a goal, Inverse exchanges those of a kept run.
//
// The package is pure: it may import runtimes, kubelet, check, edit and apis and reaches no machine.
package plan

import (
	"errors"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Goal is what a plan is to reach.
type Goal struct {
	// Run is the identifier of the run that will apply it.
	Run string
	// To is the runtime that shall serve the kubelet.
	To v1alpha1.RuntimeName
	// KubeadmAnnotation is the value of the node's annotation kubeadm.alpha.kubernetes.io/cri-socket; empty: absent.
	KubeadmAnnotation string
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
	// Unified is the unified diff of masked contents; empty for links and directories, and where no content is known.
	Unified string `json:"unified,omitempty"`
}

// Step is one act of a plan, for people, in the order in which they happen.
type Step struct {
	Kind Kind   `json:"kind"`
	Text string `json:"text"`
}

// Contents returns the masked content behind a key, and whether it is known. A key is a path, for what stands there
// now, or "sha256:" and a digest.
type Contents = func(key string) (string, bool)

// ChangedError says that files aren't as a kept run left them, so it can't be undone.
type ChangedError struct {
	Run   string
	Files []FileDiff
}

// Error implements error.
func (e *ChangedError) Error() string { return "files were changed since run " + e.Run }

var errTodo = errors.New("not implemented")

// Build decides how the node gets to the goal.
func Build(f *v1alpha1.Facts, g Goal) (*v1alpha1.Plan, error) { return nil, errTodo }

// Inverse decides how the node gets back to what was before a kept run, which must be the newest that changed the
// node; see Compose for going back through several. A file that isn't as the run left it is a *ChangedError.
func Inverse(view v1alpha1.RunView, f *v1alpha1.Facts, run string) (*v1alpha1.Plan, error) {
	return nil, errTodo
}

// Compose joins kept runs, newest first, into the view of one run that did all of it.
func Compose(views []v1alpha1.RunView) (v1alpha1.RunView, error) { return v1alpha1.RunView{}, errTodo }

// ContentsOf returns what is known of contents from facts and from the views of kept runs.
func ContentsOf(f *v1alpha1.Facts, views ...v1alpha1.RunView) Contents { return nil }

// Diffs renders every file change of the plan, in the order of the photographs.
func Diffs(p *v1alpha1.Plan, contents Contents) ([]FileDiff, error) { return nil, errTodo }

// Steps renders the acts of the plan.
func Steps(p *v1alpha1.Plan) []Step { return nil }

// Digest is the sha256 of the plan's canonical JSON without digest and findings, hexadecimal.
func Digest(p *v1alpha1.Plan) string { return "" }

// Verify checks a plan that was read from a file: its digest, its paths, its photographs.
func Verify(p *v1alpha1.Plan) error { return errTodo }
