package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
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

// dialVariable makes this test binary a client: it connects to what "network address" says, says so, and waits for its end.
const dialVariable = "HOST_TEST_DIAL"

func TestDialler(t *testing.T) {
	network, address, ok := strings.Cut(os.Getenv(dialVariable), " ")
	if !ok {
		t.Skip("another test starts this one in a process of its own")
	}
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// Of a connection that nobody has accepted yet the kernel tells nothing.
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	fmt.Println("connected")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// dialFrom starts a process that holds one connection, and returns its PID. Flags are those of clone(2).
func dialFrom(t *testing.T, network, address string, flags uintptr, env ...string) int {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestDialler$", "-test.v")
	cmd.Env = append(append(os.Environ(), dialVariable+"="+network+" "+address), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		if flags != 0 {
			t.Skipf("no network namespace of its own: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if lines.Text() == "connected" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return cmd.Process.Pid
		}
	}
	t.Fatal("the client didn't connect")
	return 0
}

// listen accepts connections at a socket of its own directory, says so on each, and keeps them.
func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		var kept []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				for _, c := range kept {
					_ = c.Close()
				}
				return
			}
			kept = append(kept, conn)
			_, _ = conn.Write([]byte{1})
		}
	}()
	return l
}

// shortDir is a directory whose path leaves room for a socket's name, on the file system where runtimes have theirs.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "ht")
	if err != nil {
		if dir, err = os.MkdirTemp("", "ht"); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestUnixClients(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root sees the files of other processes and enters their networks")
	}
	dir := shortDir(t)
	socket, other := filepath.Join(dir, "docker.sock"), filepath.Join(dir, "other.sock")
	listen(t, "unix", socket)
	listen(t, "unix", other)
	dialFrom(t, "unix", other, 0)
	want := map[int]int{
		dialFrom(t, "unix", socket, 0):                    1,
		dialFrom(t, "unix", socket, syscall.CLONE_NEWNET): 1,
	}
	own, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	link := filepath.Join(dir, "link.sock")
	if err := os.Symlink(socket, link); err != nil {
		t.Fatal(err)
	}
	before, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	clients := linuxClients{procs: procsAt(t, "/proc")}
	found, err := clients.Unix(t.Context(), []string{filepath.Join(dir, "absent.sock"), socket, link})
	if err != nil {
		t.Fatal(err)
	}
	have := map[int]int{}
	for _, c := range found {
		have[c.Process.PID] = c.Connections
		if c.Socket != socket || filepath.Base(c.Process.Exe) == "" || len(c.Process.Argv) == 0 {
			t.Errorf("%+v", c)
		}
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("connections by process (-want +have)\n%s", diff)
	}
	// Looking leaves this process where it was.
	for range 20 {
		if _, err := clients.Unix(t.Context(), []string{socket}); err != nil {
			t.Fatal(err)
		}
		if after, err := os.Readlink("/proc/thread-self/ns/net"); err != nil || after != before {
			t.Fatalf("in network %s and not in %s: %v", after, before, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := clients.Unix(ctx, []string{socket}); err == nil {
		t.Error("no error from a look that was called off")
	}
	if found, err := clients.Unix(t.Context(), []string{filepath.Join(dir, "absent.sock"), dir}); len(found) > 0 || err != nil {
		t.Errorf("of what isn't a socket: %v %v", found, err)
	}
}

func TestTCPClients(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root sees the files of other processes")
	}
	// The calling process is left out, so the client is another one.
	l := listen(t, "tcp", "127.0.0.1:0")
	port := l.Addr().(*net.TCPAddr).Port
	pid := dialFrom(t, "tcp", l.Addr().String(), 0)
	clients := linuxClients{procs: procsAt(t, "/proc")}
	var found []v1alpha1.Client
	for range 100 { // until the connection is accepted
		var err error
		if found, err = clients.TCP(t.Context(), os.Getpid(), []int{port}); err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if len(found) != 1 || found[0].Process.PID != pid || found[0].Socket != l.Addr().String() || !strings.HasPrefix(found[0].From, "127.0.0.1:") {
		t.Errorf("%+v, want process %d", found, pid)
	}
	if found, err := clients.TCP(t.Context(), os.Getpid(), []int{port + 1}); len(found) > 0 || err != nil {
		t.Errorf("another port: %v %v", found, err)
	}
}

func TestParseConnection(t *testing.T) {
	const v4 = "   1: 0100007F:0947 0200A8C0:C350 01 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 20 4 30 10 -1"
	x, ok := parseConnection(v4)
	if !ok || x.local.String() != "127.0.0.1:2375" || x.remote.String() != "192.168.0.2:50000" || x.inode != 4711 || x.state != stateEstablished || x.uid != 0 {
		t.Errorf("%+v %v", x, ok)
	}
	x, ok = parseConnection(strings.NewReplacer("0100007F", "0000000000000000FFFF00000100007F", "0200A8C0", "B80D0120000000000000000001000000").Replace(v4))
	if !ok || x.local.String() != "127.0.0.1:2375" || x.remote.String() != "[2001:db8::1]:50000" {
		t.Errorf("%+v %v", x, ok)
	}
	for _, line := range []string{"", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", strings.Replace(v4, " 01 ", " 06 ", 1), strings.Replace(v4, "0100007F", "zz", 1)} {
		if x, ok := parseConnection(line); ok {
			t.Errorf("%q: %+v", line, x)
		}
	}
}

// TestFloodedTable: any user can fill the table of connections. What stands in it is found all the same, and in the time that there is.
func TestFloodedTable(t *testing.T) {
	root := proc(t, fakeProcess{pid: 100, program: "kubelet", exe: "/usr/bin/kubelet", cgroup: "/", states: "S"})
	const line = "%4d: 0100007F:%04X 0100007F:%04X %s 00000000:00000000 00:00000000 00000000 %5d        0 %d 1 0000000000000000 20 4 30 10 -1\n"
	flood := strings.Repeat(fmt.Sprintf(line, 1, 8080, 40000, "01", 65534, 4711), 70<<20/147)
	text := fmt.Sprintf(line, 0, 10248, 0, "0A", 0, 4700) + flood + fmt.Sprintf(line, 2, 10248, 50000, "01", 0, 4712)
	table := filepath.Join(root, "100", "net", "tcp")
	if err := errors.Join(os.MkdirAll(filepath.Dir(table), 0o755), os.WriteFile(table, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	c := linuxClients{procs: procsAt(t, root)}
	var last connection
	err := c.table(t.Context(), 100, func(x connection) bool { last = x; return true })
	if err != nil || last.inode != 4712 {
		t.Errorf("the last one is %+v, %v", last, err)
	}
	began := time.Now()
	there, err := c.listening(t.Context(), 100, netip.MustParseAddrPort("127.0.0.1:10248"))
	if took := time.Since(began); len(there) != 1 || err != nil || took > time.Second {
		t.Errorf("%+v listen there, seen in %s, %v", there, took, err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.table(over, 100, func(connection) bool { return true }); !errors.Is(err, context.Canceled) {
		t.Errorf("read on after the end of its time: %v", err)
	}
}

func TestDockerHostsOfProcesses(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root sees the environment of other processes")
	}
	dir := shortDir(t)
	socket := filepath.Join(dir, "docker.sock")
	listen(t, "unix", socket)
	link := filepath.Join(dir, "link.sock")
	if err := os.Symlink(socket, link); err != nil {
		t.Fatal(err)
	}
	direct := dialFrom(t, "unix", socket, 0, "DOCKER_HOST=unix://"+link)
	away := dialFrom(t, "unix", socket, 0, "DOCKER_HOST=tcp://build.example:2376")
	dialFrom(t, "unix", socket, 0, "DOCKER_HOST=", "NOT_DOCKER_HOST=unix://"+socket)
	list, err := linuxClients{procs: procsAt(t, "/proc")}.DockerHosts(t.Context(), []string{socket})
	if err != nil {
		t.Fatal(err)
	}
	have := map[int]string{}
	for _, x := range list {
		if x.Process.PID == direct || x.Process.PID == away || strings.Contains(x.Value, dir) {
			have[x.Process.PID] = x.Value + " " + x.Socket
		}
	}
	want := map[int]string{direct: "unix://" + link + " " + socket, away: "tcp://build.example:2376 "}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("(-want +have)\n%s", diff)
	}
}

func TestContained(t *testing.T) {
	const uid, underscored = "6f1d3c52-0001-4a4a-8b8b-000000000001", "6f1d3c52_0001_4a4a_8b8b_000000000001"
	id, node, digest := strings.Repeat("0a", 32), strings.Repeat("1b", 32), strings.Repeat("2c", 16)
	for _, c := range []struct{ name, path, init, pod, container string }{
		{"systemd driver", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + underscored + ".slice/cri-containerd-" + id + ".scope", "/init.scope", uid, id},
		{"guaranteed", "/kubepods.slice/kubepods-pod" + underscored + ".slice/crio-" + id + ".scope", "/init.scope", uid, id},
		{"cgroupfs driver", "/kubepods/besteffort/pod" + uid + "/" + id, "/", uid, id},
		{"a static pod", "/kubepods/burstable/pod" + digest + "/" + id, "/", digest, id},
		{"a node in a container", "/docker/" + node + "/kubelet/kubepods/pod" + uid + "/" + id, "/docker/" + node + "/init.scope", uid, id},
		{"a container of Docker's", "/system.slice/docker-" + id + ".scope", "/init.scope", "", id},
		{"another node in a container", "/docker/" + node + "/kubelet/kubepods/pod" + uid + "/" + id, "/init.scope", "", node},
		{"a cluster in a pod", "/kubepods/pod" + digest + "/" + id + "/kubepods/pod" + uid + "/" + node, "/", digest, id},
		{"a service", "/system.slice/backup.service", "/init.scope", "", ""},
		{"podman's service", "/system.slice/podman.service", "/init.scope", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			pod, container := contained(map[string]string{"": c.path}, map[string]string{"": c.init})
			if pod != c.pod || container != c.container {
				t.Errorf("%q %q", pod, container)
			}
		})
	}
}

func FuzzEndpoints(f *testing.F) {
	f.Add(append(make([]byte, diagMessageLen), 8, 0, 2, 0, 7, 0, 0, 0, 12, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0))
	f.Add(make([]byte, diagMessageLen-1))
	f.Add(append(make([]byte, diagMessageLen), 99, 0, 2, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, err := endpoints(data); err == nil && len(data) < diagMessageLen {
			t.Fatal("a message that is cut off is taken for whole")
		}
	})
}

// A link of a process leads through its own root and not through this one's.
func TestSeenInAnotherRoot(t *testing.T) {
	dir := shortDir(t)
	if err := os.MkdirAll(filepath.Join(dir, "proc/7"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "new/run"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"proc/7/root": filepath.Join(dir, "new"), "new/link.sock": "/run/docker.sock", "new/away.sock": "/../../etc/passwd"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(dir, "new/run/docker.sock")
	listen(t, "unix", socket)
	clients := linuxClients{procs: procsAt(t, filepath.Join(dir, "proc"))}
	bound := boundAt([]string{socket})
	for path, want := range map[string]string{"/run/docker.sock": socket, "/link.sock": socket, "/away.sock": "", "/absent.sock": "", "relative.sock": ""} {
		if have := clients.seen(7, path, bound); have != want {
			t.Errorf("%s leads to %q", path, have)
		}
	}
	if have := clients.seen(8, "/run/docker.sock", bound); have != "" {
		t.Errorf("of a process that isn't there: %q", have)
	}
}
