package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// fakeProcess is a process of a /proc that a test lays out.
type fakeProcess struct {
	pid                       int
	program, cgroup, exe, cwd string
	// states are those of its threads, the first thread's first.
	states string
	argv   []string
	// uids are its user IDs, four of root's where there are none; space is its user namespace and view its mount namespace where
	// these aren't the machine's.
	uids        []int
	space, view string
}

// waits reports whether a thread is in state D.
func (p fakeProcess) waits() bool { return strings.Contains(p.states, "D") }

// proc lays out a /proc. The command line and environment of a process in state D are pipes that nobody writes to.
func proc(t *testing.T, list ...fakeProcess) string {
	t.Helper()
	root := t.TempDir()
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	numbers := string(own[strings.LastIndexByte(string(own), ')')+3:])
	write := func(name, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	link := func(name, target string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.Symlink(target, name)); err != nil {
			t.Fatal(err)
		}
	}
	for kind, name := range map[string]string{"pid": "pid:[1]", "user": "user:[1]", "mnt": "mnt:[1]"} {
		link(filepath.Join(root, "self/ns", kind), name)
	}
	write(filepath.Join(root, "1/cgroup"), "0::/init.scope\n")
	for _, p := range list {
		dir := filepath.Join(root, strconv.Itoa(p.pid))
		link(filepath.Join(dir, "ns/pid"), "pid:[1]")
		for kind, name := range map[string]string{"user": p.space, "mnt": p.view} {
			if name == "" {
				name = kind + ":[1]"
			}
			link(filepath.Join(dir, "ns", kind), name)
		}
		uids := append(slices.Clone(p.uids), 0, 0, 0, 0)
		write(filepath.Join(dir, "status"), fmt.Sprintf("Name:\t%s\nUid:\t%d\t%d\t%d\t%d\n", p.program, uids[0], uids[1], uids[2], uids[3]))
		link(filepath.Join(dir, "exe"), p.exe)
		if p.cwd != "" {
			link(filepath.Join(dir, "cwd"), p.cwd)
		}
		write(filepath.Join(dir, "cgroup"), "0::"+p.cgroup+"\n")
		for i, state := range p.states {
			thread := p.pid + i
			stat := fmt.Sprintf("%d (%s) %c%s", thread, p.program, state, numbers)
			if i == 0 {
				write(filepath.Join(dir, "stat"), stat)
			}
			write(filepath.Join(dir, "task", strconv.Itoa(thread), "stat"), stat)
			write(filepath.Join(dir, "task", strconv.Itoa(thread), "schedstat"), "5 5 5\n")
		}
		if !p.waits() {
			write(filepath.Join(dir, "cmdline"), strings.Join(p.argv, "\x00")+"\x00")
			write(filepath.Join(dir, "environ"), "DOCKER_HOST=unix:///x\x00")
			continue
		}
		for _, name := range []string{"cmdline", "environ"} {
			if err := unix.Mkfifo(filepath.Join(dir, name), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

// promptly fails the test where something doesn't come back, and lets it go: it waits for who writes to one of the pipes.
func promptly(t *testing.T, pipes string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	late := time.After(10 * time.Second)
	for {
		select {
		case <-done:
			return
		case <-late:
			t.Error("it waits")
		case <-time.After(100 * time.Millisecond):
			if !t.Failed() {
				continue
			}
			list, _ := filepath.Glob(pipes)
			for _, p := range list {
				if f, err := os.OpenFile(p, os.O_WRONLY|unix.O_NONBLOCK, 0); err == nil {
					_ = f.Close()
				}
			}
		}
	}
}

const podSlice = "/kubepods.slice/kubepods-pod12345678_1234_1234_1234_123456789abc.slice/cri-containerd-0123.scope"

// waiting are processes in state D of every kind, and others beside them.
var waiting = []fakeProcess{
	{pid: 100, program: "cp", exe: "/usr/bin/cp", cgroup: podSlice, states: "D"},
	{pid: 200, program: "java) D (x", exe: "/usr/bin/java", cgroup: podSlice, states: "SSDS"},
	{pid: 300, program: "nginx", exe: "/usr/sbin/nginx", cgroup: podSlice, states: "S", argv: []string{"nginx"}},
	{pid: 310, program: "name) D ", exe: "/usr/bin/x", cgroup: podSlice, states: "R", argv: []string{"x"}},
	{pid: 400, program: "containerd-shim", exe: "/usr/bin/containerd-shim-runc-v2", cgroup: "/system.slice/containerd.service", states: "SD", cwd: "/run/containerd/io.containerd.runtime.v2.task/k8s.io/0123"},
	{pid: 410, program: "containerd-shim", exe: "/usr/bin/containerd-shim-runc-v2", cgroup: "/system.slice/containerd.service", states: "SD", cwd: "/run/containerd/io.containerd.runtime.v2.task/moby/0123"},
	{pid: 420, program: "containerd-shim", exe: "/usr/bin/containerd-shim-runc-v2", cgroup: "/system.slice/containerd.service", states: "S", argv: []string{"containerd-shim-runc-v2", "-namespace", "k8s.io"}},
	{pid: 500, program: "conmon", exe: "/usr/bin/conmon", cgroup: "/system.slice/crio-conmon-0123.scope", states: "D"},
	{pid: 510, program: "conmon", exe: "/usr/bin/conmon", cgroup: "/machine.slice/libpod-conmon-0123.scope", states: "D"},
	{pid: 600, program: "kworker/0:1", exe: "none", cgroup: "/", states: "D"},
	{pid: 700, program: "containerd", exe: "/usr/bin/containerd", cgroup: "/system.slice/containerd.service", states: "SSD"},
	{pid: 710, program: "dockerd", exe: "/usr/bin/dockerd", cgroup: "/system.slice/docker.service", states: "SS", argv: []string{"/usr/bin/dockerd"}},
}

// TestUninterruptible: a process counts once its wait has outlasted a disk's; one that ran between two looks doesn't.
func TestUninterruptible(t *testing.T) {
	t.Parallel() // it waits for real
	busy := fakeProcess{pid: 800, program: "fio", exe: "/usr/bin/fio", cgroup: podSlice, states: "DD"}
	ends := fakeProcess{pid: 900, program: "dd", exe: "/usr/bin/dd", cgroup: podSlice, states: "D"}
	root := proc(t, append([]fakeProcess{busy, ends}, waiting...)...)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for i := 6; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(lookPause / 5):
			}
			for _, thread := range []string{"800", "801"} {
				at := filepath.Join(root, "800/task", thread, "schedstat")
				_ = os.WriteFile(at+".new", fmt.Appendf(nil, "5 5 %d\n", i), 0o644)
				_ = os.Rename(at+".new", at)
			}
			if i == 8 {
				_ = os.RemoveAll(filepath.Join(root, "900"))
			}
		}
	}()
	clock, err := newClock()
	if err != nil {
		t.Fatal(err)
	}
	promptly(t, root+"/*/*", func() {
		got, err := linuxPods{procs: procsAt(t, root), clock: clock}.Uninterruptible(t.Context())
		const uid = "12345678-1234-1234-1234-123456789abc"
		want := []v1alpha1.UninterruptibleProcess{
			{PID: 100, Program: "cp", PodUID: uid},
			{PID: 200, Program: "java) D (x", PodUID: uid},
			{PID: 400, Program: "containerd-shim"},
			{PID: 500, Program: "conmon"},
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

// TestProcessesThatWait: nobody who must see every process of a pod, or every process at all, waits for one.
func TestProcessesThatWait(t *testing.T) {
	t.Parallel()
	root := proc(t, waiting...)
	procs := procsAt(t, root)
	promptly(t, root+"/*/*", func() {
		list, err := linuxPods{procs: procs}.Processes(t.Context())
		var got []int
		for _, p := range list {
			got = append(got, p.PID)
		}
		if diff := cmp.Diff([]int{100, 200, 300, 310, 400, 420, 500}, got); diff != "" || err != nil {
			t.Errorf("processes of pods: %v\n%s", err, diff)
		}
	})
	promptly(t, root+"/*/*", func() {
		list, err := procs.Find("containerd", "dockerd")
		if err != nil || len(list) != 2 || list[0].Argv != nil || len(list[1].Argv) != 1 || list[0].Unit != "containerd.service" {
			t.Errorf("daemons: %+v, %v", list, err)
		}
	})
	promptly(t, root+"/*/*", func() {
		if _, err := procs.Environ(700); !errors.Is(err, errUninterruptible) {
			t.Errorf("environment: %v", err)
		}
		if list, err := procs.Environ(710); err != nil || len(list) != 1 {
			t.Errorf("environment: %v, %v", list, err)
		}
	})
	promptly(t, root+"/*/*", func() {
		if value, ok := (linuxClients{procs: procs}).variable(100, "DOCKER_HOST"); ok {
			t.Errorf("DOCKER_HOST=%s", value)
		}
		if _, ok := (linuxClients{procs: procs}).variable(300, "DOCKER_HOST"); !ok {
			t.Error("no DOCKER_HOST")
		}
	})
}

// TestSpecificationIsAPipe: the directory in which something that looks like a shim of Docker's stands is anybody's.
func TestSpecificationIsAPipe(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "config.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	root := proc(t, fakeProcess{
		pid: 100, program: "containerd-shim", exe: "/tmp/containerd-shim-x", cgroup: "/user.slice", cwd: dir, states: "S",
		argv: []string{"containerd-shim-x", "-namespace", "moby"},
	})
	promptly(t, dir+"/config.json", func() {
		if list, err := (linuxPods{procs: procsAt(t, root)}).Processes(t.Context()); len(list) != 0 || err != nil {
			t.Errorf("%+v, %v", list, err)
		}
	})
}
