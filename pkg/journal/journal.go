// Package journal is the record of the runs on a node's disk: plans, contents, phases and progress. A run's phase changes
// by compare-and-swap under one lock, and is on disk before what it names begins. It reaches the disk through host only.
package journal

import (
	"path"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// Dir is where the journal and the agents are on a node.
const Dir = "/var/lib/kubectl-runtime"

// Journal is the journal in one directory.
type Journal struct {
	files host.Files
	clock host.Clock
	dir   string
}

// Open returns the journal in dir. It reads and makes nothing yet.
func Open(files host.Files, clock host.Clock, dir string) *Journal {
	return &Journal{files: files, clock: clock, dir: dir}
}

func (j *Journal) path(elem ...string) string { return path.Join(append([]string{j.dir}, elem...)...) }

// StagingDir is where the run's staging instance lives.
func (j *Journal) StagingDir(run string) string { return j.path("runs", run, "staging") }
