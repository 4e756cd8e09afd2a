package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// traps are what somebody puts where a file is read: none may hold the reader, and none is read.
func traps(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	err := errors.Join(
		unix.Mkfifo(at("pipe"), 0o666), os.Symlink(at("pipe"), at("to-pipe")), os.Symlink("/dev/zero", at("zero")), os.Symlink("/dev/tty", at("tty")),
		os.Symlink("/proc/self/fd/0", at("stdin")), os.Symlink("loop", at("loop")), os.Mkdir(at("dir"), 0o755), os.WriteFile(at("file"), []byte("text"), 0o600),
		os.Symlink("file", at("to-file")),
	)
	if err != nil {
		t.Fatal(err)
	}
	// An endless file: all of it is a hole.
	f, err := os.Create(at("endless"))
	if err == nil {
		err = errors.Join(f.Truncate(1<<40), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	socket := at("socket")
	listen(t, "unix", socket)
	return dir
}

func TestTraps(t *testing.T) {
	dir := traps(t)
	files := newFiles(nil)
	for name, r := range map[string]Reader{"of root": files, "of others": files.Foreign(t.Context())} {
		t.Run(name, func(t *testing.T) {
			for _, trap := range []string{"pipe", "to-pipe", "zero", "tty", "loop", "dir", "socket", "endless"} {
				promptly(t, dir+"/pipe", func() {
					if data, err := r.Read(filepath.Join(dir, trap), 1<<16); err == nil {
						t.Errorf("%s: read %d bytes", trap, len(data))
					}
				})
			}
			for _, file := range []string{"file", "to-file"} {
				if data, err := r.Read(filepath.Join(dir, file), 4); string(data) != "text" || err != nil {
					t.Errorf("%s: %q, %v", file, data, err)
				}
				if _, err := r.Read(filepath.Join(dir, file), 3); err == nil || !strings.Contains(err.Error(), "more than 3 bytes") {
					t.Errorf("%s is too long: %v", file, err)
				}
			}
			if _, err := r.Read(filepath.Join(dir, "none"), 1); !errors.Is(err, ErrNotExist) {
				t.Errorf("a file that isn't there: %v", err)
			}
			for _, trap := range []string{"pipe", "to-pipe", "zero", "file", "none", "socket"} {
				promptly(t, dir+"/pipe", func() {
					if names, err := r.ReadDir(filepath.Join(dir, trap)); !errors.Is(err, ErrNotExist) {
						t.Errorf("%s lists %q, %v", trap, names, err)
					}
				})
			}
			if names, err := r.ReadDir(filepath.Join(dir, "dir")); len(names) != 0 || err != nil {
				t.Errorf("%q, %v", names, err)
			}
		})
	}
}

// TestReadBelow: no link leads out of the directory of a process, and the reader is held by nothing in it.
func TestReadBelow(t *testing.T) {
	dir := traps(t)
	cwd := filepath.Join(t.TempDir(), "cwd")
	if err := os.Symlink(dir, cwd); err != nil {
		t.Fatal(err)
	}
	for _, trap := range []string{"pipe", "to-pipe", "zero", "tty", "loop", "dir", "socket", "endless", "to-file", "none", "../" + filepath.Base(dir) + "/file"} {
		promptly(t, dir+"/pipe", func() {
			if data, err := readBelow(cwd, trap, 1<<16); err == nil {
				t.Errorf("%s: read %d bytes", trap, len(data))
			}
		})
	}
	if data, err := readBelow(cwd, "file", 1<<16); string(data) != "text" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
}

// TestNeverAnswers: what hangs in the kernel, as a dead file server or one that means it, is given up.
func TestNeverAnswers(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	never := func() ([]byte, error) { <-hang; return nil, nil }
	start := time.Now()
	_, err := within(t.Context(), 20*time.Millisecond, "reading", "/mnt/x", never)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "reading /mnt/x: it does not answer") {
		t.Errorf("got %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := within(over, time.Hour, "reading", "/mnt/x", never); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := newFiles(nil).Foreign(over).Read("/etc/passwd", 1<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestSpend: who makes his processes hard to look at takes a bounded time, and hides nothing of the machine's own.
func TestSpend(t *testing.T) {
	list := running([]fakeProcess{
		{pid: 100, program: "trap", exe: "/tmp/trap", cgroup: "/user.slice", uids: []int{1000, 1000, 1000, 1000}},
		{pid: 200, program: "cron", exe: "/usr/sbin/cron", cgroup: "/system.slice/cron.service"},
	})
	p, err := newPurse(procsAt(t, proc(t, list...)))
	if err != nil {
		t.Fatal(err)
	}
	p.left = 20 * time.Millisecond
	hang := make(chan struct{})
	defer close(hang)
	for range 3 {
		if _, ok := spend(t.Context(), p, 100, func() bool { <-hang; return true }); ok {
			t.Error("it came to an end")
		}
	}
	if got, ok := spend(t.Context(), p, 200, func() bool { return true }); !got || !ok {
		t.Error("the machine's own process isn't looked at")
	}
	if err := p.error("looking"); !errors.Is(err, errSpent) {
		t.Errorf("got %v", err)
	}
}
