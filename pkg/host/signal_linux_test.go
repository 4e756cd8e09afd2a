package host

import (
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// sleeper is a process that ends when it is told to, and at the test's end.
func sleeper(t *testing.T) (cmd *exec.Cmd, ended <-chan struct{}) {
	t.Helper()
	cmd = exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-done })
	return cmd, done
}

func lives(ended <-chan struct{}) bool {
	select {
	case <-ended:
		return false
	case <-time.After(200 * time.Millisecond):
		return true
	}
}

// TestSignal: a process that is another one by the time it is looked at lives on, and one that is gone is no failure.
func TestSignal(t *testing.T) {
	cmd, ended := sleeper(t)
	pid := cmd.Process.Pid
	if err := signal(pid, unix.SIGKILL, func() bool { return false }); err != nil || !lives(ended) {
		t.Fatalf("nobody wanted it, and it ended: %v", err)
	}
	if err := (linuxPods{procs: procsAt(t, "/proc")}).send(pid, unix.SIGKILL, anyOfPods); err != nil || !lives(ended) {
		t.Fatalf("it is no pod's, and it ended: %v", err)
	}
	if err := signal(pid, unix.SIGKILL, func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	<-ended
	if err := signal(pid, unix.SIGKILL, func() bool { t.Error("nothing is there to be looked at"); return true }); err != nil {
		t.Error(err)
	}
}

// TestSignalOfANumberThatIsAnothers: the process ends after it was looked at, and its number goes to the next one, which lives on.
func TestSignalOfANumberThatIsAnothers(t *testing.T) {
	const last = "/proc/sys/kernel/ns_last_pid"
	if os.Geteuid() != 0 || unix.Access(last, unix.W_OK) != nil {
		t.Skip("nobody can choose a process's number here")
	}
	cmd, ended := sleeper(t)
	pid := cmd.Process.Pid
	var heir <-chan struct{}
	err := signal(pid, unix.SIGKILL, func() bool {
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-ended
		for range 50 {
			if err := os.WriteFile(last, []byte(strconv.Itoa(pid-1)), 0); err != nil {
				t.Skip(err)
			}
			next, itsEnd := sleeper(t)
			if next.Process.Pid == pid {
				heir = itsEnd
				return true
			}
		}
		t.Skip("the number went to somebody else")
		return false
	})
	if err != nil {
		t.Error(err)
	}
	if !lives(heir) {
		t.Error("the signal went to a process that only has the number of the one that was meant")
	}
}
