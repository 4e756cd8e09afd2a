package hosttest_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
)

const file = "/etc/crictl.yaml"

func put(n *hosttest.Node, text string) error {
	return n.Machine().Files.Put(file, v1alpha1.FileState{Path: file, Type: v1alpha1.Regular, Mode: 0o600}, []byte(text))
}

// TestDurability crashes a Put after each of its steps: the file is old or new, and new once Put has returned.
func TestDurability(t *testing.T) {
	for at := 1; at <= 5; at++ {
		for name, keep := range map[string]bool{"lost": false, "kept": true} {
			n := hosttest.New()
			n.Write(file, "old")
			n.Boot()
			n.CrashAt(at, false, hosttest.PowerLoss)
			err := put(n, "new")
			if (err == nil) != (at > 4) {
				t.Fatalf("crash %d: %v", at, err)
			}
			n.PowerOff(func() bool { return keep })
			n.Boot()
			want := "old"
			if at >= 4 || at == 3 && keep {
				want = "new"
			}
			if got, _ := n.Content(file); got != want {
				t.Errorf("crash %d, unsynced %s: %q, want %q", at, name, got, want)
			}
			if err := n.Machine().Files.Sweep(file); err != nil {
				t.Fatal(err)
			}
			for p := range n.Snapshot("/etc") {
				if strings.Contains(p, ".kubectl-runtime-") {
					t.Errorf("crash %d: a temporary name stays: %s", at, p)
				}
			}
		}
	}
}

// TestUnknown: what the machine doesn't have fails as on a real one.
func TestUnknown(t *testing.T) {
	n := hosttest.New()
	n.Boot()
	m := n.Machine()
	ctx := t.Context()
	dial := func(endpoint string) error { _, err := m.CRI.Dial(ctx, endpoint, "v1"); return err }
	run := func(argv ...string) error { _, err := m.Commands.Output(ctx, argv, nil); return err }
	read := func(p string) error { _, err := m.Files.Read(p, 10); return err }
	do := func(kubeconfig string) error {
		_, _, err := m.HTTP.Do(ctx, kubeconfig, "GET", "/", "", nil)
		return err
	}
	for what, err := range map[string]error{
		"starting a unit":         m.Units.Start(ctx, "crio.service"),
		"starting a process":      m.Units.StartTransient(ctx, host.Transient{Name: "x.service", Argv: []string{"/usr/bin/x"}}),
		"an endpoint":             dial("unix:///run/x.sock"),
		"an endpoint's scheme":    dial("/run/x.sock"),
		"a command":               run("x", "--version"),
		"no command":              run(),
		"a file":                  read("/etc/x"),
		"a directory to read":     read("/etc"),
		"a forbidden path":        m.Files.Put("/etc/passwd", v1alpha1.FileState{Type: v1alpha1.Regular}, nil),
		"a path that isn't":       m.Files.Put("/etc/crio/../passwd", v1alpha1.FileState{Type: v1alpha1.Regular}, nil),
		"a missing parent":        m.Files.Put("/etc/crio/x", v1alpha1.FileState{Type: v1alpha1.Regular}, nil),
		"a module":                m.Kernel.LoadModule(ctx, "floppy_nonesuch"),
		"a parameter":             m.Kernel.SetSysctl("net.x", "1"),
		"a bridge without module": m.Kernel.SetSysctl("net.bridge.bridge-nf-call-iptables", "1"),
		"a runtime's mounts":      m.Pods.Unmount(ctx, "rkt"),
		"an API server":           do("/etc/kubernetes/kubelet.conf"),
	} {
		if err == nil {
			t.Errorf("%s that it doesn't know succeeded", what)
		}
	}
	if u, err := m.Units.Show(ctx, "x.service"); err != nil || u.LoadState != "not-found" {
		t.Errorf("an unknown unit: %+v, %v", u, err)
	}
	if err := m.Units.Stop(ctx, "x.service"); err != nil {
		t.Errorf("stopping what isn't there: %v", err)
	}
}

