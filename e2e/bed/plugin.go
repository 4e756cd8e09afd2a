//go:build e2e

package bed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Session is one invocation of the plugin.
type Session struct {
	Args []string
	// Started and Took bound its life; Took is 0 while it runs.
	Started time.Time
	Took    time.Duration
	// Code is its exit code, -1 when a signal ended it.
	Code int

	cmd            *exec.Cmd
	stdout, stderr lines
	done           chan struct{}
}

// lines is an output that may be read while it is written, each line stamped with its time since the start.
type lines struct {
	mu    sync.Mutex
	start time.Time
	raw   bytes.Buffer
	marks []time.Duration
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range bytes.Count(p, []byte("\n")) {
		l.marks = append(l.marks, time.Since(l.start))
	}
	return l.raw.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.raw.String()
}

func (l *lines) stamped() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var b strings.Builder
	all := strings.Split(strings.TrimRight(l.raw.String(), "\n"), "\n")
	const most = 150 // a saved plan is longer, and says little about a failure
	if len(all) > most {
		fmt.Fprintf(&b, "  (%d lines before)\n", len(all)-most)
	}
	for i, line := range all {
		if i < len(all)-most {
			continue
		}
		var at time.Duration
		if i < len(l.marks) {
			at = l.marks[i]
		}
		fmt.Fprintf(&b, "  %7.2fs  %s\n", at.Seconds(), line)
	}
	return b.String()
}

// Option changes an invocation.
type Option func(*exec.Cmd)

// With uses another kubeconfig.
func With(kubeconfig string) Option {
	return func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "KUBECONFIG="+kubeconfig) }
}

// Start starts the plugin in a process group of its own, as a shell would.
func (b *Bed) Start(t *testing.T, args []string, options ...Option) *Session {
	t.Helper()
	s := &Session{Args: args, Started: time.Now(), done: make(chan struct{})}
	s.stdout.start, s.stderr.start = s.Started, s.Started
	s.cmd = exec.Command(b.Plugin, args...)
	s.cmd.Env = append(os.Environ(), "KUBECONFIG="+b.Kubeconfig)
	s.cmd.Stdout, s.cmd.Stderr = &s.stdout, &s.stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	for _, option := range options {
		option(s.cmd)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("starting the plugin (make build, or KUBECTL_RUNTIME_BIN): %v", err)
	}
	go func() {
		err := s.cmd.Wait()
		s.Took = time.Since(s.Started)
		var exit *exec.ExitError
		switch {
		case err == nil:
		case errors.As(err, &exit):
			s.Code = exit.ExitCode()
		default:
			s.Code = -1
		}
		close(s.done)
	}()
	t.Cleanup(func() {
		if !s.Ended() {
			_ = s.cmd.Process.Kill()
			<-s.done
			t.Errorf("%s still ran when the test ended and was killed", s)
		}
		if t.Failed() || s.Took > time.Minute {
			t.Logf("%s", s.Transcript())
		}
	})
	return s
}

// Signal sends a signal to the plugin alone.
func (s *Session) Signal(signal os.Signal) { _ = s.cmd.Process.Signal(signal) }

// Ended reports whether the plugin has ended.
func (s *Session) Ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// Wait waits for its end; a plugin that takes longer than timeout fails the test.
func (s *Session) Wait(t *testing.T, timeout time.Duration) *Session {
	t.Helper()
	select {
	case <-s.done:
	case <-time.After(timeout):
		t.Fatalf("%s did not end within %s", s, timeout)
	}
	t.Logf("$ %s   (exit %d, %s)", s, s.Code, s.Took.Round(10*time.Millisecond))
	return s
}

// Stdout is what it printed as data.
func (s *Session) Stdout() string { return s.stdout.String() }

// Stderr is everything else it printed.
func (s *Session) Stderr() string { return s.stderr.String() }

// Output is both.
func (s *Session) Output() string { return s.Stdout() + s.Stderr() }

// String is the command as a person would type it.
func (s *Session) String() string { return "kubectl runtime " + strings.Join(s.Args, " ") }

// Transcript is the command with what it printed, for people who read a failure.
func (s *Session) Transcript() string {
	return fmt.Sprintf("$ %s   (exit %d, %s)\nstdout:\n%sstderr:\n%s", s, s.Code, s.Took.Round(10*time.Millisecond), s.stdout.stamped(), s.stderr.stamped())
}

// Runtime runs the plugin to its end.
func (b *Bed) Runtime(t *testing.T, timeout time.Duration, args ...string) *Session {
	t.Helper()
	return b.Start(t, args).Wait(t, timeout)
}

// Expect runs the plugin and fails the test when it doesn't exit with code.
func (b *Bed) Expect(t *testing.T, code int, timeout time.Duration, args ...string) *Session {
	t.Helper()
	return b.Runtime(t, timeout, args...).Exited(t, code)
}

// Exited fails the test when the plugin didn't exit with code.
func (s *Session) Exited(t *testing.T, code int) *Session {
	t.Helper()
	if s.Code != code {
		t.Fatalf("%s: exit code %d, want %d", s, s.Code, code)
	}
	return s
}

// Says fails the test when one of the texts isn't in what the plugin printed; case is ignored.
func (s *Session) Says(t *testing.T, texts ...string) *Session {
	t.Helper()
	out := strings.ToLower(s.Output())
	for _, text := range texts {
		if !strings.Contains(out, strings.ToLower(text)) {
			t.Errorf("%s: its output doesn't say %q", s, text)
		}
	}
	return s
}

// contextOf is the test's context for as long as cleanup may need it.
func contextOf(t *testing.T, timeout time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(context.WithoutCancel(t.Context()), timeout)
}

// cleanupTime bounds one step of putting things back.
const cleanupTime = time.Minute
