//go:build e2e

package bed

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Trap catches the agent of the node's next run at a moment: it is stopped there, by SIGSTOP, until something is done.
type Trap struct {
	node string
	cmd  *exec.Cmd
	out  strings.Builder
	done chan error
}

// trapScript reads the progress of a run that isn't among those there were, with no process but its own until the line
// comes: then whoever runs the run's unit is stopped, and the unit's name printed. It rests between looks, long ones until there
// is a run: the run itself needs the processors.
const trapScript = `
shopt -s nullglob
phase=$1 step=$2 runs=/var/lib/kubectl-runtime/runs rest=0.03
declare -A old
for d in "$runs"/*; do old[$d]=1; done
exec 9<> <(:)
while :; do
	read -r -t $rest -u 9 || true
	for d in "$runs"/*; do
		[ -z "${old[$d]}" ] && [ -e "$d/progress.jsonl" ] || continue
		rest=0.003
		at=staging hit=
		while IFS= read -r line; do
			case $line in *'"phase":"'*) at=${line#*'"phase":"'}; at=${at%%'"'*};; esac
			[ "$at" = "$phase" ] || continue
			[ -n "$step" ] || { hit=1; break; }
			case $line in *'"step":"'"$step"'"'*) hit=1; break;; esac
		done <"$d/progress.jsonl"
		[ -n "$hit" ] || continue
		run=${d##*/}
		for _ in {1..100}; do
			pid=$(pgrep --newest --full "/agents/[0-9a-f]* run [a-z]* $run") && kill -STOP "$pid" 2>/dev/null && break
		done
		sed -n 's|.*/\(kubectl-runtime-[^/]*\.service\)$|\1|p' "/proc/$pid/cgroup" | head -n 1
		exit
	done
done
`

// Trap lays a trap for the next run, at a phase and, unless it is empty, a step.
func (n *Node) Trap(t *testing.T, phase, step string) *Trap {
	t.Helper()
	trap := &Trap{node: n.Name, done: make(chan error, 1)}
	trap.cmd = exec.Command(n.bed.Docker, "exec", n.Name, "bash", "-c", trapScript, "trap", phase, step)
	trap.cmd.Stdout, trap.cmd.Stderr = &trap.out, &trap.out
	if err := trap.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { trap.done <- trap.cmd.Wait() }()
	t.Cleanup(func() {
		ctx, cancel := contextOf(t, time.Minute)
		defer cancel()
		_, _ = n.Run(ctx, "pkill --full '^bash -c .*trap' || true") // most have ended
	})
	return trap
}

// Sprung waits for the trap and returns the unit in which the agent was caught.
func (trap *Trap) Sprung(t *testing.T, timeout time.Duration) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	var err error
	select {
	case err = <-trap.done:
	case <-ctx.Done():
		err = errors.New("no run came there")
	}
	unit := strings.TrimSpace(trap.out.String())
	if err != nil || !strings.HasSuffix(unit, ".service") {
		t.Fatal(fmt.Errorf("catching the agent on %s: %w: %s", trap.node, errors.Join(err, errors.New("no unit")), unit))
	}
	return unit
}
