package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

func procsAt(t *testing.T, root string) linuxProcs {
	t.Helper()
	procs, err := newProcs(root)
	if err != nil {
		t.Fatal(err)
	}
	return procs
}

func TestFindItself(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	procs := procsAt(t, "/proc")
	list, err := procs.Find(filepath.Base(exe))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(p v1alpha1.Process) bool { return p.PID == os.Getpid() })
	if i < 0 {
		t.Fatalf("not among %v", list)
	}
	if age := time.Since(list[i].Started); age < 0 || age > 10*time.Minute {
		t.Errorf("started %v ago", age)
	}
	if diff := cmp.Diff(os.Args, list[i].Argv); diff != "" {
		t.Error(diff)
	}
	t.Setenv("HOST_TEST", "later") // the kernel shows what a process was started with
	environ, err := procs.Environ(os.Getpid())
	if err != nil || len(environ) == 0 || slices.Contains(environ, "HOST_TEST=later") {
		t.Errorf("%d variables, %v", len(environ), err)
	}
	if _, err := procs.Environ(4999999); !errors.Is(err, ErrNotExist) {
		t.Errorf("no such process: %v", err)
	}
}

func TestEndedProcess(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	procs := procsAt(t, "/proc")
	for range 200 {
		if procs.ended(cmd.Process.Pid) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !procs.ended(cmd.Process.Pid) {
		t.Error("a zombie counts as running")
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestOutput(t *testing.T) {
	c := linuxCommands{names: []string{"sh", "sleep", "no-such-program"}}
	out, err := c.Output(t.Context(), []string{"sh", "-c", "echo $A; echo $HOME; cat"}, []string{"A=b c"})
	if err != nil || string(out) != "b c\n\n" {
		t.Errorf("%q %v", out, err)
	}
	_, err = c.Output(t.Context(), []string{"/bin/sh", "-c", "echo out; echo why >&2; exit 3"}, nil)
	if err == nil || !strings.Contains(err.Error(), "why") || !strings.Contains(err.Error(), "3") {
		t.Errorf("got %v", err)
	}
	if _, err := c.Output(t.Context(), []string{"no-such-program"}, nil); !errors.Is(err, ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Output(t.Context(), nil, nil); err == nil {
		t.Error("nothing ran and that was no error")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := c.Output(ctx, []string{"/bin/sleep", "10"}, nil); err == nil || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestParseOSRelease(t *testing.T) {
	got := parseOSRelease([]byte("# comment\nID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME='Debian \"x\"'\nQUOTED=\"a \\\"b\\\" \\$c\"\nnonsense\n"))
	want := map[string]string{"ID": "debian", "VERSION_ID": "12", "PRETTY_NAME": `Debian "x"`, "QUOTED": `a "b" $c`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSysctlPath(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.ip_forward":            "/proc/sys/net/ipv4/ip_forward",
		"net.ipv4.conf.eth0/1.rp_filter": "/proc/sys/net/ipv4/conf/eth0.1/rp_filter",
		"net/ipv4":                       "/proc/sys/net.ipv4",
		"..//.etc/passwd":                "",
		"":                               "",
		"net..ipv4":                      "",
	} {
		got, err := sysctlPath(name)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
	k := linuxKernel{}
	if value, err := k.Sysctl("kernel.ostype"); err != nil || value != "Linux" {
		t.Errorf("%q %v", value, err)
	}
	if value, err := k.Sysctl("no.such.parameter"); err != nil || value != "" {
		t.Errorf("%q %v", value, err)
	}
}

func TestClock(t *testing.T) {
	c, err := newClock()
	if err != nil {
		t.Fatal(err)
	}
	before := c.SinceBoot()
	if err := c.Sleep(t.Context(), 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if c.SinceBoot()-before < 10*time.Millisecond {
		t.Error("it stood still")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	other, err := newClock()
	if err != nil || other.Boot() != c.Boot() || len(c.Boot()) < 38 {
		t.Errorf("%q and %q, %v", c.Boot(), other.Boot(), err)
	}
}

func TestUnitFrom(t *testing.T) {
	got := unitFrom("x.service", map[string]any{
		"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "UnitFileState": "enabled",
		"FragmentPath": "/usr/lib/systemd/system/x.service", "DropInPaths": []string{"/a.conf"}, "Environment": []string{"A=b"},
		"EnvironmentFiles": [][]any{{"/etc/default/x", true}, {"/etc/x", false}}, "MainPID": uint32(7), "NeedDaemonReload": true,
		"ActiveEnterTimestamp": uint64(1_700_000_000_000_001), "KillMode": "process", "Type": "notify",
		"Wants": []string{"w"}, "Requires": []string{"r"}, "BindsTo": []string{"b"}, "WantedBy": []string{"multi-user.target"},
	})
	want := v1alpha1.Unit{
		Name: "x.service", LoadState: "loaded", ActiveState: "active", SubState: "running", FileState: "enabled",
		Fragment: "/usr/lib/systemd/system/x.service", DropIns: []string{"/a.conf"}, Environment: []string{"A=b"},
		EnvironmentFiles: []string{"-/etc/default/x", "/etc/x"}, MainPID: 7, NeedDaemonReload: true,
		ActiveSince: time.UnixMicro(1_700_000_000_000_001).UTC(), KillMode: "process", Type: "notify",
		Wants: []string{"w"}, Requires: []string{"r"}, BindsTo: []string{"b"}, WantedBy: []string{"multi-user.target"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTransientProperties(t *testing.T) {
	values := func(list []dbus.Property) map[string]string {
		out := map[string]string{}
		for _, p := range list {
			out[p.Name] = fmt.Sprint(p.Value.Value())
		}
		return out
	}
	full := Transient{Name: "x.service", Watchdog: 2 * time.Minute, Argv: []string{"/bin/x", "y"}, Env: []string{"A=b"}, EnvFile: "/e", RestartOnFailure: true, NotifyReady: true, KillProcess: true, PrivateMounts: true}
	for _, c := range []struct {
		name    string
		unit    Transient
		systemd int
		want    map[string]string
	}{
		{"plain", Transient{Argv: []string{"/bin/x"}}, 252, map[string]string{
			"Type": "exec", "Restart": "no", "KillMode": "control-group", "CollectMode": "inactive-or-failed", "StartLimitIntervalUSec": "", "PrivateMounts": "", "WatchdogUSec": "",
		}},
		{"full", full, 252, map[string]string{
			"Type": "notify", "Restart": "on-failure", "KillMode": "process", "CollectMode": "inactive-or-failed", "StartLimitIntervalUSec": "0",
			"PrivateMounts": "true", "Environment": "[A=b]", "WatchdogUSec": "120000000", "NotifyAccess": "main", "TimeoutStopUSec": "10000000",
		}},
		{"old", Transient{Argv: []string{"/bin/x"}, PrivateMounts: true}, 219, map[string]string{"Type": "simple", "CollectMode": "", "PrivateMounts": ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := values(transientProperties(c.unit, c.systemd))
			for name, want := range c.want {
				if got[name] != want {
					t.Errorf("%s is %s, want %s", name, got[name], want)
				}
			}
		})
	}
	// The flag that systemd takes for "ignore failure" must be false.
	if got := values(transientProperties(full, 252))["ExecStart"]; !strings.Contains(got, "false") {
		t.Errorf("ExecStart is %s", got)
	}
}

func TestSystemdVersion(t *testing.T) {
	for text, want := range map[string]int{`"252.39-1~deb12u1"`: 252, "v257": 257, "219": 219, "": 0, "x": 0} {
		if got := systemdVersion(text); got != want {
			t.Errorf("%q: %d", text, got)
		}
	}
}

func TestSwaps(t *testing.T) {
	file := filepath.Join(t.TempDir(), "swaps")
	const header = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
	for text, want := range map[string][]string{
		"":     nil,
		header: nil,
		header + "/dev/sda2                               partition\t1048572\t\t0\t\t-2\n/dev/zram0                              partition\t4194300\t\t0\t\t100\n": {"/dev/sda2", "/dev/zram0"},
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := swaps(file); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if got, err := swaps(file + "-none"); err != nil || got != nil {
		t.Errorf("a kernel without swapping: %q, %v", got, err)
	}
}

func TestMountOptions(t *testing.T) {
	list, err := linuxKernel{}.Mounts()
	if err != nil || !slices.ContainsFunc(list, func(m v1alpha1.Mount) bool { return m.Path == "/" }) {
		t.Errorf("%d mounts, %v", len(list), err)
	}
	for options, want := range map[string]bool{"ro": true, "ro,noatime": true, "rw,relatime,errors=remount-ro": false, "rw,ro": true, "": false} {
		if hasOption(options, "ro") != want {
			t.Errorf("%q", options)
		}
	}
}
