package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

// What stands on the node while a run is open, and only then.
const (
	unitDir      = "/etc/systemd/system"
	unitPrefix   = "kubectl-runtime-"
	earlyUnit    = unitPrefix + "early.service"
	recoverUnit  = unitPrefix + "recover.service"
	recoverTimer = unitPrefix + "recover.timer"
	dropInName   = v1alpha1.EarlyDropIn
	timerWants   = unitDir + "/timers.target.wants"
)

// The early unit is ordered before what it protects by the drop-ins, because Before= alone pulls nothing in. It must end
// soon: the kubelet waits for it.
const earlyText = `[Unit]
Description=kubectl runtime: put files back before the kubelet and the runtimes start
RequiresMountsFor=/var/lib/kubectl-runtime
ConditionPathExists=%[1]s

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=%[1]s early
TimeoutStartSec=30
`

const recoverText = `[Unit]
Description=kubectl runtime: see an abandoned run to its end
After=kubectl-runtime-early.service
ConditionPathExists=%[1]s

[Service]
ExecStart=%[1]s recover
WatchdogSec=600
NotifyAccess=main
TimeoutStopSec=10
`

const timerText = `[Unit]
Description=kubectl runtime: look after an open run

[Timer]
OnActiveSec=5s
OnUnitInactiveSec=5s
AccuracySec=1s

[Install]
WantedBy=timers.target
`

const dropInText = `# While kubectl runtime switches this node. Removed at the end of the run.
[Unit]
Wants=kubectl-runtime-early.service
After=kubectl-runtime-early.service
`

// piece is a file of the guard.
type piece struct{ path, text, target string }

func (p piece) state() v1alpha1.FileState {
	if p.target != "" {
		return v1alpha1.FileState{Path: p.path, Type: v1alpha1.Symlink, Target: p.target}
	}
	return v1alpha1.FileState{Path: p.path, Type: v1alpha1.Regular, Mode: 0o644}
}

// watcher takes over a run that nobody sees to. It stands from staging on.
func (a *Agent) watcher() []piece {
	return []piece{
		{path: path.Join(unitDir, recoverUnit), text: fmt.Sprintf(recoverText, a.Binary)},
		{path: path.Join(unitDir, recoverTimer), text: timerText},
		{path: path.Join(timerWants, recoverTimer), target: path.Join(unitDir, recoverTimer)},
	}
}

// early is what a reboot meets. It stands from before the first change on.
func (a *Agent) early(p *v1alpha1.Plan) []piece {
	out := []piece{{path: path.Join(unitDir, earlyUnit), text: fmt.Sprintf(earlyText, a.Binary)}}
	names := []string{p.Kubelet.Unit}
	for _, s := range []v1alpha1.State{p.Before, p.After} {
		for _, u := range s.Units {
			// Sockets come up before basic.target, where nothing of ours can run yet.
			if strings.HasSuffix(u.Name, ".service") && !slices.Contains(names, u.Name) {
				names = append(names, u.Name)
			}
		}
	}
	for _, name := range names {
		out = append(out, piece{path: path.Join(unitDir, name+".d", dropInName), text: dropInText})
	}
	return out
}

// install puts pieces on the disk and makes PID 1 read them. What it makes is noted first, so that it goes again.
func (a *Agent) install(ctx context.Context, pieces []piece) error {
	made, _, err := a.made()
	if err != nil {
		return err
	}
	var missing []string
	for _, p := range pieces {
		dir := path.Dir(p.path)
		f, err := a.Machine.Files.Lstat(dir)
		if err != nil {
			return fmt.Errorf("looking at %s: %w", dir, err)
		}
		if f.Type == v1alpha1.Absent && !slices.Contains(missing, dir) {
			missing = append(missing, dir)
		}
	}
	if err := a.note(append(made, missing...)); err != nil {
		return err
	}
	for _, dir := range missing {
		if err := a.Machine.Files.Put(dir, v1alpha1.FileState{Path: dir, Type: v1alpha1.Directory, Mode: 0o755}, nil); err != nil {
			return fmt.Errorf("making %s: %w", dir, err)
		}
	}
	for _, p := range pieces {
		if err := a.Machine.Files.Put(p.path, p.state(), []byte(p.text)); err != nil {
			return fmt.Errorf("writing %s: %w", p.path, err)
		}
	}
	if err := a.Machine.Units.Reload(ctx); err != nil {
		return fmt.Errorf("reloading systemd: %w", err)
	}
	return nil
}