func daemonNode() *hosttest.Node {
	n := hosttest.New()
	n.Write("/usr/lib/systemd/system/crio.service", "[Service]\nType=notify\nExecStart=/usr/bin/crio $CRIO_OPTIONS\nEnvironmentFile=-/etc/default/crio\n\n[Install]\nWantedBy=multi-user.target\n")
	n.Write("/usr/lib/systemd/system/web.socket", "[Socket]\nListenStream=/run/web.sock\n")
	n.Write("/usr/lib/systemd/system/web.service", "[Unit]\nRequires=web.socket\nAfter=web.socket\n\n[Service]\nExecStart=/usr/bin/web\n")
	n.Install(hosttest.CRIO("1.34.1"), hosttest.Program{Path: "/usr/bin/web"})
	n.Boot()
	return n
}

// TestLoaded: a daemon runs with what its files said when it started; PID 1 knows units as it read them.
func TestLoaded(t *testing.T) {
	n := daemonNode()
	start := func() string {
		if err := n.Start("crio.service"); err != nil {
			t.Fatal(err)
		}
		return n.Loaded()["crio.service"]
	}
	first := start()
	n.Dir("/etc/crio/crio.conf.d", 0o755)
	n.Write("/etc/crio/crio.conf.d/10.backup", "[crio]\n") // read whatever its name
	if got := n.Loaded()["crio.service"]; got != first {
		t.Error("a running daemon read its files again")
	}
	n.Stop("crio.service")
	second := start()
	if second == first {
		t.Error("a new configuration was not loaded")
	}
	n.Stop("crio.service")
	n.Write("/etc/default/crio", "CRIO_OPTIONS=--log-level=debug\n")
	if start() == second {
		t.Error("a new environment was not loaded")
	}
	n.Stop("crio.service")
	parked := "/etc/systemd/system/crio.service.d/parked.conf"
	n.Write(parked, "[Unit]\nConditionPathExists=!"+parked+"\n")
	if u, _ := n.Machine().Units.Show(t.Context(), "crio.service"); !u.NeedDaemonReload {
		t.Error("a changed unit file isn't told of")
	}
	start()
	if n.Active()["crio.service"] != "active" {
		t.Error("PID 1 knew of a drop-in before it was told to read it")
	}
	n.Stop("crio.service")
	if err := n.Machine().Units.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	start()
	if got := n.Active()["crio.service"]; got != "" {
		t.Errorf("a unit whose condition isn't met is %s", got)
	}
}

func TestSocketWakesItsService(t *testing.T) {
	n := daemonNode()
	if err := n.Dial("/run/web.sock"); err == nil {
		t.Error("nobody listens yet")
	}
	if err := n.Start("web.socket"); err != nil {
		t.Fatal(err)
	}
	if err := n.Dial("/run/web.sock"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"web.socket": "active", "web.service": "active"}, n.Active()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	n.Stop("web.socket")
	if got := n.Active(); len(got) > 0 {
		t.Errorf("a service that requires its socket outlives it: %v", got)
	}
}

// TestProcess: a process of the test's own is killed by a crash, started again by PID 1, and loses its locks.
func TestProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := hosttest.New(hosttest.RealTime())
		starts := 0
		n.Install(hosttest.Program{Path: "/usr/bin/agent", Main: func(ctx context.Context, m host.Machine, _ []string, stdin io.Reader) error {
			starts++
			if _, err := m.Files.Lock("/var/lib/kubectl-runtime/lock", true); err != nil {
				return err
			}
			if err := m.Clock.Sleep(ctx, time.Minute); err != nil {
				return err
			}
			return errors.New("it was never killed")
		}})
		n.Dir("/var/lib/kubectl-runtime", 0o700)
		n.Boot()
		defer n.PowerOff(nil)
		err := n.Machine().Units.StartTransient(t.Context(), host.Transient{Name: "a.service", Argv: []string{"/usr/bin/agent"}, RestartOnFailure: true})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if _, err := n.Machine().Files.Lock("/var/lib/kubectl-runtime/lock", false); !errors.Is(err, host.ErrLocked) {
			t.Errorf("the lock that it holds: %v", err)
		}
		n.Kill("a.service")
		unlock, err := n.Machine().Files.Lock("/var/lib/kubectl-runtime/lock", false)
		if err != nil {
			t.Fatalf("the lock of a dead process: %v", err)
		}
		unlock()
		time.Sleep(3 * time.Second)
		if starts != 2 || n.Active()["a.service"] != "active" {
			t.Errorf("%d starts, %v", starts, n.Active())
		}
		n.Stop("a.service")
		time.Sleep(3 * time.Second)
		if starts != 2 {
			t.Error("a stopped unit was started again")
		}
	})
}
