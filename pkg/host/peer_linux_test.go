package host

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const listenVariable = "HOST_TEST_LISTEN"

// TestListener makes this test binary a daemon that listens, and answers nothing.
func TestListener(t *testing.T) {
	socket := os.Getenv(listenVariable)
	if socket == "" {
		t.Skip("another test starts this one in a process of its own")
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	time.Sleep(time.Minute)
}

// theirs starts a daemon of another user, and waits until it listens.
func theirs(t *testing.T, program, socket string) {
	t.Helper()
	copyOf(t, program)
	cmd := exec.Command(program, "-test.run=^TestListener$")
	cmd.Env = append(os.Environ(), listenVariable+"="+socket)
	cmd.Dir = filepath.Dir(program)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("unix", socket); err == nil {
			_ = conn.Close()
			return
		}
		if time.Since(start) > 10*time.Second {
			t.Fatal("the other user's daemon doesn't listen")
		}
	}
}

// TestServedByRoot: another user's socket at a daemon's path is asked nothing.
func TestServedByRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root starts processes of others")
	}
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "containerd.sock")
	theirs(t, filepath.Join(dir, "daemon"), socket)
	for name, ask := range map[string]func() error{
		"CRI": func() error { _, err := linuxCRI{}.Dial(t.Context(), "unix://"+socket, ""); return err },
		"Docker": func() error {
			_, err := newDockerClient(socket).containers(t.Context())
			return err
		},
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), "user 65534 listens on "+socket) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
