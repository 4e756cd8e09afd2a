package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Each of these calls itself what a part of the machine is called, and does all that a process can do to look like it.
var pretenders = []fakeProcess{
	{pid: 100, program: "containerd", exe: "/tmp/x/containerd", cgroup: "/user.slice/user-1000.slice/session-1.scope", uids: []int{1000, 1000, 1000, 1000}},
	{pid: 110, program: "containerd", exe: "/usr/bin/containerd", cgroup: "/user.slice/user-1000.slice/user@1000.service/containerd.service", uids: []int{1000, 1000, 1000, 1000}, space: "user:[2]"},
	{pid: 120, program: "containerd", exe: "/usr/bin/containerd", cgroup: "/system.slice/containerd.service", uids: []int{1000, 0, 0, 0}},
	{pid: 130, program: "containerd", exe: "/usr/bin/containerd", cgroup: "/system.slice/containerd.service", uids: []int{0, 0, 1000, 0}},
	{pid: 140, program: "containerd", exe: "/usr/bin/containerd", cgroup: "/system.slice/containerd.service", space: "user:[2]"},
	{pid: 150, program: "containerd", exe: "/usr/bin/containerd", cgroup: podSlice, view: "mnt:[7]"},
	{pid: 160, program: "containerd", exe: "/tmp/\nx/containerd", cgroup: "/", uids: []int{1000, 1000, 1000, 1000}},
	{pid: 170, program: "containerd", exe: "/tmp/containerd (deleted)", cgroup: "/", uids: []int{1000, 1000, 1000, 1000}},
	{pid: 200, program: "shim", exe: "/tmp/containerd-shim-x", cgroup: "/system.slice/containerd.service", uids: []int{1000, 1000, 1000, 1000}, argv: []string{"x", "-namespace", "k8s.io"}},
	{pid: 210, program: "shim", exe: "/home/u/bin/containerd-shim-runc-v2", cgroup: "/user.slice", uids: []int{1000, 1000, 1000, 1000}, cwd: "/run/user/1000/io.containerd.runtime.v2.task/k8s.io/0123", states: "D"},
	{pid: 220, program: "conmon", exe: "/usr/bin/conmon", cgroup: "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-1.scope", uids: []int{1000, 1000, 1000, 1000}, argv: []string{"conmon", "/x/crio/y"}},
	{pid: 230, program: "conmon", exe: "/usr/bin/conmon", cgroup: "/user.slice/crio-conmon-0123.scope", uids: []int{1000, 1000, 1000, 1000}, states: "D"},
	{pid: 240, program: "sleep", exe: "/bin/sleep", cgroup: "/user.slice/user-1000.slice/user@1000.service/kubepods.slice/kubepods-pod12345678_1234_1234_1234_123456789abc.slice", uids: []int{1000, 1000, 1000, 1000}},
	{pid: 250, program: "sleep", exe: "/bin/sleep", cgroup: "/system.slice/ci.service/kubepods/pod12345678-1234-1234-1234-123456789abc", uids: []int{998, 998, 998, 998}},
	{pid: 300, program: "bridge", exe: "/opt/cni/bin/bridge", cgroup: "/user.slice", uids: []int{1000, 1000, 1000, 1000}},
}

// genuine are those that are what they are called.
var genuine = []fakeProcess{
	{pid: 500, program: "containerd", exe: "/usr/bin/containerd", cgroup: "/system.slice/containerd.service", argv: []string{"/usr/bin/containerd"}},
	{pid: 510, program: "containerd", exe: "/usr/bin/containerd", cgroup: "/system.slice/containerd.service", view: "mnt:[9]", argv: []string{"/usr/bin/containerd"}},
	{pid: 520, program: "containerd", exe: "/usr/bin/containerd", cgroup: podSlice, argv: []string{"/usr/bin/containerd"}}, // came in from the host pod
	{pid: 600, program: "shim", exe: "/usr/bin/containerd-shim-runc-v2", cgroup: "/system.slice/containerd.service", argv: []string{"x", "-namespace", "k8s.io"}},
	{pid: 610, program: "conmon", exe: "/usr/bin/conmon", cgroup: "/system.slice/crio-conmon-1.scope", argv: []string{"conmon", "/x/crio/y"}},
	{pid: 620, program: "nginx", exe: "/usr/sbin/nginx", cgroup: podSlice, uids: []int{101, 101, 101, 101}, space: "user:[3]", view: "mnt:[8]", argv: []string{"nginx"}},
}

// running fills in what those have that do nothing.
func running(list []fakeProcess) []fakeProcess {
	out := append([]fakeProcess{}, list...)
	for i := range out {
		if out[i].states == "" {
			out[i].states = "S"
		}
		if out[i].argv == nil {
			out[i].argv = []string{out[i].exe}
		}
	}
	return out
}

func pidsOf(list []v1alpha1.Process) []int {
	var out []int
	for _, p := range list {
		out = append(out, p.PID)
	}
	return out
}