// notePath names the note that says that something of ours stands in the system's directories, and which of them are ours
// whole. It is written before the first piece and removed after the last.
const notePath = journal.Dir + "/guard.json"

// made are the directories that install has made, and whether there is a note at all.
func (a *Agent) made() (dirs []string, noted bool, err error) {
	data, err := a.Machine.Files.Read(notePath, fileLimit)
	if errors.Is(err, host.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading what was made: %w", err)
	}
	if err := json.Unmarshal(data, &dirs); err != nil {
		return nil, false, fmt.Errorf("%s can't be read: %w", notePath, err)
	}
	return dirs, true, nil
}

func (a *Agent) note(dirs []string) error {
	slices.Sort(dirs)
	data, err := json.Marshal(append([]string{}, slices.Compact(dirs)...))
	if err != nil {
		return err
	}
	want := v1alpha1.FileState{Path: notePath, Type: v1alpha1.Regular, Mode: 0o600}
	if err := a.Machine.Files.Put(notePath, want, data); err != nil {
		return fmt.Errorf("noting what is made: %w", err)
	}
	return nil
}

// armWatcher installs and starts the watcher.
func (a *Agent) armWatcher(ctx context.Context) error {
	if err := a.install(ctx, a.watcher()); err != nil {
		return err
	}
	if err := a.Machine.Units.Start(ctx, recoverTimer); err != nil {
		return fmt.Errorf("starting %s: %w", recoverTimer, err)
	}
	return nil
}

// armEarly installs the early unit and lets it run once, in vain, so that starting the kubelet doesn't run it again.
func (a *Agent) armEarly(ctx context.Context, p *v1alpha1.Plan) error {
	if err := a.install(ctx, a.early(p)); err != nil {
		return err
	}
	if err := a.Machine.Units.Start(ctx, earlyUnit); err != nil {
		return fmt.Errorf("starting %s: %w", earlyUnit, err)
	}
	return nil
}

// uninstall removes pieces and the directories that were made for them, unless stands shows those, and then the unit from
// PID 1's memory. A directory that stands shows absent goes too: a piece of ours in it kept it from going with its files.
// While files stay, the unit keeps running: who dies here is succeeded.
func (a *Agent) uninstall(ctx context.Context, pieces []piece, stands v1alpha1.State, unit string) error {
	made, _, err := a.made()
	if err != nil {
		return err
	}
	if err := a.Machine.Files.Sweep(paths(pieces)...); err != nil {
		return fmt.Errorf("removing what an interrupted write left: %w", err)
	}
	changed := false
	for _, p := range pieces {
		f, err := a.Machine.Files.Lstat(p.path)
		if err != nil {
			return fmt.Errorf("looking at %s: %w", p.path, err)
		}
		if f.Type != v1alpha1.Absent {
			changed = true
			if err := a.Machine.Files.Put(p.path, v1alpha1.FileState{Path: p.path, Type: v1alpha1.Absent}, nil); err != nil {
				return fmt.Errorf("removing %s: %w", p.path, err)
			}
		}
		dir := path.Dir(p.path)
		shown := func(as v1alpha1.FileType) bool {
			return slices.ContainsFunc(stands.Files, func(f v1alpha1.FileState) bool { return f.Path == dir && f.Type == as })
		}
		if shown(v1alpha1.Directory) || !slices.Contains(made, dir) && !shown(v1alpha1.Absent) {
			continue
		}
		if err := a.Machine.Files.Put(dir, v1alpha1.FileState{Path: dir, Type: v1alpha1.Absent}, nil); err != nil {
			return fmt.Errorf("removing %s: %w", dir, err)
		}
	}
	u, err := a.Machine.Units.Show(ctx, unit)
	if err != nil {
		return fmt.Errorf("asking for %s: %w", unit, err)
	}
	if u.ActiveState != "inactive" {
		changed = true
		if err := a.Machine.Units.Stop(ctx, unit); err != nil {
			return fmt.Errorf("stopping %s: %w", unit, err)
		}
	}
	if !changed {
		return nil
	}
	if err := a.Machine.Units.Reload(ctx); err != nil {
		return fmt.Errorf("reloading systemd: %w", err)
	}
	return a.Machine.Units.Forgive(ctx, unit)
}

func paths(pieces []piece) []string {
	out := make([]string, 0, len(pieces))
	for _, p := range pieces {
		out = append(out, p.path)
	}
	return out
}
