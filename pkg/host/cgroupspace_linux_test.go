package host

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// visitorVariable has this test's program be one that starts in a cgroup namespace of its own.
const visitorVariable = "KUBECTL_RUNTIME_TEST_VISITOR"

// TestVisitor is that program: it writes down which namespace it comes to be in.
func TestVisitor(t *testing.T) {
	file := os.Getenv(visitorVariable)
	if file == "" {
		t.Skip("for TestEnterCgroups")
	}
	if err := EnterCgroups(); err != nil {
		t.Fatal(err)
	}
	space, err := os.Readlink("/proc/self/ns/cgroup")
	if err == nil {
		err = os.WriteFile(file, []byte(space), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestEnterCgroups(t *testing.T) {
	machine, err := os.Readlink("/proc/1/ns/cgroup")
	if err != nil {
		t.Skip("PID 1's cgroup namespace can't be seen: ", err)
	}
	for name, flags := range map[string]uintptr{"its own": syscall.CLONE_NEWCGROUP, "the machine's": 0} {
		file := filepath.Join(t.TempDir(), "space")
		cmd := exec.Command(os.Args[0], "-test.run=^TestVisitor$")
		cmd.Env = append(os.Environ(), visitorVariable+"="+file)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.EPERM) {
			t.Skip("only root has namespaces of its own")
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != machine {
			t.Errorf("from %s: in %s, %v; PID 1 is in %s", name, got, err, machine)
		}
	}
}

// TestOutsideOfCgroups: groups that are seen from another cgroup namespace tell nothing, and that is said.
func TestOutsideOfCgroups(t *testing.T) {
	root := proc(t, fakeProcess{pid: 100, program: "sleep", exe: "/bin/sleep", states: "D", cgroup: "/../../kubepods-pod12345678_1234_1234_1234_123456789abc.slice/docker-1.scope"})
	if err := os.WriteFile(filepath.Join(root, "1/cgroup"), []byte("0::/../../../../init.scope\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	procs := procsAt(t, root)
	pods := linuxPods{procs: procs, cni: systemCNI(procs), clock: linuxClock{}}
	_, processes := pods.Processes(t.Context())
	_, waiting := pods.Uninterruptible(t.Context())
	_, daemons := procs.Find("containerd")
	for what, err := range map[string]error{"processes of pods": processes, "those that wait": waiting, "daemons": daemons} {
		if err == nil || !strings.Contains(err.Error(), "cgroup namespace of its own") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
