package cmd

import (
	"errors"
	"strings"
	"testing"
)

// TestFilesAreBounded: a file that never ends isn't read for ever.
func TestFilesAreBounded(t *testing.T) {
	p := testProgram("")
	p.Streams.In = endless{}
	if _, err := p.readPlans("-"); err == nil || !strings.Contains(err.Error(), "has more than 256 MiB") {
		t.Errorf("%v", err)
	}
	p.Streams.In = broken{}
	if _, err := p.readFacts("-"); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }
