package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestThaw: a process of a pod that is held doesn't end when it is killed, and does once its group is let go, whichever holds it.
func TestThaw(t *testing.T) {
	root := "/sys/fs/cgroup/freezer"
	pods := filepath.Join(root, "kubepods.slice")
	if _, err := os.Stat(pods); err == nil {
		t.Skip("this is a node")
	}
	if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil || os.Geteuid() != 0 {
		t.Skip("no control groups of version 1, or not root")
	}
	for name, held := range map[string]string{"container": "kubepods.slice/pod1/c", "pod": "kubepods.slice/pod1", "nobody": ""} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(pods, "pod1", "c")
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Skip(err)
			}
			cmd := exec.Command("sleep", "60")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { _ = cmd.Wait(); close(ended) }()
			t.Cleanup(func() {
				for _, d := range []string{dir, filepath.Dir(dir)} {
					_ = os.WriteFile(filepath.Join(d, "freezer.state"), []byte("THAWED"), 0)
				}
				_ = cmd.Process.Kill()
				<-ended
				for d := dir; d != root; d = filepath.Dir(d) {
					if err := syscall.Rmdir(d); err != nil {
						t.Error(err)
					}
				}
			})
			put := func(file, text string) {
				t.Helper()
				if err := os.WriteFile(file, []byte(text), 0); err != nil {
					t.Fatal(err)
				}
			}
			put(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(cmd.Process.Pid))
			if held != "" {
				put(filepath.Join(root, held, "freezer.state"), "FROZEN")
				_ = cmd.Process.Kill()
				select {
				case <-ended:
					t.Fatal("a process that is held has ended")
				case <-time.After(200 * time.Millisecond):
				}
			}
			if err := (linuxPods{procs: procsAt(t, "/proc")}).thaw(cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Process.Kill()
			select {
			case <-ended:
			case <-time.After(5 * time.Second):
				state, _ := os.ReadFile(filepath.Join(dir, "freezer.state"))
				t.Fatalf("it is held still: %s", strings.TrimSpace(string(state)))
			}
		})
	}
}
