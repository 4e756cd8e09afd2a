package rollout

import (
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
)

// Options say how nodes are reached and how patient a run is. The zero value of a field means its default; of a timeout it means
// infinite.
type Options struct {
	// Namespace is where the pods on the nodes live (kube-system).
	Namespace string
	// Image overrides the image of those pods; the default is one that the node already holds.
	Image string
	// By is who asks, as user@host, for the Lease, the node's journal and other people.
	By string
	// Parallel bounds how many nodes Gather asks at once (8).
	Parallel int
	// ConfirmTimeout is how long an applied run waits for its proof before the node rolls itself back. A run needs one: what can't
	// be verified must not stay.
	ConfirmTimeout time.Duration
	// StageTimeout is how long staging may take.
	StageTimeout time.Duration
	// EvacuationGrace is how long pods that stay on a node, of DaemonSets and static ones, may take to end at most; 0 is the longest of
	// their own termination grace periods, up to workload.EvacuationGrace, and NoGraceLimit has no limit.
	EvacuationGrace time.Duration
	// Drain are kubectl drain's own flags.
	Drain cluster.DrainOptions
	// KeepGoing carries a rollout on to the next node when one failed and was rolled back cleanly.
	KeepGoing bool
	// Ignore are the IDs of error findings that shall not stop a switch.
	Ignore []string
	// Abort ends everything at once when it is closed: the second interrupt. What is under way on a node is then
	// protected by the node's own deadline alone. A nil channel never aborts.
	Abort <-chan struct{}
	// Ended is told every node's result as soon as the node is left alone again; nil: nobody.
	Ended func(Result)
	// Program is the command's name in hints ("kubectl runtime"), and Version what is written into plans as the version that made
	// them.
	Program, Version string
}

// Event is something that happened on the way.
type Event struct {
	Node string
	Run  string
	// Step of Of is where the node stands in its switch; 0 outside of one.
	Step int
	Of   int
	// Text is one line without a newline.
	Text string
	// Detail marks a line below a step: a pod evicted, the agent's own progress.
	Detail bool
	// Warning marks what a person should see even when all goes well.
	Warning bool
	// Took is how long the step took, on the event that ends it.
	Took time.Duration
	// Phase is the run's phase on the node, where it is known.
	Phase v1alpha1.Phase
}

// Outcome is how a node's run ended.
type Outcome string

// The ends of a run.
const (
	Switched    Outcome = "switched"
	NothingToDo Outcome = "nothing to do"
	Validated   Outcome = "validated"   // a server-side dry run: staged, checked, removed again
	Refused     Outcome = "refused"     // stopped before anything that serves was changed
	RolledBack  Outcome = "rolled back" // changed and taken back: what was before stands
	Stuck       Outcome = "stuck"       // the state before can't be reached: a person is needed
	Interrupted Outcome = "interrupted" // the operator stopped it; State says where the node is
	Unknown     Outcome = "unknown"     // the node could not be asked any more; it ends alone
)

// Result is the end of one node's run, for people and for the exit code.
type Result struct {
	Node    string
	Run     string
	From    v1alpha1.RuntimeRef
	To      v1alpha1.RuntimeRef
	Outcome Outcome
	// Err is what happened, where something did.
	Err error
	// State is what the node is now, as it and the API server were asked at the end.
	State string
	// Next is the next command to type; empty where none is needed.
	Next string
	// Took is the whole time, Outage the time without a kubelet as the node saw it (0: unknown).
	Took   time.Duration
	Outage time.Duration
}

// Gathered is what one node told.
type Gathered struct {
	Node  string
	Facts *v1alpha1.Facts
	Err   error
}
