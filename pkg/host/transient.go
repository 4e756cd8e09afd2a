//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// StartTransient waits until the process runs (Type=exec) or says that it is ready (Type=notify).
func (u *linuxUnits) StartTransient(ctx context.Context, unit Transient) error {
	if len(unit.Argv) == 0 {
		return fmt.Errorf("starting %s: no command", unit.Name)
	}
	if err := u.startable(unit.Argv[0]); err != nil {
		return fmt.Errorf("starting %s: %w", unit.Name, err)
	}
	if conn, err := u.connect(); err == nil { //nolint:contextcheck // the connection outlives the call
		// A transient unit of that name that failed earlier keeps the name until it is reset.
		_ = conn.ResetFailedUnitContext(ctx, unit.Name)
	}
	var stdin *os.File
	if len(unit.Stdin) > 0 {
		f, err := memory(unit.Stdin)
		if err != nil {
			return fmt.Errorf("starting %s: %w", unit.Name, err)
		}
		defer f.Close()
		stdin = f
	}
	return u.job(ctx, unit.Name, func(conn *dbus.Conn, done chan<- string) (int, error) {
		properties := transientProperties(unit, managerVersion(conn))
		if stdin != nil {
			properties = append(properties, dbus.Property{
				Name: "StandardInputFileDescriptor", Value: godbus.MakeVariant(godbus.UnixFD(stdin.Fd())),
			})
		}
		return conn.StartTransientUnitContext(ctx, unit.Name, "fail", properties, done)
	})
}

// startable refuses what isn't among the programs and what others than root may change. This program itself root runs already, whatever
// has become of its directory since: a rollback that is asked for starts all the same.
func (u *linuxUnits) startable(exe string) error {
	if itself(exe) {
		return nil
	}
	if !slices.Contains(u.programs, filepath.Base(exe)) {
		return fmt.Errorf("%s is not among the programs that this program may run", exe)
	}
	_, err := program(exe)
	return err
}

// itself reports whether a path leads to this program, wherever its directory was moved to.
func itself(path string) bool {
	running, err := os.Stat("/proc/self/exe")
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(running, there)
}

// memory holds data in a file that has no name and no place on a disk.
func memory(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("stdin", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making a file of memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "stdin")
	if _, err := f.Write(data); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// transientProperties speaks the language of that systemd: exec came with 240, CollectMode with 236, the unit's own start
// limit with 230.
func transientProperties(unit Transient, systemd int) []dbus.Property {
	property := func(name string, value any) dbus.Property {
		return dbus.Property{Name: name, Value: godbus.MakeVariant(value)}
	}
	kind, restart, kill := "exec", "no", "control-group"
	if systemd < 240 {
		kind = "simple"
	}
	if unit.NotifyReady {
		kind = "notify"
	}
	if unit.RestartOnFailure {
		restart = "on-failure"
	}
	if unit.KillProcess {
		kill = "process"
	}
	props := []dbus.Property{
		dbus.PropDescription(unit.Description),
		// False, whatever the library calls it: systemd takes this bool for "ignore failure".
		dbus.PropExecStart(unit.Argv, false),
		property("Type", kind),
		property("Restart", restart),
		property("RestartUSec", uint64(1_000_000)),
		property("KillMode", kill),
		// Daemons among them have as many images and containers open as the node holds.
		property("LimitNOFILE", uint64(1<<20)),
		property("TasksMax", ^uint64(0)),
		property("Delegate", true),
	}
	if unit.RestartOnFailure && systemd >= 230 {
		// It must come back however often it dies: nobody else is there to finish.
		props = append(props, property("StartLimitIntervalUSec", uint64(0)))
	}
	if systemd >= 236 {
		// Gone without a trace when it ends, failed or not, so that its name is free.
		props = append(props, property("CollectMode", "inactive-or-failed"))
	}
	if unit.Watchdog > 0 {
		props = append(props, property("WatchdogUSec", uint64(unit.Watchdog.Microseconds())), property("NotifyAccess", "main"),
			// What hangs in a signal handler or is stopped by a debugger gets SIGKILL soon.
			property("TimeoutStopUSec", uint64(10_000_000)))
	}
	if unit.EnvFile != "" {
		props = append(props, property("EnvironmentFiles", []environmentFile{{unit.EnvFile, false}}))
	}
	if unit.PrivateMounts && systemd >= 239 {
		props = append(props, property("PrivateMounts", true))
	}
	if len(unit.Env) > 0 {
		props = append(props, property("Environment", unit.Env))
	}
	return props
}

// environmentFile is a file's path and whether it may be missing.
type environmentFile struct {
	Path     string
	Optional bool
}

// managerVersion is systemd's version as a number; 0 when it can't be told, which is taken for an old one.
func managerVersion(conn *dbus.Conn) int {
	text, err := conn.GetManagerProperty("Version")
	if err != nil {
		return 0
	}
	return systemdVersion(text)
}

// systemdVersion reads "252.39-1~deb12u1", "v219" and the like, quoted or not.
func systemdVersion(text string) int {
	text = strings.TrimPrefix(strings.Trim(text, `"`), "v")
	end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	if end >= 0 {
		text = text[:end]
	}
	n, _ := strconv.Atoi(text)
	return n
}
