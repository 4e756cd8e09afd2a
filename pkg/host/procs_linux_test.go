package host

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// copyOf copies this test's program, to be started from there.
func copyOf(t *testing.T, to string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestRuns upgrades a program under its process as package managers do, and takes it away.
func TestRuns(t *testing.T) {
	dir := shortDir(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	copyOf(t, at("daemon"))
	if err := os.Symlink("daemon", at("link")); err != nil {
		t.Fatal(err)
	}
	socket := at("socket")
	listen(t, "unix", socket)
	cmd := exec.Command(at("daemon"), "-test.run=^TestDialler$")
	cmd.Env = append(os.Environ(), dialVariable+"=unix "+socket)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	procs := procsAt(t, "/proc")
	runs := func(path string, want bool) {
		t.Helper()
		if got, err := procs.Runs(cmd.Process.Pid, path); got != want || err != nil {
			t.Errorf("%s: %v, %v", path, got, err)
		}
	}
	runs(at("daemon"), true)
	runs(at("link"), true)
	copyOf(t, at("new"))
	runs(at("new"), false)
	if err := os.Rename(at("new"), at("daemon")); err != nil {
		t.Fatal(err)
	}
	runs(at("daemon"), false)
	runs(at("link"), false)
	if err := os.Remove(at("daemon")); err != nil {
		t.Fatal(err)
	}
	runs(at("daemon"), false)
	runs(at("link"), false)
	if _, err := procs.Runs(4999999, at("link")); err == nil {
		t.Error("a process that isn't there runs something")
	}
}

func TestOfRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root starts processes of others")
	}
	start := func(uid uint32) int {
		t.Helper()
		cmd := exec.Command("/bin/sleep", "60")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		return cmd.Process.Pid
	}
	ours, theirs := start(0), start(65534)
	list, err := procsAt(t, "/proc").OfRoot()
	if err != nil {
		t.Fatal(err)
	}
	has := func(pid int) bool {
		return slices.ContainsFunc(list, func(p v1alpha1.Process) bool { return p.PID == pid && len(p.Argv) == 2 })
	}
	if !has(ours) || has(theirs) {
		t.Errorf("root's: %v, another user's: %v", has(ours), has(theirs))
	}
	if slices.ContainsFunc(list, func(p v1alpha1.Process) bool { return p.Exe == "" }) {
		t.Error("kernel threads are among them")
	}
}

// TestEndStrays: of the monitors of pods those go whose container is removed, and no other process.
func TestEndStrays(t *testing.T) {
	shell, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	programs := t.TempDir()
	start := func(program, namespace, bundle string) *exec.Cmd {
		t.Helper()
		file := filepath.Join(programs, program)
		if err := os.WriteFile(file, shell, 0o700); err != nil && !errors.Is(err, unix.ETXTBSY) {
			t.Fatal(err)
		}
		cmd := exec.Command(file, "-c", "read x", "-namespace", namespace)
		cmd.Dir = bundle
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = in.Close() })
		return cmd
	}
	removed, stands := filepath.Join(t.TempDir(), "removed"), t.TempDir()
	if err := os.Mkdir(removed, 0o700); err != nil {
		t.Fatal(err)
	}
	stray := start("containerd-shim-runc-v2", "k8s.io", removed)
	others := []*exec.Cmd{
		start("containerd-shim-runc-v2", "k8s.io", stands), start("containerd-shim-runc-v2", "moby", removed), start("another", "k8s.io", removed),
	}
	if err := os.Remove(removed); err != nil {
		t.Fatal(err)
	}
	pods := linuxPods{procs: procsAt(t, "/proc")}
	if n, err := pods.EndStrays(t.Context()); n != 1 || err != nil {
		t.Errorf("ended %d, %v", n, err)
	}
	if err := stray.Wait(); err == nil {
		t.Error("the stray ended by itself")
	}
	for _, cmd := range others {
		if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("%v: %v", cmd.Args, err)
		}
	}
	if n, err := pods.EndStrays(t.Context()); n != 0 || err != nil {
		t.Errorf("ended %d more, %v", n, err)
	}
}
