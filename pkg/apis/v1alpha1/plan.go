package v1alpha1

import (
	"fmt"
	"time"
)

// KindPlan is the kind of a Plan document.
const KindPlan = "Plan"

// Plan is everything that a switch will do to one node, decided before anything is done: two photographs of what it
// touches, and what was read to decide it. It holds no secret: contents refer to spans of the node's own files.
type Plan struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Format is the number of the plan's format, see Header; Version is of the kubectl runtime that made it.
	Format  int    `json:"format,omitempty"`
	Version string `json:"version,omitempty"`
	Node    string `json:"node"`
	// Run names the run that applies this plan: "r-" and eight hexadecimal digits.
	Run string `json:"run"`
	// Restores is the run that a rollback plan undoes.
	Restores string     `json:"restores,omitempty"`
	From     RuntimeRef `json:"from"`
	To       RuntimeRef `json:"to"`
	Kubelet  KubeletRef `json:"kubelet"`
	// Before and After are the two photographs. They name the same paths and units, in the same order.
	Before State `json:"before"`
	After  State `json:"after"`
	// Evacuate are the endpoints of the runtimes whose pods must be gone before their daemons change: both ends.
	Evacuate []RuntimeRef `json:"evacuate"`
	// Sockets are the paths where the units of both runtimes bind. What stands there and is no socket keeps them from starting:
	// a runtime makes a directory of a pod's hostPath volume whose path isn't there.
	Sockets []string `json:"sockets,omitempty"`
	// EvacuationGrace is how long a pod's own termination grace period is honoured at most; 0: LeastGrace. See Grace.
	EvacuationGrace time.Duration `json:"evacuationGrace,omitempty"`
	// Modules and Sysctls are loaded and set going forward, never unset.
	Modules []string `json:"modules,omitempty"`
	Sysctls []Sysctl `json:"sysctls,omitempty"`
	Staging Staging  `json:"staging"`
	// KubeadmSocket is the value that the node's kubeadm annotation must get; empty leaves it alone (absent, or 1.34+).
	KubeadmSocket string `json:"kubeadmSocket,omitempty"`
	// KubeadmSocketBefore is its value now.
	KubeadmSocketBefore string  `json:"kubeadmSocketBefore,omitempty"`
	ReadSet             ReadSet `json:"readSet"`
	// Findings are what rules said about the node and this plan.
	Findings []Finding `json:"findings,omitempty"`
	// Digest is sha256 over the canonical JSON of the plan without Digest, Findings and Version, hexadecimal.
	Digest string `json:"digest,omitempty"`
}

// How long the pods of a node may take to end: what a plan without a number means, and more than any plan may ask for. Each of these
// hours is one without a kubelet.
const (
	LeastGrace = 30 * time.Second
	MostGrace  = 24 * time.Hour
)

// Grace is how long a pod's own termination grace period is honoured at most.
func (p *Plan) Grace() time.Duration {
	if p.EvacuationGrace <= 0 {
		return LeastGrace
	}
	return min(p.EvacuationGrace, MostGrace)
}

// CheckGrace refuses a plan that lets pods take longer than any may, or less than no time.
func (p *Plan) CheckGrace() error {
	if p.EvacuationGrace < 0 || p.EvacuationGrace > MostGrace {
		return fmt.Errorf("the plan gives pods that stay %s to end, and no plan may give less than none or more than %s", p.EvacuationGrace, MostGrace)
	}
	return nil
}

// RuntimeRef is one side of a switch.
type RuntimeRef struct {
	Name    RuntimeName `json:"name"`
	Version string      `json:"version,omitempty"`
	// Endpoint is the CRI endpoint with scheme.
	Endpoint string `json:"endpoint"`
	// CRIVersion is "v1" or "v1alpha2": which of the two the kubelet speaks with it.
	CRIVersion string `json:"criVersion,omitempty"`
	// Units are the units that serve it, in start order.
	Units []string `json:"units"`
}

// KubeletRef says how to stop, start and ask the kubelet.
type KubeletRef struct {
	Unit    string `json:"unit"`
	Version string `json:"version"`
	Healthz string `json:"healthz"` // http://127.0.0.1:10248/healthz
	// Listens are the addresses and ports without which it doesn't start; empty: 0.0.0.0:10250, as it has it by itself.
	Listens []string `json:"listens,omitempty"`
	// Kubeconfig is its credential, with which the agent cleans up when nobody else does; empty: /etc/kubernetes/kubelet.conf.
	Kubeconfig string `json:"kubeconfig,omitempty"`
}

// State is a photograph of what a plan touches.
type State struct {
	// Files are sorted by path; a directory stands before what is in it.
	Files []FileState `json:"files"`
	// Units are the runtimes' units in start order; the kubelet isn't among them: it always runs at the end.
	Units []UnitState `json:"units"`
	// Runtime serves the kubelet in this state.
	Runtime RuntimeRef `json:"runtime"`
}

