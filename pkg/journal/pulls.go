package journal

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/pullrecord"
)

const pullsFile = "pulls.json"

// Pulls returns what the run keeps of the kubelet's records of pulls, nil when it keeps nothing.
func (j *Journal) Pulls(run string) (*pullrecord.Run, error) {
	if !ValidID(run) {
		return nil, fmt.Errorf("%q: %w", run, ErrUnknown)
	}
	name := j.path("runs", run, pullsFile)
	data, err := j.files.Read(name, blobLimit)
	if errors.Is(err, host.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is kept of the kubelet's pull records: %w", err)
	}
	kept := new(pullrecord.Run)
	if err := json.Unmarshal(data, kept); err != nil {
		return nil, &CorruptError{Path: name, Err: err}
	}
	return kept, nil
}

// KeepPulls keeps that, and replaces what the run has kept before.
func (j *Journal) KeepPulls(run string, kept pullrecord.Run) error {
	if !ValidID(run) {
		return fmt.Errorf("%q: %w", run, ErrUnknown)
	}
	data, err := encode(kept)
	if err != nil {
		return err
	}
	if err := j.put(j.path("runs", run, pullsFile), data); err != nil {
		return fmt.Errorf("keeping the kubelet's pull records: %w", err)
	}
	return nil
}
