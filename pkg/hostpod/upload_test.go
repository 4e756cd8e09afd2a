package hostpod

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod/agentbin"
)

func packed(t *testing.T, program string) agentbin.Agent {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, program)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := agentbin.New("amd64", b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestEnsureAgent(t *testing.T) {
	agent := packed(t, "program")
	t.Run("is there", func(t *testing.T) {
		p, _, _ := testPod(t, ok)
		if err := p.EnsureAgent(t.Context(), agent); err != nil {
			t.Error(err)
		}
	})
	t.Run("is sent", func(t *testing.T) {
		p, x, _ := testPod(t, exit(1, ""), broken(errors.New("EOF")), func(in []byte, _, _ io.Writer) error {
			if !bytes.Equal(in, agent.Gzip) {
				t.Error("something else was sent")
			}
			return nil
		})
		if err := p.EnsureAgent(t.Context(), agent); err != nil {
			t.Error(err)
		}
		want := []string{"/usr/bin/nsenter", "-t", "1", "-m", "-u", "-i", "-n", "-p", "--", "/bin/sh", "-c", uploadScript, "kubectl-runtime", "/var/lib/kubectl-runtime/agents", agent.SHA256}
		if diff := cmp.Diff(want, x.argv[2]); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
	t.Run("a host without nsenter", func(t *testing.T) {
		p, _, _ := testPod(t, exit(127, "nsenter: not found"))
		if err := p.EnsureAgent(t.Context(), agent); err == nil || !strings.Contains(err.Error(), "the host lacks /usr/bin/nsenter") {
			t.Errorf("got %v", err)
		}
	})
}

// The scripts run in a real shell, on a directory of their own.
func TestScripts(t *testing.T) {
	agent := packed(t, "#!/bin/sh\necho here\n")
	base := filepath.Join(t.TempDir(), "kubectl-runtime")
	dir := filepath.Join(base, "agents")
	sh := func(text, sha string, stdin []byte) error {
		argv := script(text, dir, sha)
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin = bytes.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return errors.New(string(out))
		}
		return nil
	}
	if sh(verifyScript, agent.SHA256, nil) == nil {
		t.Error("verified what isn't there")
	}
	if err := sh(uploadScript, agent.SHA256, agent.Gzip); err != nil {
		t.Fatal(err)
	}
	if err := sh(verifyScript, agent.SHA256, nil); err != nil {
		t.Errorf("not verified: %v", err)
	}
	if out, err := exec.Command(filepath.Join(dir, agent.SHA256)).Output(); err != nil || string(out) != "here\n" {
		t.Errorf("ran: %q, %v", out, err)
	}
	for _, path := range []string{base, dir, filepath.Join(dir, agent.SHA256)} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	t.Run("where a directory stands", func(t *testing.T) {
		file := filepath.Join(dir, agent.SHA256)
		if err := errors.Join(os.Remove(file), os.MkdirAll(filepath.Join(file, "inside"), 0o755)); err != nil {
			t.Fatal(err)
		}
		if err := sh(uploadScript, agent.SHA256, agent.Gzip); err != nil {
			t.Error(err)
		}
		if err := sh(verifyScript, agent.SHA256, nil); err != nil {
			t.Errorf("not verified: %v", err)
		}
	})
	t.Run("damaged on the way", func(t *testing.T) {
		other := packed(t, "something else")
		if err := sh(uploadScript, agent.SHA256, other.Gzip); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("got %v", err)
		}
		if err := sh(uploadScript, agent.SHA256, agent.Gzip[:20]); err == nil {
			t.Error("took half an agent")
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("left: %v, %v", entries, err)
		}
		if err := sh(verifyScript, agent.SHA256, nil); err != nil {
			t.Errorf("the good one is gone: %v", err)
		}
	})
	// call runs the agent as every question does.
	call := func(args ...string) (string, int) {
		argv := script(callScript, append([]string{dir, agent.SHA256}, args...)...)
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin = strings.NewReader("the question")
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	t.Run("called", func(t *testing.T) {
		agent := packed(t, "#!/bin/sh\necho \"$#:$*:$(cat)\"\nexit 3\n")
		if err := sh(uploadScript, agent.SHA256, agent.Gzip); err != nil {
			t.Fatal(err)
		}
		argv := script(callScript, dir, agent.SHA256, "a b", "$c")
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin = strings.NewReader("the question")
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); string(out) != "2:a b $c:the question\n" || code != 3 {
			t.Errorf("exit code %d: %q", code, out)
		}
		if err := os.Remove(filepath.Join(dir, agent.SHA256)); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("changed on the node", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(dir, agent.SHA256), []byte("#!/bin/sh\necho evil\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		if sh(verifyScript, agent.SHA256, nil) == nil {
			t.Error("verified a changed agent")
		}
		if out, code := call(); code != 126 || strings.Contains(out, "evil\n") {
			t.Errorf("called a changed agent: exit code %d: %s", code, out)
		}
		if err := os.Remove(filepath.Join(dir, agent.SHA256)); err != nil {
			t.Fatal(err)
		}
		if out, code := call(); code != 127 || !strings.Contains(out, "is not on the node") {
			t.Errorf("called an agent that isn't there: exit code %d: %s", code, out)
		}
	})
	t.Run("input can't become a command", func(t *testing.T) {
		mark := filepath.Join(t.TempDir(), "mark")
		if sh(verifyScript, "$(touch "+mark+")", nil) == nil {
			t.Error("verified nonsense")
		}
		if _, err := os.Stat(mark); err == nil {
			t.Error("a parameter was run")
		}
	})
}
