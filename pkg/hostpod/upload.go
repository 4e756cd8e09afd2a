package hostpod

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod/agentbin"
)

// agentDir is where agents stand on the node, each by its own sha256. Never /run or /tmp: they may be noexec.
const agentDir = "/var/lib/kubectl-runtime/agents"

// enter runs a command in the host's namespaces. It stays in the pod's cgroup: what must outlive the pod is started as
// a unit of the host.
func enter(argv ...string) []string {
	return append([]string{"/usr/bin/nsenter", "-t", "1", "-m", "-u", "-i", "-n", "-p", "--"}, argv...)
}

// Scripts are constant; what varies comes in as $1 and $2. $1 is the directory, $2 the agent's sha256.
const (
	verifyScript = `echo "$2  $1/$2" | sha256sum -c --status - 2>/dev/null && test -x "$1/$2"`

	// The agent is verified each time before it runs: a file that a full disk or a crash damaged, or that was edited, isn't run. Only root
	// can write in its directory, so nobody else comes in between. What follows $2 is the agent's own.
	callScript = `agent=$1/$2
test -e "$agent" || { echo "the agent $agent is not on the node" >&2; exit 127; }
` + verifyScript + ` || { echo "the agent $agent is damaged: its sha256 is another" >&2; exit 126; }
shift 2
exec "$agent" "$@"
`

	// What the records say comes before the agent: one that is of another version than the open run must not even be brought.
	lookScript = `for f in "${1%/*}"/runs/r-*/run.json; do
test -f "$f" || continue
d=${f%/run.json}
printf '\n` + recordMark + `%s\n' "${d##*/}"
cat "$f"
done
` + verifyScript

	// The label lets confined systems run it as an ordinary program, the canary's container too, which sees the directory; elsewhere
	// there is nothing to label.
	uploadScript = `set -eu
umask 077
mkdir -p "$1"
chmod 0700 "$1" "${1%/*}"
tmp=$1/$2.tmp.$$
trap 'rm -f "$tmp"' EXIT
gzip -dc >"$tmp"
echo "$2  $tmp" | sha256sum -c --status - || { echo "the agent arrived damaged" >&2; exit 65; }
chmod 0700 "$tmp"
if test -e /sys/fs/selinux/enforce && command -v chcon >/dev/null; then chcon -t bin_t "$1" "$tmp" || true; fi
sync "$tmp" 2>/dev/null || sync
test ! -d "$1/$2" || rm -rf "$1/$2"
mv -f "$tmp" "$1/$2"
sync "$1" 2>/dev/null || sync
`
)

// script is a command that runs a constant script on its parameters.
func script(text string, parameters ...string) []string {
	return append([]string{"/bin/sh", "-c", text, ManagedBy}, parameters...)
}

// callAgent is a command that runs the agent of that sha256 on the host.
func callAgent(sha256 string, args ...string) []string {
	return enter(script(callScript, append([]string{agentDir, sha256}, args...)...)...)
}

// EnsureAgent finds the agent that is to be asked. Where a run is open it is the one that the run's record names, and no other;
// elsewhere it is the given one, which is put on the node unless it stands there already, verified by its digest.
func (p *Pod) EnsureAgent(ctx context.Context, agent agentbin.Agent) error {
	p.carried = agent
	return p.ensure(ctx)
}

func (p *Pod) ensure(ctx context.Context) error {
	var listing []byte
	err := p.retry(ctx, shortCall, func(ctx context.Context) (err error) {
		listing, err = run(ctx, p.exec, p.pod, "looking for it", enter(script(lookScript, agentDir, p.carried.SHA256)...), nil)
		return err
	})
	var failed *CommandError
	switch missing := errors.As(err, &failed); {
	case err != nil && !missing:
		return p.bringing(err)
	case missing && (failed.Code == 126 || failed.Code == 127):
		return p.bringing(fmt.Errorf("the host lacks /usr/bin/nsenter, /bin/sh, or one of the programs that bring the agent (looked for in %s): %w", searchPath, failed))
	}
	open, err := openRecord(listing)
	if err != nil {
		return fmt.Errorf("node %s: %w", p.Node(), err)
	}
	if open != nil && open.Agent != p.carried.SHA256 {
		return p.adopt(ctx, open)
	}
	if failed != nil {
		err := p.retry(ctx, longCall, func(ctx context.Context) error {
			_, err := run(ctx, p.exec, p.pod, "sending it", enter(script(uploadScript, agentDir, p.carried.SHA256)...), bytes.NewReader(p.carried.Gzip))
			return err
		})
		if err != nil {
			return p.bringing(err)
		}
	}
	p.agent, p.format = p.carried, v1alpha1.Format
	return nil
}

func (p *Pod) bringing(err error) error {
	return fmt.Errorf("putting the agent on node %s: %w", p.Node(), err)
}

// adopt asks the agent of an open run from here on.
func (p *Pod) adopt(ctx context.Context, open *record) error {
	err := p.retry(ctx, shortCall, func(ctx context.Context) error {
		_, err := run(ctx, p.exec, p.pod, "looking for it", enter(script(verifyScript, agentDir, open.Agent)...), nil)
		return err
	})
	var failed *CommandError
	if errors.As(err, &failed) {
		return &AgentGoneError{Node: p.Node(), Run: open.ID, Agent: open.Agent, By: open.By, Version: open.Version, Phase: open.Phase}
	}
	if err != nil {
		return fmt.Errorf("looking for the agent of run %s on node %s: %w", open.ID, p.Node(), err)
	}
	p.agent, p.format = agentbin.Agent{Arch: p.carried.Arch, SHA256: open.Agent}, open.format
	return nil
}
