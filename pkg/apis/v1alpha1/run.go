package v1alpha1

import "time"

// KindRun is the kind of a Run document.
const KindRun = "Run"

// Phase is where a run stands. Each is on disk before what it names begins.
type Phase string

// The phases of a run.
const (
	PhaseStaging     Phase = "staging"     // plan and backups being written, staging instance up, images coming in
	PhaseStaged      Phase = "staged"      // ready to apply; nothing that serves has changed
	PhaseApplying    Phase = "applying"    // converge(after) under way
	PhaseApplied     Phase = "applied"     // after stands; waits for a confirmation until the deadline
	PhaseConfirmed   Phase = "confirmed"   // kept
	PhaseRollingBack Phase = "rollingBack" // converge(before) under way
	PhaseRolledBack  Phase = "rolledBack"  // before stands again
	PhaseRemoved     Phase = "removed"     // staged only and given up: nothing was changed
	PhaseStuck       Phase = "stuck"       // before can't be reached: a foreign file is in the way, or its runtime doesn't start
)

// Open reports whether a run in this phase still owns the node.
func (p Phase) Open() bool {
	switch p {
	case PhaseStaging, PhaseStaged, PhaseApplying, PhaseApplied, PhaseRollingBack, PhaseStuck:
		return true
	}
	return false
}

// Run is the record of one run on one node, kept in the node's journal.
type Run struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Format is the number of the record's format, see Header; Version is of the kubectl runtime that wrote it.
	Format  int    `json:"format,omitempty"`
	Version string `json:"version,omitempty"`
	// Sequence orders the runs of a node: it rises with each that is created, whatever the clock says. Records of format 1
	// have none.
	Sequence int         `json:"sequence,omitempty"`
	ID       string      `json:"id"`
	Node     string      `json:"node"`
	From     RuntimeName `json:"from"`
	To       RuntimeName `json:"to"`
	// FromVersion and ToVersion are the versions as the plan saw them.
	FromVersion string `json:"fromVersion,omitempty"`
	ToVersion   string `json:"toVersion,omitempty"`
	Restores    string `json:"restores,omitempty"`
	Phase       Phase  `json:"phase"`
	// By is who asked: user@host of the plugin, for people.
	By      string    `json:"by"`
	Created time.Time `json:"created"`
	Changed time.Time `json:"changed"`
	// ChangedAt is Changed by a clock that nobody sets.
	ChangedAt Moment `json:"changedAt,omitzero"`
	// Reason says why the run stands where it stands: the failure that was undone, the file in the way.
	Reason string `json:"reason,omitempty"`
	// Boot is the boot in which Deadline counts; an unconfirmed run of another boot goes back.
	Boot string `json:"boot,omitempty"`
	// Deadline is on CLOCK_BOOTTIME, in nanoseconds; 0: none.
	Deadline int64 `json:"deadline,omitempty"`
	// ConfirmTimeout and StageTimeout are what the deadlines of the phases applied and staged are made from.
	ConfirmTimeout time.Duration `json:"confirmTimeout,omitempty"`
	StageTimeout   time.Duration `json:"stageTimeout,omitempty"`
	// DeadlineIn is the time left when the record was read; negative: passed.
	DeadlineIn time.Duration `json:"deadlineIn,omitempty"`
	// RuntimesStopped says that a runtime was stopped, or is about to be, on the way to after. While it is false, the pods'
	// runtime is the one of before and runs with the files of before.
	RuntimesStopped bool `json:"runtimesStopped,omitempty"`
	// Serving is the runtime that serves a stuck node; empty where none does.
	Serving RuntimeName `json:"serving,omitempty"`
	// Unasked says of a stuck node that it serves as before, and that nothing but the kubelet's health check fails.
	Unasked bool `json:"unasked,omitempty"`
	// Retry is when the node tries again to pay what it owes the API server (Restore).
	Retry Retry `json:"retry,omitzero"`
	// Restore is what the node must get back of the API's side when the run ends without its plugin.
	Restore APIRestore `json:"restore"`
	// PlanDigest is the digest of the plan that is applied.
	PlanDigest string `json:"planDigest"`
	// Agent is the sha256 of the agent that runs it.
	Agent string `json:"agent"`
	// KubeletStopped and KubeletStarted bound the outage as the node saw it (last converge).
	KubeletStopped time.Time `json:"kubeletStopped,omitzero"`
	KubeletStarted time.Time `json:"kubeletStarted,omitzero"`
}

// Retry counts what failed, and says when it is tried next.
type Retry struct {
	Failed int    `json:"failed"`
	Next   Moment `json:"next"`
}

// Moment is a point in time on a node, on CLOCK_BOOTTIME.
type Moment struct {
	Boot string `json:"boot"`
	// At is in nanoseconds since that boot.
	At int64 `json:"at"`
}

// APIRestore is what a node undoes at the API server with its own kubelet's credential when it ends alone.
type APIRestore struct {
	// Uncordon: we cordoned the node; it was schedulable before.
	Uncordon bool `json:"uncordon,omitempty"`
	// Pods are our own pods on the node, as namespace/name/uid.
	Pods []PodRef `json:"pods,omitempty"`
	// KubeadmSocket is the annotation's value before; empty: leave it alone.
	KubeadmSocket string `json:"kubeadmSocket,omitempty"`
}

// PodRef names one pod for good: another pod of the same name has another UID.
type PodRef struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
}

// RunView is a kept run with what is needed to plan its undoing.
type RunView struct {
	Run  Run  `json:"run"`
	Plan Plan `json:"plan"`
	// Contents are the masked contents behind the SHA256 of Plan.Before and Plan.After, by these.
	Contents map[string]string `json:"contents"`
}

// Progress is one line of what the agent does. Lines have rising Seq within a run.
type Progress struct {
	Seq  int       `json:"seq"`
	Time time.Time `json:"time"`
	Run  string    `json:"run,omitempty"`
	// Step names the act: "stop kubelet", "evacuate", "pull", …; Detail what of it.
	Step   string `json:"step"`
	Detail string `json:"detail,omitempty"`
	// Phase is set when the run's phase changed.
	Phase Phase `json:"phase,omitempty"`
	// Error is set when the step failed.
	Error string `json:"error,omitempty"`
	// Took is how long the step took, on the line that ends it.
	Took time.Duration `json:"took,omitempty"`
}
