package v1alpha1

import "time"

// Verb is what the agent is asked to do. A request is one JSON document on the agent's stdin; the answer is one
// Response on its stdout. Long work (stage, apply, rollback) starts a unit of the host and returns at once: Watch tells
// what became of it.
type Verb string

// The agent's verbs.
const (
	VerbGather   Verb = "gather"   // → Facts
	VerbStage    Verb = "stage"    // Plan, Images → unit
	VerbWatch    Verb = "watch"    // Run, Seq → Progress lines, Run record; waits up to Wait for something new
	VerbApply    Verb = "apply"    // Run, ConfirmTimeout, Restore → unit
	VerbConfirm  Verb = "confirm"  // Run → Run record
	VerbRollback Verb = "rollback" // Run → unit; takes back an open run
	VerbDiscard  Verb = "discard"  // Run → Run record; gives up a run that is only staged
	VerbShow     Verb = "show"     // Run → RunView
	VerbFinish   Verb = "finish"   // removes what nothing needs: agents, staging directories, units; keeps closed runs
)

// Request is what the plugin asks of the agent.
type Request struct {
	APIVersion string `json:"apiVersion"`
	Verb       Verb   `json:"verb"`
	Node       string `json:"node"`
	Run        string `json:"run,omitempty"`
	By         string `json:"by,omitempty"`
	// Reason says why a rollback is asked for; the run's record keeps it.
	Reason string `json:"reason,omitempty"`
	Plan   *Plan  `json:"plan,omitempty"`
	// Images are what the target's store must hold before the drain, with the credentials to pull them.
	Images []WantedImage `json:"images,omitempty"`
	// ConfirmTimeout is how long an applied run waits for its confirmation.
	ConfirmTimeout time.Duration `json:"confirmTimeout,omitempty"`
	// StageTimeout is how long a staged run may wait for apply before it expires; zero: as long as its plugin is heard.
	StageTimeout time.Duration `json:"stageTimeout,omitempty"`
	Restore      APIRestore    `json:"restore,omitzero"`
	// Seq is the last progress line already seen; Wait how long watch may wait for the next.
	Seq  int           `json:"seq,omitempty"`
	Wait time.Duration `json:"wait,omitempty"`
}

// WantedImage is an image reference as a pod names it.
type WantedImage struct {
	Ref string `json:"ref"`
	// Auths are the credentials to try, in order; none means anonymous. They reach the agent on stdin only and are never
	// written down.
	Auths []RegistryAuth `json:"auths,omitempty"`
	// Required: the switch must not go on without it. Otherwise its absence is a warning.
	Required bool `json:"required"`
	// Repulled: every container that names it has imagePullPolicy Always, so the kubelet takes what the registry has, whatever is there.
	Repulled bool `json:"repulled,omitempty"`
	// For names one pod that needs it, for people.
	For string `json:"for,omitempty"`
}

// RegistryAuth is a registry credential.
type RegistryAuth struct {
	Username      string `json:"username,omitempty"`
	Password      string `json:"password,omitempty"`
	Auth          string `json:"auth,omitempty"`
	IdentityToken string `json:"identityToken,omitempty"`
	RegistryToken string `json:"registryToken,omitempty"`
}

// Response is what the agent answers.
type Response struct {
	APIVersion string     `json:"apiVersion"`
	Facts      *Facts     `json:"facts,omitempty"`
	Run        *Run       `json:"run,omitempty"`
	View       *RunView   `json:"view,omitempty"`
	Progress   []Progress `json:"progress,omitempty"`
	// Error is set when the verb failed; Code says which kind it is, for the plugin to decide.
	Error string    `json:"error,omitempty"`
	Code  ErrorCode `json:"code,omitempty"`
}

// ErrorCode is the kind of an agent's failure.
type ErrorCode string

// The kinds of failures.
const (
	CodeInternal ErrorCode = "internal" // nothing more is known
	CodeBusy     ErrorCode = "busy"     // another run is open on the node
	CodeStale    ErrorCode = "stale"    // the node isn't as the plan read it
	CodePhase    ErrorCode = "phase"    // the run's phase doesn't allow the verb
	CodeUnknown  ErrorCode = "unknown"  // no such run
)
