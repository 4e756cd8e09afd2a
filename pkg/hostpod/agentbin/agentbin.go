// Package agentbin carries the program for the nodes inside the plugin, one for every architecture.
//
// It imports nothing of this project. A build made without `make agent` compiles and carries none.
package agentbin

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// The pattern takes the README, so that there is always something to embed, and *.gz; never a file that is being written.
//
//go:embed bin/*[Ez]
var carried embed.FS

// ErrMissing is returned for an architecture that this build carries no agent for.
var ErrMissing = errors.New("this build carries no agent")

// Agent is one program for nodes.
type Agent struct {
	// Arch is as GOARCH.
	Arch string
	// SHA256 is of the program itself, hexadecimal; it names the file on the node.
	SHA256 string
	// Gzip is the program, compressed.
	Gzip []byte
}

// Open returns the agent for an architecture.
func Open(arch string) (Agent, error) {
	b, err := carried.ReadFile("bin/runtime-agent-linux-" + arch + ".gz")
	if errors.Is(err, fs.ErrNotExist) {
		return Agent{}, fmt.Errorf("%w for linux/%s", ErrMissing, arch)
	}
	if err != nil {
		return Agent{}, err
	}
	return New(arch, b)
}

// New makes an agent of a compressed program.
func New(arch string, compressed []byte) (Agent, error) {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return Agent{}, fmt.Errorf("the agent for linux/%s that this build carries: %w", arch, err)
	}
	if len(r.Name) == hex.EncodedLen(sha256.Size) {
		return Agent{Arch: arch, SHA256: r.Name, Gzip: compressed}, nil // as `make agent` packs it; the node verifies it
	}
	sum := sha256.New()
	// The bytes are our own: embedded when the plugin was built.
	if _, err := io.Copy(sum, r); err != nil { //nolint:gosec // G110: see above
		return Agent{}, fmt.Errorf("the agent for linux/%s that this build carries: %w", arch, err)
	}
	return Agent{Arch: arch, SHA256: hex.EncodeToString(sum.Sum(nil)), Gzip: compressed}, nil
}
