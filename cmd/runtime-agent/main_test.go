package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

func TestRead(t *testing.T) {
	const version = `"apiVersion":"kubectl-runtime/v1alpha2"`
	for _, c := range []struct{ name, in, want string }{
		{"good", `{` + version + `,"verb":"gather","node":"a"}`, ""},
		{"followed by space", `{` + version + `,"verb":"gather","node":"a"}` + "\n\n", ""},
		{"nothing", ``, "not one JSON document"},
		{"cut", `{"verb":"gat`, "not one JSON document"},
		{"not JSON", `hush`, "not one JSON document"},
		{"unknown field", `{` + version + `,"verb":"gather","force":true}`, `unknown field "force"`},
		{"unknown field inside", `{` + version + `,"images":[{"ref":"a","secret":"x"}]}`, `unknown field "secret"`},
		{"another version", `{"apiVersion":"kubectl-runtime/v2"}`, "kubectl-runtime/v2"},
		{"two documents", `{` + version + `}{}`, "something follows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := read(strings.NewReader(c.in))
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// What was asked is never repeated where it may hold a credential.
func TestReadQuotesNothing(t *testing.T) {
	for _, in := range []string{`{"images":[{"auths":[{"password":"hush"}`, `{"images":[{"auths":[{"password":["hush"]}]}]}`, `"hush"`, `{"node":4711}`} {
		if _, err := read(strings.NewReader(in)); err == nil || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "4711") {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestServe(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`{`, "not one JSON document"},
		{`{"apiVersion":"kubectl-runtime/v1alpha2","verb":"destroy","node":"a"}`, "destroy"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), nil, strings.NewReader(c.in), &out); err != nil {
			t.Fatal(err)
		}
		var answer v1alpha1.Response
		if err := json.Unmarshal(out.Bytes(), &answer); err != nil || !strings.Contains(answer.Error, c.want) || answer.APIVersion != v1alpha1.APIVersion {
			t.Errorf("answered %s, %v", out.String(), err)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{"run"}, {"run", "stage"}, {"run", "nothing", "r-00000001"}, {"recover", "x"}, {"help"}, {"canary"}, {"canary", "--listen"}, {"canary", "--listen", ":0"}, {"canary", "--listen", ":0", "--path", "/mine"}, {"canary", "--port", "1"}} {
		if err := run(t.Context(), args, nil, nil); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestCanary(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"canary", "--listen", address, "--path", "/mine", "--for", "1m"}, nil, nil)
	}()
	for deadline := time.Now().Add(5 * time.Second); ; {
		a, err := http.Get("http://" + address + "/mine")
		if err == nil {
			_ = a.Body.Close()
			if a.StatusCode != http.StatusOK {
				t.Errorf("answered %s", a.Status)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	a, err := http.Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	if _ = a.Body.Close(); a.StatusCode != http.StatusNotFound {
		t.Errorf("answered %s for somebody else", a.Status)
	}
	cancel()
	if err := <-done; !errors.Is(err, errTold) {
		t.Errorf("told to end it returned %v: its pod would not be started again", err)
	}
	// Nobody tells it: its time is over, and its pod ends for good.
	if err := run(t.Context(), []string{"canary", "--listen", address, "--path", "/mine", "--for", "50ms"}, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestKubeletFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o700), os.WriteFile(p, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("args.env", "KUBELET_ARGS=\"--v=2 --config=/etc/kubernetes/kubelet-config.d/main.yaml\"\n")
	write("kubelet.service", "[Service]\nEnvironmentFile=-"+dir+"/args.env\nExecStart=/usr/bin/kubelet \\\n  --config /var/lib/kubelet/other.yaml --kubeconfig=/etc/kubernetes/kubelet.conf\n")
	write("kubelet.service.d/20-dirs.conf", "[Service]\nEnvironment=\"X=--config-dir=/etc/kubernetes/kubelet.conf.d --config=/etc/shadow\" Y='--config=/var/lib/kubelet/../../etc/passwd'\n")
	write("kubelet.service.d/ignored.txt", "--config=/etc/kubernetes/no.yaml\n")
	want := []string{"/var/lib/kubelet/other.yaml", "/etc/kubernetes/kubelet.conf.d/*.conf", "/etc/kubernetes/kubelet.conf.d/*/*.conf", "/etc/kubernetes/kubelet-config.d/main.yaml"}
	var got []string
	for _, w := range kubeletFiles(reader(t), dir) {
		got = append(got, w.Pattern())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func reader(t *testing.T) host.Reader {
	t.Helper()
	machine, err := host.Linux(nil)
	if err != nil {
		t.Fatal(err)
	}
	return machine.Files
}

// A file of variables that never ends, or that nobody writes to, doesn't keep the agent from its start: it is in the way of a rollback.
func TestKubeletFilesReadsRegularFilesAlone(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	unit := "[Service]\nEnvironmentFile=/dev/zero\nEnvironmentFile=-" + fifo + "\nExecStart=/usr/bin/kubelet --config=/var/lib/kubelet/other.yaml\n"
	if err := os.WriteFile(filepath.Join(dir, "kubelet.service"), []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan []v1alpha1.WritablePath, 1)
	go func() { done <- kubeletFiles(reader(t), dir) }()
	select {
	case got := <-done:
		if len(got) != 1 || got[0].Pattern() != "/var/lib/kubelet/other.yaml" {
			t.Errorf("got %v", got)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the agent waits for a pipe")
	}
}

// What a unit names is allowed by its own name alone: a star in it is no pattern.
func TestKubeletFilesTakesNamesLiterally(t *testing.T) {
	dir := t.TempDir()
	unit := "[Service]\nExecStart=/usr/bin/kubelet --config=/etc/kubernetes/*.yaml --config=/etc/kubernetes/manifests/x.yaml --config-dir=/etc/kubernetes/pki\n"
	if err := os.WriteFile(filepath.Join(dir, "kubelet.service"), []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	got := kubeletFiles(reader(t), dir)
	if len(got) != 1 || got[0].Matches("/etc/kubernetes/kubelet-config.yaml") || !got[0].Matches("/etc/kubernetes/*.yaml") {
		t.Errorf("got %v", got)
	}
}
