package host

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
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
