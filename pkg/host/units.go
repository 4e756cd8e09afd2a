//go:build linux

package host

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// linuxUnits talks to systemd on its private socket, which works before and without a bus daemon, else on the system bus.
type linuxUnits struct {
	mu   sync.Mutex
	conn *dbus.Conn
	// beat is when PID 1 was told last that this process works, and limit until when it believes that.
	beat  time.Time
	limit time.Duration
	// programs are the names of what may be started as a unit, beside this program.
	programs []string
}

func (u *linuxUnits) connect() (*dbus.Conn, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.conn != nil && u.conn.Connected() {
		return u.conn, nil
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil, errors.New("pid 1 is not systemd")
	}
	// The connection outlives the call that made it, so it can't take that call's context.
	conn, err := dbus.NewSystemdConnectionContext(context.Background())
	if err != nil {
		var errBus error
		if conn, errBus = dbus.NewSystemConnectionContext(context.Background()); errBus != nil {
			return nil, fmt.Errorf("connecting to systemd: %w", errors.Join(err, errBus))
		}
		// On the bus, PID 1 tells nobody of ended jobs unless somebody subscribed.
		if err := conn.Subscribe(); err != nil {
			conn.Close()
			return nil, fmt.Errorf("subscribing to systemd: %w", err)
		}
	}
	u.conn = conn
	return conn, nil
}

func (u *linuxUnits) Show(ctx context.Context, name string) (v1alpha1.Unit, error) {
	conn, err := u.connect() //nolint:contextcheck // the connection outlives the call
	if err != nil {
		return v1alpha1.Unit{}, err
	}
	props, err := conn.GetAllPropertiesContext(ctx, name)
	if err != nil {
		return v1alpha1.Unit{}, fmt.Errorf("asking systemd about %s: %w", name, err)
	}
	return unitFrom(name, props), nil
}

func unitFrom(name string, props map[string]any) v1alpha1.Unit {
	text := func(key string) string { s, _ := props[key].(string); return s }
	list := func(key string) []string { l, _ := props[key].([]string); return l }
	u := v1alpha1.Unit{
		Name:        name,
		LoadState:   text("LoadState"),
		ActiveState: text("ActiveState"),
		SubState:    text("SubState"),
		FileState:   text("UnitFileState"),
		Fragment:    text("FragmentPath"),
		DropIns:     list("DropInPaths"),
		Environment: list("Environment"),
		KillMode:    text("KillMode"),
		Type:        text("Type"),
		Wants:       list("Wants"),
		Requires:    list("Requires"),
		BindsTo:     list("BindsTo"),
		WantedBy:    list("WantedBy"),
	}
	files, _ := props["EnvironmentFiles"].([][]any)
	for _, f := range files {
		if len(f) != 2 {
			continue
		}
		path, _ := f[0].(string)
		if optional, _ := f[1].(bool); optional {
			path = "-" + path
		}
		u.EnvironmentFiles = append(u.EnvironmentFiles, path)
	}
	if pid, ok := props["MainPID"].(uint32); ok {
		u.MainPID = int(pid)
	}
	if since, ok := props["ActiveEnterTimestamp"].(uint64); ok && since > 0 && u.ActiveState == "active" {
		u.ActiveSince = time.UnixMicro(int64(since)).UTC()
	}
	u.NeedDaemonReload, _ = props["NeedDaemonReload"].(bool)
	return u
}

func (u *linuxUnits) Start(ctx context.Context, name string) error {
	return u.job(ctx, name, func(conn *dbus.Conn, done chan<- string) (int, error) {
		return conn.StartUnitContext(ctx, name, "replace", done)
	})
}

func (u *linuxUnits) Stop(ctx context.Context, name string) error {
	// "replace" also cancels a start that is queued or under way.
	err := u.job(ctx, name, func(conn *dbus.Conn, done chan<- string) (int, error) {
		return conn.StopUnitContext(ctx, name, "replace", done)
	})
	if isNoSuchUnit(err) {
		return nil
	}
	return err
}

func (u *linuxUnits) Kill(ctx context.Context, name string) error {
	unit, err := u.Show(ctx, name)
	if err != nil {
		return err
	}
	whom := dbus.All
	if unit.KillMode == "process" {
		whom = dbus.Main
	}
	if unit.LoadState == "not-found" || whom == dbus.Main && unit.MainPID == 0 {
		return nil
	}
	conn, err := u.connect() //nolint:contextcheck // the connection outlives the call
	if err != nil {
		return err
	}
	err = conn.KillUnitWithTarget(ctx, name, whom, int32(unix.SIGKILL))
	var refused godbus.Error
	if errors.As(err, &refused) && refused.Name == "org.freedesktop.systemd1.NoSuchProcess" {
		return nil
	}
	return err
}

