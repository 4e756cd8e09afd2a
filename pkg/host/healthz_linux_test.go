package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	healthVariable = "HOST_TEST_HEALTHZ"
	silentVariable = "HOST_TEST_SILENT"
)

// TestHealthListener makes this test binary a health check that says that all is well.
func TestHealthListener(t *testing.T) {
	file := os.Getenv(healthVariable)
	if file == "" {
		t.Skip("another test starts this one in a process of its own")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+"~", []byte(l.Addr().String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+"~", file); err != nil {
		t.Fatal(err)
	}
	if os.Getenv(silentVariable) != "" {
		for {
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, conn)
		}
	}
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
	}()
	time.Sleep(time.Minute)
}

// listener starts a health check in a process of a user, called as a kubelet is, and returns its URL. A silent one never answers.
func listener(t *testing.T, uid uint32, silent bool) (url string, pid int) {
	t.Helper()
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	program, file := filepath.Join(dir, "kubelet"), filepath.Join(dir, "address")
	copyOf(t, program)
	cmd := exec.Command(program, "-test.run=^TestHealthListener$")
	cmd.Env, cmd.Dir = append(os.Environ(), healthVariable+"="+file), dir
	if silent {
		cmd.Env = append(cmd.Env, silentVariable+"=1")
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for start := time.Now(); time.Since(start) < 30*time.Second; time.Sleep(10 * time.Millisecond) {
		if address, err := os.ReadFile(file); err == nil {
			return "http://" + string(address) + "/healthz", cmd.Process.Pid
		}
	}
	t.Fatal("the other process doesn't listen")
	return "", 0
}

// TestHealthzOfStranger: a local user who listens at the kubelet's port, with a program of that name, can't say that it is well.
func TestHealthzOfStranger(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root starts processes of others")
	}
	for name, silent := range map[string]bool{"one who says that it is well": false, "one who says nothing": true} {
		url, pid := listener(t, 65534, silent)
		err := ownHTTP(t).Healthz(t.Context(), url)
		var stranger *StrangerError
		if !errors.As(err, &stranger) || stranger.At != url || stranger.Who != "a process of user 65534" {
			t.Errorf("%s: %v", name, err)
		}
		// Where the name of the address hides who listens, the connection tells.
		named := strings.Replace(url, "127.0.0.1", "localhost", 1)
		err = ownHTTP(t).Healthz(t.Context(), named)
		if !errors.As(err, &stranger) || stranger.At != named || stranger.Who != fmt.Sprintf("process %d of user 65534", pid) {
			t.Errorf("%s, by name: %v", name, err)
		}
	}
	if url, _ := listener(t, 0, false); ownHTTP(t).Healthz(t.Context(), url) != nil {
		t.Error("root isn't believed")
	}
}

// TestEndListeners: who listens in the kubelet's place is ended, and nobody else: neither root nor who listens elsewhere.
func TestEndListeners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root starts processes of others")
	}
	at := func(url string) netip.AddrPort {
		return netip.MustParseAddrPort(strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/healthz"))
	}
	procs := procsAt(t, "/proc")
	mine, pid := listener(t, 65534, false)
	_, otherPID := listener(t, 65534, false)
	ofRoot, rootsPID := listener(t, 0, false)
	if ended, err := procs.EndListeners(t.Context(), at(ofRoot)); len(ended) != 0 || err != nil {
		t.Errorf("root's: %v, %v", ended, err)
	}
	// Who wants to listen on all addresses is kept from it by one on this.
	all := netip.AddrPortFrom(netip.IPv4Unspecified(), at(mine).Port())
	ended, err := procs.EndListeners(t.Context(), all)
	want := []Listener{{At: at(mine).String(), PID: pid, UID: 65534}}
	if diff := cmp.Diff(want, ended); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for start := time.Now(); !procs.ended(pid); time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatal("it lives")
		}
	}
	if procs.ended(otherPID) || procs.ended(rootsPID) {
		t.Error("another process was ended")
	}
}

// TestTakenDescriptor: a socket of a user's in the hands of another process, which root's daemons take from anybody, doesn't end it.
func TestTakenDescriptor(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root starts processes of others")
	}
	url, pid := listener(t, 65534, false)
	procs := procsAt(t, "/proc")
	clients := linuxClients{procs}
	at := netip.MustParseAddrPort(strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/healthz"))
	there, err := clients.listening(t.Context(), os.Getpid(), at)
	if err != nil || len(there) != 1 {
		t.Fatalf("%+v, %v", there, err)
	}
	there[0].uid = 65533 // as if another one had opened it
	if ended, err := clients.endHolders(t.Context(), there[0]); len(ended) != 0 || err != nil || procs.ended(pid) {
		t.Errorf("%v, %v", ended, err)
	}
}

// TestHealthzIsBounded: whoever answers, it takes no longer than a second and no more than a head, and leads nowhere else.
func TestHealthzIsBounded(t *testing.T) {
	asked := make(chan struct{}, 1)
	elsewhere, stop, err := ownHTTP(t).Serve(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop() }()
	for name, answer := range map[string][]byte{
		"nothing":          nil,
		"half a head":      []byte("HTTP/1.1 200 OK\r\n"),
		"a head for ever":  append([]byte("HTTP/1.1 200 OK\r\n"), bytes.Repeat([]byte("X-A: "+strings.Repeat("a", 1000)+"\r\n"), 10_000)...),
		"no HTTP":          []byte("ok\n"),
		"another way":      []byte("HTTP/1.1 302 Found\r\nLocation: http://" + elsewhere + "/healthz\r\nContent-Length: 0\r\n\r\n"),
		"interim for ever": bytes.Repeat([]byte("HTTP/1.1 103 Early Hints\r\n\r\n"), 10_000),
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = conn.Write(answer)
				_, _ = conn.Read(make([]byte, 1<<10))
				time.Sleep(3 * time.Second)
			}()
			began := time.Now()
			if err := ownHTTP(t).Healthz(t.Context(), "http://"+l.Addr().String()+"/healthz"); err == nil {
				t.Error("believed")
			}
			if took := time.Since(began); took > 2500*time.Millisecond {
				t.Errorf("took %s", took)
			}
		})
	}
	select {
	case <-asked:
		t.Error("another address was asked")
	default:
	}
}
