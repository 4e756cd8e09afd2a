package hostpod

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestWatchdog runs the very script with short times: a pod ends with 0 when nobody has spoken for that long, and only then.
func TestWatchdog(t *testing.T) {
	const tick, silence = 20 * time.Millisecond, 200 * time.Millisecond
	start := func(t *testing.T, dir string) (*exec.Cmd, chan error) {
		t.Helper()
		cmd := exec.Command("/bin/sh", "-c", watchdog(dir, tick, silence))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		return cmd, done
	}
	// speak runs a command as exec does, and returns what that printed.
	speak := func(t *testing.T, dir string, argv ...string) string {
		t.Helper()
		full := speaking(dir, argv)
		out, err := exec.Command(full[0], full[1:]...).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return string(out)
	}
	t.Run("nobody speaks", func(t *testing.T) {
		_, done := start(t, t.TempDir())
		if err := <-done; err != nil {
			t.Errorf("ended with %v: the kubelet would start it again", err)
		}
	})
	t.Run("somebody speaks, then nobody", func(t *testing.T) {
		dir := t.TempDir()
		_, done := start(t, dir)
		for range 6 {
			if said := speak(t, dir, "/bin/echo", "$HOME", "a b"); said != "$HOME a b\n" {
				t.Errorf("said %q", said)
			}
			select {
			case err := <-done:
				t.Fatalf("ended while it was spoken to: %v", err)
			case <-time.After(silence / 2):
			}
		}
		speak(t, dir)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left %v, %v", left, err)
		}
	})
	t.Run("it is told to end", func(t *testing.T) {
		cmd, done := start(t, t.TempDir())
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err == nil {
			t.Error("ended with 0: it would not be started again under another runtime")
		}
	})
	t.Run("a link in the mark's place is not followed", func(t *testing.T) {
		dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
		if err := errors.Join(os.WriteFile(victim, []byte("precious"), 0o600), os.Symlink(victim, filepath.Join(dir, heardMark))); err != nil {
			t.Fatal(err)
		}
		if said := speak(t, dir, "/bin/echo", "x"); said != "x\n" {
			t.Errorf("said %q", said)
		}
		if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
			t.Errorf("wrote through it: %q, %v", text, err)
		}
	})
	t.Run("a mark that can't be left bars no command", func(t *testing.T) {
		if said := speak(t, filepath.Join(t.TempDir(), "none"), "/bin/echo", "x"); said != "x\n" {
			t.Errorf("said %q", said)
		}
	})
}

// TestFarewell: a pod that ends by itself has its agent tidy up, and removes the pieces of agents that never arrived whole.
func TestFarewell(t *testing.T) {
	const asked = "#!/bin/sh\necho \"$@\" >\"$0.asked\"\n"
	for name, c := range map[string]struct {
		agent  string
		edited string // what was added to it since
		asked  string
	}{
		"the agent stands there": {agent: asked, asked: "finish\n"},
		"it was never brought":   {},
		"it fails":               {agent: asked + "exit 1\n", asked: "finish\n"},
		"it was changed":         {agent: asked, edited: "# and more\n"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			sha := fmt.Sprintf("%x", sha256.Sum256([]byte(c.agent)))
			file, old, young := filepath.Join(dir, sha), filepath.Join(dir, "abc.tmp.17"), filepath.Join(dir, "def.tmp.18")
			for path, text := range map[string]string{file: c.agent + c.edited, old: "half", young: "half"} {
				if text == "" {
					continue
				}
				if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if past := time.Now().Add(-5 * time.Minute); os.Chtimes(old, past, past) != nil {
				t.Fatal("can't be made older")
			}
			argv := script(watchdog(t.TempDir(), time.Millisecond, time.Millisecond)+farewell("/usr/bin/env"), dir, sha, callScript)
			out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
			if err != nil {
				t.Errorf("ended with %v (%s): the kubelet would start it again", err, out)
			}
			if said, _ := os.ReadFile(file + ".asked"); string(said) != c.asked {
				t.Errorf("the agent was asked %q", said)
			}
			if _, err := os.Stat(old); err == nil {
				t.Errorf("%s is left", old)
			}
			if _, err := os.Stat(young); err != nil {
				t.Errorf("an agent that is being brought was taken away: %v", err)
			}
		})
	}
}

// listener remembers when it was spoken to, and takes its time.
type listener struct {
	mu    sync.Mutex
	began time.Time
	at    []time.Duration
	took  time.Duration
	busy  int
	most  int
}

func (l *listener) Exec(context.Context, string, string, string, []string, io.Reader, io.Writer, io.Writer) error {
	l.mu.Lock()
	l.at = append(l.at, time.Since(l.began))
	l.busy++
	l.most = max(l.most, l.busy)
	took := l.took
	l.mu.Unlock()
	time.Sleep(took)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
	return errors.New("lost on the way")
}

func (l *listener) takes(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = d
}

// TestKeep: a plugin that has nothing to ask speaks all the same, seldom, and never beside a question; the pod of one that has
// let it go is left alone.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &listener{began: time.Now(), took: 2 * time.Second}
		l := &line{Execer: x}
		p := &Pod{pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p"}}, exec: l}
		p.hold(t.Context(), l)
		time.Sleep(60 * time.Second) // one word
		x.takes(99 * time.Second)
		_ = l.Exec(t.Context(), "n", "p", Container, []string{"true"}, nil, io.Discard, io.Discard) // a long question
		x.takes(0)
		time.Sleep(50 * time.Second)
		p.release()
		synctest.Wait()
		time.Sleep(time.Hour)
		want := []time.Duration{40 * time.Second, 60 * time.Second, 160 * time.Second, 200 * time.Second}
		if diff := cmp.Diff(want, x.at); diff != "" || x.most > 1 {
			t.Errorf("spoken to by %d at once, at -want +got:\n%s", x.most, diff)
		}
		for i := range len(x.at) - 1 {
			if gap := x.at[i+1] - x.at[i]; gap > Silence-silenceTick-shortCall {
				t.Errorf("a silence of %s", gap)
			}
		}
	})
}
