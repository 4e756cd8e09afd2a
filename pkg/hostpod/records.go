package hostpod

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// recordMark begins the line before each record that lookScript prints; the run's name ends it.
const recordMark = "kubectl-runtime-record "

// record is what is read of a run before any agent is asked: enough to know which one may be.
type record struct {
	v1alpha1.Header
	ID    string
	Phase v1alpha1.Phase `json:"phase"`
	Agent string         `json:"agent"`
	By    string         `json:"by"`
	// format is the number of the record's format.
	format int
}

// openRecord finds the run that is open among the node's records. A record of a later program is a *v1alpha1.NewerError, whether
// it is open or not: that isn't known. One that is damaged is left to the agent to tell of.
func openRecord(listing []byte) (*record, error) {
	var open *record
	for part := range bytes.SplitSeq(listing, []byte("\n"+recordMark)) {
		name, text, found := strings.Cut(string(part), "\n")
		if !found {
			continue
		}
		var r record
		if json.Unmarshal([]byte(text), &r.Header) != nil {
			continue
		}
		var err error
		r.format, err = r.Known()
		if newer := (*v1alpha1.NewerError)(nil); errors.As(err, &newer) {
			newer.What = "the record of run " + name
			return nil, newer
		}
		if err != nil || json.Unmarshal([]byte(text), &r) != nil || !r.Phase.Open() {
			continue
		}
		r.ID = name
		open = &r
	}
	return open, nil
}

// AgentGoneError says that a run is open whose agent doesn't stand on the node any more. Nothing else may work on it.
type AgentGoneError struct {
	Node, Run, Agent, By, Version string
	Phase                         v1alpha1.Phase
}

// Error implements error.
func (e *AgentGoneError) Error() string {
	program := "the kubectl runtime that began it"
	if e.Version != "" {
		program = "kubectl runtime " + e.Version + ", which began it,"
	}
	return fmt.Sprintf("run %s of %s is %s on node %s, and its agent (sha256 %.12s…) is not on the node any more; no other agent works on that run, and nothing was changed: "+
		"%s brings its agent back", e.Run, e.By, e.Phase, e.Node, e.Agent, program)
}

// question writes a request for an agent of that format. Agents refuse fields that they don't know, so an earlier one is asked
// in its own words; and only about runs that are open: nobody begins one with an agent that isn't his.
func question(req v1alpha1.Request, format int) ([]byte, error) {
	req.APIVersion = v1alpha1.Speaks(format)
	if format != v1alpha1.FormatAlpha1 {
		return json.Marshal(req)
	}
	if req.Plan != nil {
		return nil, fmt.Errorf("an agent of format %d takes no plan of format %d", format, req.Plan.Format)
	}
	return json.Marshal(alpha1Request{
		APIVersion: req.APIVersion, Verb: req.Verb, Node: req.Node, Run: req.Run, By: req.By, Reason: req.Reason,
		Restore: alpha1Restore{Uncordon: req.Restore.Uncordon, KubeadmSocket: req.Restore.KubeadmSocket, Pods: req.Restore.Pods},
		Seq:     req.Seq, Wait: int64(req.Wait),
	})
}

// alpha1Request is a request as agents of v1alpha1.FormatAlpha1 read it.
type alpha1Request struct {
	APIVersion string        `json:"apiVersion"`
	Verb       v1alpha1.Verb `json:"verb"`
	Node       string        `json:"node"`
	Run        string        `json:"run,omitempty"`
	By         string        `json:"by,omitempty"`
	Reason     string        `json:"reason,omitempty"`
	Restore    alpha1Restore `json:"restore,omitzero"`
	Seq        int           `json:"seq,omitempty"`
	Wait       int64         `json:"wait,omitempty"`
}

type alpha1Restore struct {
	Uncordon      bool              `json:"uncordon,omitempty"`
	Pods          []v1alpha1.PodRef `json:"pods,omitempty"`
	KubeadmSocket string            `json:"kubeadmSocket,omitempty"`
}