// TestPretenders: nobody becomes a part of the machine by a name, an argument, a directory, a cgroup of his own or a program that
// gets root's rights from its file.
func TestPretenders(t *testing.T) {
	procs := procsAt(t, proc(t, running(append(append([]fakeProcess{}, pretenders...), genuine...))...))
	list, err := procs.Find("containerd")
	if diff := cmp.Diff([]int{500, 510, 520}, pidsOf(list)); diff != "" || err != nil {
		t.Errorf("daemons: %v\n%s", err, diff)
	}
	pods := linuxPods{procs: procs, cni: systemCNI(procs), clock: linuxClock{}}
	list, err = pods.Processes(t.Context())
	// 150 is in a pod, whatever it is called.
	if diff := cmp.Diff([]int{150, 520, 600, 610, 620}, pidsOf(list)); diff != "" || err != nil {
		t.Errorf("processes of pods: %v\n%s", err, diff)
	}
	if busy, err := pods.Attaching(t.Context()); busy || err != nil {
		t.Errorf("a network plugin is said to run: %v, %v", busy, err)
	}
	if waits, err := pods.Uninterruptible(t.Context()); len(waits) != 0 || err != nil {
		t.Errorf("processes of pods that can't be ended: %+v, %v", waits, err)
	}
	plugin := fakeProcess{pid: 300, program: "bridge", exe: "/opt/cni/bin/bridge", cgroup: "/system.slice/containerd.service"}
	pods.procs = procsAt(t, proc(t, running([]fakeProcess{plugin})...))
	if busy, err := pods.Attaching(t.Context()); !busy || err != nil {
		t.Errorf("root's network plugin: %v, %v", busy, err)
	}
}

// TestPretendersForReal starts them as another user.
func TestPretendersForReal(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root starts processes of others")
	}
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	procs := procsAt(t, "/proc")
	var pids []int
	for name, args := range map[string][]string{
		"containerd": {"60"}, "kubelet": {"60"}, "containerd-shim-runc-v2": {"60", "-namespace", "k8s.io"}, "conmon": {"60", "/x/crio/y"},
	} {
		copyOf(t, filepath.Join(dir, name))
		cmd := exec.Command(filepath.Join(dir, name), "-test.run=^TestSleeper$")
		cmd.Args = append(cmd.Args, args...)
		cmd.Env = append(os.Environ(), sleeperVariable+"=1")
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		pids = append(pids, cmd.Process.Pid)
	}
	for _, pid := range pids {
		for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			exe, err := procs.exe(pid)
			if err == nil && filepath.Dir(exe) == dir && !procs.ended(pid) {
				break
			}
			if time.Since(start) > 10*time.Second {
				t.Fatalf("process %d doesn't run: %q, %v", pid, exe, err)
			}
		}
	}
	found, err := procs.Find("containerd", "kubelet")
	if err != nil {
		t.Fatal(err)
	}
	ofPods, err := linuxPods{procs: procs}.Processes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(found, ofPods...) {
		if strings.HasPrefix(p.Exe, dir) {
			t.Errorf("another user's %s is taken for the machine's", p.Exe)
		}
	}
}

const sleeperVariable = "HOST_TEST_SLEEP"

// TestSleeper is what the pretenders do.
func TestSleeper(t *testing.T) {
	if os.Getenv(sleeperVariable) == "" {
		t.Skip("it is started by others")
	}
	time.Sleep(time.Minute)
}

// FuzzStatus reads what the kernel says of a process, whose name is the process's own choice.
func FuzzStatus(f *testing.F) {
	f.Add("containerd", 0)
	f.Add("x\nUid:\t0\t0\t0\t0", 1000)
	f.Add("\\nUid:\t0\t0\t0\t0", 1000)
	f.Add(") D (", 65534)
	f.Fuzz(func(t *testing.T, name string, uid int) {
		if uid <= 0 {
			t.Skip()
		}
		// As the kernel escapes it.
		name = strings.NewReplacer("\\", `\\`, "\n", `\n`).Replace(name)
		p := procsAt(t, proc(t, fakeProcess{pid: 100, program: name, exe: "/tmp/containerd", cgroup: "/", states: "S", uids: []int{uid, uid, uid, uid}}))
		if list, err := p.Find("containerd"); len(list) != 0 || err != nil {
			t.Errorf("%q of user %d: %+v, %v", name, uid, list, err)
		}
	})
}

// FuzzInPod: below a group that a user or a service may have been given, and in no other, no name makes a pod.
func FuzzInPod(f *testing.F) {
	f.Add("kubepods.slice/kubepods-pod1.slice")
	f.Add("../kubepods")
	f.Fuzz(func(t *testing.T, name string) {
		for _, above := range []string{"/user.slice/", "/system.slice/ci.service/"} {
			if inPod(above+name, "/init.scope") {
				t.Errorf("%s%s is taken for a pod's", above, name)
			}
		}
	})
}
