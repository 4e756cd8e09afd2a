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
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
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
	want := []string{"/var/lib/kubelet/other.yaml", "/etc/kubernetes/kubelet-config.d/main.yaml", "/etc/kubernetes/kubelet.conf.d/*.conf", "/etc/kubernetes/kubelet.conf.d/*/*.conf"}
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

// TestKubeletFilesAsTheyAreWritten: a plan edits the file behind a link, and systemd takes variables and spaces around the equals sign.
func TestKubeletFilesAsTheyAreWritten(t *testing.T) {
	for name, c := range map[string]struct {
		unit, env string
		want      []string
	}{
		"a variable of a file":   {"EnvironmentFile = -ENV\nExecStart=/usr/bin/kubelet --config=${CONFIG}", "CONFIG=/etc/kubernetes/kubelet-x.yaml", []string{"/etc/kubernetes/kubelet-x.yaml"}},
		"a variable of the unit": {"Environment=CONFIG=/etc/kubernetes/kubelet-x.yaml\nExecStart=/usr/bin/kubelet --config $CONFIG", "", []string{"/etc/kubernetes/kubelet-x.yaml"}},
		"part of a name": {
			"EnvironmentFile=ENV\nEnvironment=DIR=/etc/kubernetes\nExecStart=/usr/bin/kubelet --config=${DIR}/${NAME}.yaml", "NAME=kubelet-x",
			[]string{"/etc/kubernetes/kubelet-x.yaml"},
		},
		"both definitions": {
			"EnvironmentFile=ENV\nEnvironment=CONFIG=/etc/kubernetes/a.yaml\nExecStart=/usr/bin/kubelet --config=${CONFIG}", "CONFIG=/etc/kubernetes/b.yaml",
			[]string{"/etc/kubernetes/a.yaml", "/etc/kubernetes/b.yaml"},
		},
		"a directory":     {"EnvironmentFile= ENV\nExecStart=/usr/bin/kubelet --config-dir=${DIR}", "DIR=/etc/kubernetes/kubelet.d/", []string{"/etc/kubernetes/kubelet.d/*.conf", "/etc/kubernetes/kubelet.d/*/*.conf"}},
		"unknown":         {"ExecStart=/usr/bin/kubelet --config=${CONFIG}", "", nil},
		"itself":          {"Environment=CONFIG=$CONFIG\nExecStart=/usr/bin/kubelet --config=${CONFIG}", "", nil},
		"a foreign value": {"Environment=CONFIG=/etc/shadow\nExecStart=/usr/bin/kubelet --config=${CONFIG}", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			unit := "[Service]\n" + strings.ReplaceAll(c.unit, "ENV\n", dir+"/env\n") + "\n"
			if err := errors.Join(os.WriteFile(filepath.Join(dir, "kubelet.service"), []byte(unit), 0o600), os.WriteFile(filepath.Join(dir, "env"), []byte(c.env+"\n"), 0o600)); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range kubeletFiles(reader(t), dir) {
				got = append(got, w.Pattern())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestKubeletFilesBehindLinks: the link and what it leads to, but for what no plan may name.
func TestKubeletFilesBehindLinks(t *testing.T) {
	n := hosttest.New()
	n.Write("/etc/kubernetes/kubelet/real.yaml", "")
	n.Link("/etc/kubernetes/link.yaml", "kubelet/second.yaml")
	n.Link("/etc/kubernetes/kubelet/second.yaml", "/etc/kubernetes/kubelet/real.yaml")
	n.Link("/etc/kubernetes/evil.yaml", "/etc/shadow")
	n.Link("/etc/kubernetes/round.yaml", "round.yaml")
	n.Write("/run/systemd/system/kubelet.service.d/a.conf", "[Service]\nExecStart=/usr/bin/kubelet --config=/etc/kubernetes/link.yaml\n")
	n.Write("/usr/local/lib/systemd/system/kubelet.service", "[Service]\nExecStart=/usr/bin/kubelet --config=/etc/kubernetes/evil.yaml --config=/etc/kubernetes/round.yaml\n")
	n.Boot()
	defer n.PowerOff(nil)
	var got []string
	for _, w := range kubeletFiles(n.Machine().Files, unitDirs...) {
		got = append(got, w.Pattern())
	}
	want := []string{"/etc/kubernetes/link.yaml", "/etc/kubernetes/kubelet/real.yaml", "/etc/kubernetes/evil.yaml", "/etc/kubernetes/round.yaml"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestAllowedOfAnOpenRun: what a run was staged to write it may write until it is closed, in either direction, whatever has become of the
// kubelet's units. Until it is staged they alone say what it may.
func TestAllowedOfAnOpenRun(t *testing.T) {
	const run, config, unit = "r-00000001", "/etc/kubernetes/kubelet-x.yaml", "/etc/systemd/system/kubelet.service"
	may := func(n *hosttest.Node, p string) bool {
		return slices.ContainsFunc(allowed(n.Machine()), func(w v1alpha1.WritablePath) bool { return w.Matches(p) })
	}
	for phase, want := range map[v1alpha1.Phase]bool{
		v1alpha1.PhaseStaging: false, v1alpha1.PhaseStaged: true, v1alpha1.PhaseApplying: true, v1alpha1.PhaseApplied: true,
		v1alpha1.PhaseRollingBack: true, v1alpha1.PhaseStuck: true, v1alpha1.PhaseConfirmed: false, v1alpha1.PhaseRolledBack: false,
	} {
		t.Run(string(phase), func(t *testing.T) {
			n := hosttest.New()
			n.Write(unit, "[Service]\nExecStart=/usr/bin/kubelet --config="+config+"\n")
			n.Boot()
			defer n.PowerOff(nil)
			m := n.Machine()
			var files []v1alpha1.FileState
			for _, p := range []string{config, "/etc/passwd", "/etc/kubernetes/manifests/x.yaml"} {
				files = append(files, v1alpha1.FileState{Path: p, Type: v1alpha1.Regular})
			}
			p := &v1alpha1.Plan{
				APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindPlan, Format: v1alpha1.Format, Run: run,
				Before: v1alpha1.State{Files: files}, After: v1alpha1.State{Files: files},
			}
			if err := journal.Open(m.Files, m.Clock, journal.Dir).Create(v1alpha1.Run{ID: run, Phase: phase}, p); err != nil {
				t.Fatal(err)
			}
			if !may(n, config) {
				t.Error("what the unit names may not be written")
			}
			n.Write(unit, "[Service]\nExecStart=/usr/local/bin/kubelet-wrapper\n")
			if may(n, config) != want {
				t.Errorf("with another unit it may be written: %v, want %v", !want, want)
			}
			for _, other := range []string{"/etc/passwd", "/etc/kubernetes/manifests/x.yaml", "/etc/kubernetes/kubelet-y.yaml"} {
				if may(n, other) {
					t.Errorf("%s may be written", other)
				}
			}
		})
	}
}
