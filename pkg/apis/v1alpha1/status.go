package v1alpha1

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// The kinds of the documents that status and rollback print.
const (
	KindNodeStatus = "NodeStatus"
	KindNodeRun    = "NodeRun"
)

// LastRunAnnotation is the node annotation that holds a LastRun as JSON. It is for people: nothing acts on it.
const LastRunAnnotation = "kubectl-runtime/last-run"

// LastRun is what became of the last run on a node, or of the one under way.
type LastRun struct {
	Run    string      `json:"run"`
	From   RuntimeName `json:"from"`
	To     RuntimeName `json:"to"`
	Phase  Phase       `json:"phase"`
	When   time.Time   `json:"when"`
	By     string      `json:"by,omitempty"`
	Reason string      `json:"reason,omitempty"`
	// Until is when a run that is open will have ended, whoever is there to see to it: what isn't confirmed goes back by itself. A
	// run that is still said to be open then could not tell of its end.
	Until time.Time `json:"until,omitzero"`
}

// mostReason is how much of a reason an annotation carries; the rest stands in the run's record. mostLastRun is far more than a LastRun.
const (
	mostReason  = 400
	mostLastRun = 16 << 10
)

// FirstLine is what of a reason may stand where everybody reads it who may read nodes: its first line, and not too much of that. What
// daemons said stands behind it.
func FirstLine(reason string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(reason), "\n")
	if runes := []rune(strings.TrimSpace(first)); len(runes) > mostReason {
		return strings.TrimSpace(string(runes[:mostReason-1])) + "…"
	}
	return strings.TrimSpace(first)
}

// ReadLastRun reads the annotation's text. Anybody may write an annotation who may write the node.
func ReadLastRun(text string) (*LastRun, error) {
	if len(text) > mostLastRun {
		return nil, fmt.Errorf("it has %d bytes", len(text))
	}
	last := &LastRun{}
	if err := json.Unmarshal([]byte(text), last); err != nil {
		return nil, err
	}
	last.Reason = FirstLine(last.Reason)
	return last, nil
}

// ObjectName is the part of an object's metadata that kubectl's printers need.
type ObjectName struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
}

// NodeState is a node's state in one word.
type NodeState string

// The states.
const (
	StateSettled     NodeState = "Settled"     // nothing is under way and the node is Ready
	StateNotReady    NodeState = "NotReady"    // the node isn't Ready and nothing is known to be under way, or it isn't heard of
	StateSwitching   NodeState = "Switching"   // a run goes forward
	StateRollingBack NodeState = "RollingBack" // a run goes back
	StateRolledBack  NodeState = "RolledBack"  // the last run went back: what was before stands
	StateStuck       NodeState = "Stuck"       // a person is needed
)

// NodeStatus is what the API server tells of a node's runtime and, where the node was asked too, what stands there.
type NodeStatus struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Metadata   ObjectName `json:"metadata"`
	// Runtime is what serves the kubelet. Its endpoint is empty where the API server doesn't know it.
	Runtime        RuntimeName `json:"runtime,omitempty"`
	RuntimeVersion string      `json:"runtimeVersion,omitempty"`
	Endpoint       string      `json:"endpoint,omitempty"`
	// KubeadmSocket is the endpoint in kubeadm's annotation on the node.
	KubeadmSocket  string    `json:"kubeadmSocket,omitempty"`
	KubeletVersion string    `json:"kubeletVersion,omitempty"`
	State          NodeState `json:"state"`
	Reason         string    `json:"reason,omitempty"`
	LastRun        *LastRun  `json:"lastRun,omitempty"`
	Ready          bool      `json:"ready"`
	Schedulable    bool      `json:"schedulable"`
	ControlPlane   bool      `json:"controlPlane,omitempty"`
	OSImage        string    `json:"osImage,omitempty"`
	Kernel         string    `json:"kernel,omitempty"`
	Architecture   string    `json:"architecture,omitempty"`
	// Facts are what the node itself told, where it was asked.
	Facts *Facts `json:"facts,omitempty"`
}

// NodeRun is one kept run in the list that rollback prints.
type NodeRun struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Metadata   ObjectName `json:"metadata"`
	Run        Run        `json:"run"`
}