// FileState is what stands at a path in one photograph.
type FileState struct {
	Path string   `json:"path"`
	Type FileType `json:"type"`
	// SHA256 is of the bytes, sealed (see Sealed) wherever it isn't in the node's own records; empty in an After that the agent must
	// still resolve.
	SHA256 string            `json:"sha256,omitempty"`
	Mode   uint32            `json:"mode,omitempty"`
	UID    int               `json:"uid,omitempty"`
	GID    int               `json:"gid,omitempty"`
	Xattrs map[string][]byte `json:"xattrs,omitempty"`
	Target string            `json:"target,omitempty"`
	// Content says how the bytes of an After come about. The agent resolves it while staging and fills SHA256.
	Content []Segment `json:"content,omitempty"`
	// Why says in a few words what this file is for, for people.
	Why string `json:"why,omitempty"`
}

// Segment is a piece of a file's content: literal Text, or the bytes [Start, End) of the file From as it stands before.
type Segment struct {
	Text  string `json:"text,omitempty"`
	From  string `json:"from,omitempty"`
	Start int    `json:"start,omitempty"`
	End   int    `json:"end,omitempty"`
}

// UnitState says whether a unit runs in one photograph.
type UnitState struct {
	Name   string `json:"name"`
	Active bool   `json:"active"`
}

// Sysctl is a kernel parameter by its dotted name.
type Sysctl struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Staging describes the target's staging instance: a transient unit that runs the target's daemon on its real store,
// with a private socket and nothing that could disturb the runtime that still serves.
type Staging struct {
	// Needed is false where no instance is to be started (the target's own daemon already serves images).
	Needed bool `json:"needed"`
	// Argv is its command line and Env its additional environment. "{dir}" stands for the staging directory, "{mirror}" for the address
	// (host:port) of the loopback registry.
	Argv []string `json:"argv,omitempty"`
	Env  []string `json:"env,omitempty"`
	// EnvFile names one of Files, lines of NAME=value, whose variables are added to the environment: values with secrets
	// in them (proxies) are only known on the node.
	EnvFile string `json:"envFile,omitempty"`
	// Files are written into the staging directory; their paths are relative to it. "{dir}" in their literal text stands
	// for the staging directory too.
	Files []StagedFile `json:"files,omitempty"`
	// Dirs are empty directories made there.
	Dirs []string `json:"dirs,omitempty"`
	// Endpoint is its CRI endpoint, with "{dir}".
	Endpoint string `json:"endpoint,omitempty"`
	// Mirror is the loopback registry's configuration for the staging instance: one file a registry host, "{host}" in its path and text.
	// A runtime that configures mirrors in one file has a single MirrorHeader and repeats MirrorEntry.
	Mirror MirrorConfig `json:"mirror,omitzero"`
	// Validate are commands that check the staged configuration and must exit 0.
	Validate [][]string `json:"validate,omitempty"`
	// Handover are commands that are run, one after the other and for one image at a time, for each image that the instance
	// has pulled, "{ref}" being its full reference. They bring it out of the instance's own store into the target's, where
	// the target's daemon runs already but serves no CRI yet (Docker's containerd): its store can't be opened twice.
	Handover [][]string `json:"handover,omitempty"`
	// Pinned are image references that the target must have whatever pods run: its sandbox image.
	Pinned []string `json:"pinned,omitempty"`
}

// StagedFile is a file of the staging directory.
type StagedFile struct {
	Path    string    `json:"path"`
	Content []Segment `json:"content"`
	// After names a path whose content in the After photograph is taken instead of Content.
	After string `json:"after,omitempty"`
}

// MirrorConfig is how the staging instance learns of the loopback registry for images that no registry gives.
type MirrorConfig struct {
	Path   string `json:"path,omitempty"`   // relative to the staging directory; "{host}" makes it one file a host
	Header string `json:"header,omitempty"` // once a file
	Entry  string `json:"entry,omitempty"`  // once a registry host, with "{host}" and "{mirror}"
}

// ReadSet is what a plan was decided on. The agent compares it before its first act; any difference stops the run.
type ReadSet struct {
	Files []FileDigest `json:"files"`
	Dirs  []Dir        `json:"dirs"`
	Units []UnitDigest `json:"units"`
	// Binaries maps paths to versions.
	Binaries map[string]string `json:"binaries"`
	Boot     string            `json:"boot"`
}

// FileDigest is what a file was when the plan was made. SHA256 is sealed as in facts.
type FileDigest struct {
	Path   string   `json:"path"`
	Type   FileType `json:"type"`
	SHA256 string   `json:"sha256,omitempty"`
	Target string   `json:"target,omitempty"`
}

// UnitDigest is what a unit was when the plan was made.
type UnitDigest struct {
	Name        string `json:"name"`
	LoadState   string `json:"loadState"`
	ActiveState string `json:"activeState"`
	FileState   string `json:"fileState"`
}