// job starts a job and waits for its end; its caller says what the job was. systemd says how it ended: "skipped" is what a start whose condition isn't met
// may be called.
func (u *linuxUnits) job(ctx context.Context, name string, begin func(*dbus.Conn, chan<- string) (int, error)) error {
	conn, err := u.connect() //nolint:contextcheck // the connection outlives the call
	if err != nil {
		return err
	}
	done := make(chan string, 1)
	id, err := begin(conn, done)
	if err != nil {
		return err
	}
	result, err := u.wait(ctx, conn, name, uint32(id), done)
	if err != nil {
		return fmt.Errorf("waiting for systemd's job: %w", err)
	}
	switch result {
	case "done", "skipped":
		return nil
	}
	return fmt.Errorf("systemd's job ended with %q%s", result, u.why(ctx, name))
}

func (u *linuxUnits) wait(ctx context.Context, conn *dbus.Conn, name string, id uint32, done <-chan string) (string, error) {
	// The signal of the job's end is lost when PID 1 is executed anew meanwhile, so look now and then.
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case result := <-done:
			return result, nil
		case <-ctx.Done():
			return "", ctx.Err()
		case <-tick.C:
		}
		jobs, err := conn.ListJobsContext(ctx)
		if err != nil {
			if fresh, again := u.connect(); again == nil && fresh != conn { //nolint:contextcheck // the connection outlives the call
				conn = fresh
			}
			continue
		}
		queued := false
		for _, j := range jobs {
			queued = queued || j.Id == id
		}
		if queued {
			continue
		}
		select {
		case result := <-done:
			return result, nil
		case <-time.After(100 * time.Millisecond):
		}
		unit, err := u.Show(ctx, name)
		if err != nil {
			return "", err
		}
		if unit.ActiveState == "failed" {
			return "failed", nil
		}
		return "done", nil
	}
}

// why adds what the unit's properties say about a failed job.
func (u *linuxUnits) why(ctx context.Context, name string) string {
	conn, err := u.connect() //nolint:contextcheck // the connection outlives the call
	if err != nil {
		return ""
	}
	props, err := conn.GetAllPropertiesContext(ctx, name)
	if err != nil {
		return ""
	}
	var parts []string
	if result, _ := props["Result"].(string); result != "" && result != "success" {
		parts = append(parts, "result "+result)
	}
	if code, ok := props["ExecMainStatus"].(int32); ok && code != 0 {
		parts = append(parts, fmt.Sprintf("exit status %d", code))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func (u *linuxUnits) Reload(ctx context.Context) error {
	conn, err := u.connect() //nolint:contextcheck // the connection outlives the call
	if err != nil {
		return err
	}
	if err := conn.ReloadContext(ctx); err != nil {
		return fmt.Errorf("reloading systemd's units: %w", err)
	}
	return nil
}

func (u *linuxUnits) Forgive(ctx context.Context, names ...string) error {
	conn, err := u.connect() //nolint:contextcheck // the connection outlives the call
	if err != nil {
		return err
	}
	for _, name := range names {
		// Also forgets how often the unit was started lately, which would refuse the next start.
		if err := conn.ResetFailedUnitContext(ctx, name); err != nil && !isNoSuchUnit(err) {
			return fmt.Errorf("resetting %s: %w", name, err)
		}
	}
	return nil
}

func isNoSuchUnit(err error) bool {
	var e godbus.Error
	return errors.As(err, &e) && (e.Name == "org.freedesktop.systemd1.NoSuchUnit" || e.Name == "org.freedesktop.systemd1.LoadFailed")
}

// Log asks journalctl, which reads what journald has kept in memory or on disk.
func (u *linuxUnits) Log(ctx context.Context, name string, lines int) string {
	argv := []string{"journalctl", "--unit=" + name, "--lines=" + strconv.Itoa(lines), "--output=cat", "--no-pager", "--quiet"}
	if conn, err := u.connect(); err == nil { //nolint:contextcheck // the connection outlives the call
		if id, err := conn.GetUnitPropertyContext(ctx, name, "InvocationID"); err == nil {
			if raw, ok := id.Value.Value().([]byte); ok && len(raw) == 16 {
				// The unit's last start and nothing before it.
				argv = append(argv, "_SYSTEMD_INVOCATION_ID="+hex.EncodeToString(raw))
			}
		}
	}
	out, err := run(ctx, argv, nil, nil)
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(out), "\n")
}
