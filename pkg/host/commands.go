//go:build linux

package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// linuxCommands runs the programs of those names.
type linuxCommands struct{ names []string }

func newCommands() linuxCommands {
	var out linuxCommands
	for _, p := range v1alpha1.Programs() {
		out.names = append(out.names, p.What)
	}
	return out
}

// A pod's environment, through which the agent may have come, need not name the directories of a host.
var hostPath = strings.Join(v1alpha1.ProgramDirs(), ":")

const maxOutput = 16 << 20

func (c linuxCommands) Output(ctx context.Context, argv []string, env []string) ([]byte, error) {
	if len(argv) > 0 && !slices.Contains(c.names, filepath.Base(argv[0])) {
		return nil, fmt.Errorf("running %s: not among the programs that this program may run", argv[0])
	}
	return run(ctx, argv, env, nil)
}

// run runs argv with a clean environment and returns its standard output.
func run(ctx context.Context, argv, env []string, stdin []byte) ([]byte, error) {
	return runWith(ctx, argv, env, bytes.NewReader(stdin))
}

func runWith(ctx context.Context, argv, env []string, stdin io.Reader) ([]byte, error) {
	if len(argv) == 0 {
		return nil, errors.New("running a command: no command")
	}
	path, err := look(argv[0])
	if err != nil {
		return nil, err
	}
	// By the name that it was called by, which some programs go by: it leads to what was looked at.
	if _, err := program(path); err != nil {
		return nil, err
	}
	return execute(ctx, path, argv, env, stdin)
}

// execute runs what is known to be root's, or what root runs anyway.
func execute(ctx context.Context, path string, argv, env []string, stdin io.Reader) ([]byte, error) {
	cmd := exec.CommandContext(ctx, path, argv[1:]...)
	cmd.Env = append([]string{"PATH=" + hostPath, "LC_ALL=C"}, env...)
	cmd.Dir = "/"
	// Children that keep the pipes open after the end must not hold us.
	cmd.WaitDelay = time.Second
	cmd.Stdin = stdin
	var stdout, stderr limited
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		tail := strings.TrimSpace(stderr.String())
		if len(tail) > 1000 {
			tail = "…" + tail[len(tail)-1000:]
		}
		if tail != "" {
			err = fmt.Errorf("%w: %s", err, tail)
		}
		return stdout.Bytes(), fmt.Errorf("running %s: %w", filepath.Base(path), err)
	}
	return stdout.Bytes(), nil
}

// look finds a program by the host's directories, whatever PATH this process came with.
func look(name string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	for _, dir := range filepath.SplitList(hostPath) {
		p := filepath.Join(dir, name)
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fmt.Errorf("looking for %s: %w", name, ErrNotExist)
}

// limited keeps the first bytes of an output and drops the rest.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if room := maxOutput - l.Len(); room < len(p) {
		l.Buffer.Write(p[:max(room, 0)])
		return len(p), nil
	}
	return l.Buffer.Write(p)
}
