package host

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const healthVariable = "HOST_TEST_HEALTHZ"

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
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
	}()
	time.Sleep(time.Minute)
}

// listener starts a health check in a process of a user, called as a kubelet is, and returns its URL.
func listener(t *testing.T, uid uint32) (url string, pid int) {
	t.Helper()
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	program, file := filepath.Join(dir, "kubelet"), filepath.Join(dir, "address")
	copyOf(t, program)
	cmd := exec.Command(program, "-test.run=^TestHealthListener$")
	cmd.Env, cmd.Dir = append(os.Environ(), healthVariable+"="+file), dir
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
	url, pid := listener(t, 65534)
	err := ownHTTP(t).Healthz(t.Context(), url)
	var stranger *StrangerError
	if !errors.As(err, &stranger) || stranger.At != url || stranger.Who != fmt.Sprintf("process %d of user 65534", pid) {
		t.Errorf("believed: %v", err)
	}
	if url, _ := listener(t, 0); ownHTTP(t).Healthz(t.Context(), url) != nil {
		t.Error("root isn't believed")
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
