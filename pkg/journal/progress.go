package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

const (
	progressFile  = "progress.jsonl"
	progressLimit = 64 << 20
)

// Report returns a function that appends lines to the run's progress. It numbers and dates them, and drops what can't be
// written: progress serves people, the record decides.
func (j *Journal) Report(run string) func(v1alpha1.Progress) {
	return func(p v1alpha1.Progress) {
		unlock, err := j.lock()
		if err != nil {
			return
		}
		defer unlock()
		j.report(run, p)
	}
}

// report appends one line; the journal's lock must be held, so that numbers rise.
func (j *Journal) report(run string, p v1alpha1.Progress) {
	name := j.path("runs", run, progressFile)
	data, err := j.files.Read(name, progressLimit)
	if err != nil && !errors.Is(err, host.ErrNotExist) {
		return
	}
	p.Seq, p.Run, p.Time = lastSeq(data)+1, run, j.clock.Now()
	line, err := json.Marshal(p)
	if err != nil {
		return
	}
	if n := len(data); n > 0 && data[n-1] != '\n' {
		line = append([]byte{'\n'}, line...) // a crash cut the line before
	}
	_ = j.files.Append(name, append(line, '\n'))
}

// Progress returns the run's lines after seq.
func (j *Journal) Progress(run string, seq int) ([]v1alpha1.Progress, error) {
	if !ValidID(run) {
		return nil, fmt.Errorf("%q: %w", run, ErrUnknown)
	}
	data, err := j.files.Read(j.path("runs", run, progressFile), progressLimit)
	if errors.Is(err, host.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the run's progress: %w", err)
	}
	return parseProgress(data, seq), nil
}

// parseProgress returns the lines with a number above seq, in rising order. Lines that a crash cut are skipped, and so are
// lines whose number doesn't rise.
func parseProgress(data []byte, seq int) []v1alpha1.Progress {
	var lines []v1alpha1.Progress
	last := seq
	for line := range bytes.Lines(data) {
		var p v1alpha1.Progress
		if line[len(line)-1] != '\n' || json.Unmarshal(line, &p) != nil || p.Seq <= last {
			continue
		}
		last = p.Seq
		lines = append(lines, p)
	}
	return lines
}

// lastSeq is the number of the last line that can be read.
func lastSeq(data []byte) int {
	for {
		at := bytes.LastIndexByte(data[:max(len(data)-1, 0)], '\n') + 1
		if lines := parseProgress(data[at:], 0); len(lines) > 0 {
			return lines[0].Seq
		}
		if at == 0 {
			return 0
		}
		data = data[:at]
	}
}
