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
	dropInName   = "00-kubectl-runtime-early.conf"
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
Type=oneshot
ExecStart=%[1]s recover
TimeoutStartSec=infinity
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
func (a *Agent) install(ctx context.Context, run string, pieces []piece) error {
	made, _, err := a.made(run)
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
	for _, dir := range missing {
		if !slices.Contains(made, dir) {
			made = append(made, dir)
		}
	}
	// The note also says that something of ours stands at all: tidy begins and ends with it.
	if err := a.note(run, made); err != nil {
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

func notePath(run string) string { return path.Join(journal.Dir, "runs", run, "made.json") }

// made are the directories that install has made for the run, and whether there is a note at all.
func (a *Agent) made(run string) (dirs []string, noted bool, err error) {
	data, err := a.Machine.Files.Read(notePath(run), fileLimit)
	if errors.Is(err, host.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading what was made: %w", err)
	}
	if err := json.Unmarshal(data, &dirs); err != nil {
		return nil, false, &journal.CorruptError{Path: notePath(run), Err: err}
	}
	return dirs, true, nil
}

func (a *Agent) note(run string, dirs []string) error {
	if dirs == nil {
		dirs = []string{}
	}
	data, err := json.Marshal(dirs)
	if err != nil {
		return err
	}
	want := v1alpha1.FileState{Path: notePath(run), Type: v1alpha1.Regular, Mode: 0o600}
	if err := a.Machine.Files.Put(notePath(run), want, data); err != nil {
		return fmt.Errorf("noting what is made: %w", err)
	}
	return nil
}

// armWatcher installs and starts the watcher.
func (a *Agent) armWatcher(ctx context.Context, run string) error {
	if err := a.install(ctx, run, a.watcher()); err != nil {
		return err
	}
	if err := a.Machine.Units.Start(ctx, recoverTimer); err != nil {
		return fmt.Errorf("starting %s: %w", recoverTimer, err)
	}
	return nil
}

// armEarly installs the early unit and lets it run once, in vain, so that starting the kubelet doesn't run it again.
func (a *Agent) armEarly(ctx context.Context, p *v1alpha1.Plan) error {
	if err := a.install(ctx, p.Run, a.early(p)); err != nil {
		return err
	}
	if err := a.Machine.Units.Start(ctx, earlyUnit); err != nil {
		return fmt.Errorf("starting %s: %w", earlyUnit, err)
	}
	return nil
}

// disarmEarly removes the early unit; stands is the photograph that the run ends in.
func (a *Agent) disarmEarly(ctx context.Context, p *v1alpha1.Plan, stands v1alpha1.State) error {
	return a.uninstall(ctx, p.Run, a.early(p), stands, earlyUnit)
}

// disarmWatcher removes the watcher: the last act of a run, because until then it would finish what stays.
func (a *Agent) disarmWatcher(ctx context.Context, p *v1alpha1.Plan, stands v1alpha1.State) error {
	pieces := a.watcher()
	slices.Reverse(pieces)
	return a.uninstall(ctx, p.Run, pieces, stands, recoverTimer)
}

// uninstall removes pieces, the directories that they alone needed, and then the unit from PID 1's memory. While files
// stay, the unit keeps running: who dies here is succeeded.
func (a *Agent) uninstall(ctx context.Context, run string, pieces []piece, stands v1alpha1.State, unit string) error {
	made, _, err := a.made(run)
	if err != nil {
		return err
	}
	kept := map[string]v1alpha1.FileType{}
	for _, f := range stands.Files {
		kept[f.Path] = f.Type
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
		if kind, known := kept[dir]; kind == v1alpha1.Absent && known || !known && slices.Contains(made, dir) {
			if err := a.Machine.Files.Put(dir, v1alpha1.FileState{Path: dir, Type: v1alpha1.Absent}, nil); err != nil {
				return fmt.Errorf("removing %s: %w", dir, err)
			}
		}
	}
	if err := a.Machine.Files.Sweep(paths(pieces)...); err != nil {
		return err
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
	if err := a.Machine.Units.Reload(ctx, unit); err != nil {
		return fmt.Errorf("reloading systemd: %w", err)
	}
	return nil
}

func paths(pieces []piece) []string {
	out := make([]string, 0, len(pieces))
	for _, p := range pieces {
		out = append(out, p.path)
	}
	return out
}
