package hostpod

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod/agentbin"
)

// agentDir is where agents stand on the node, each by its own sha256. Never /run or /tmp: they may be noexec.
const agentDir = "/var/lib/kubectl-runtime/agents"

// AgentPath is where the agent of that sha256 stands on the node.
func AgentPath(sha256 string) string { return agentDir + "/" + sha256 }

// enter runs a command in the host's namespaces. It stays in the pod's cgroup: what must outlive the pod is started as
// a unit of the host.
func enter(argv ...string) []string {
	return append([]string{"nsenter", "-t", "1", "-m", "-u", "-i", "-n", "-p", "--"}, argv...)
}

// Scripts are constant; what varies comes in as $1 and $2. $1 is the directory, $2 the agent's sha256.
const (
	verifyScript = `echo "$2  $1/$2" | sha256sum -c --status - 2>/dev/null && test -x "$1/$2"`

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

func script(text, dir, sha string) []string {
	return []string{"sh", "-c", text, "kubectl-runtime", dir, sha}
}

// EnsureAgent puts the agent on the node unless it stands there already, verified by its digest.
func (p *Pod) EnsureAgent(ctx context.Context, agent agentbin.Agent) error {
	if err := p.ensure(ctx, agent); err != nil {
		return fmt.Errorf("putting the agent on node %s: %w", p.Node(), err)
	}
	p.agent = agent
	return nil
}

func (p *Pod) ensure(ctx context.Context, agent agentbin.Agent) error {
	err := p.retry(ctx, shortCall, func(ctx context.Context) error {
		_, err := run(ctx, p.exec, p.pod, "looking for it", enter(script(verifyScript, agentDir, agent.SHA256)...), nil)
		return err
	})
	var failed *CommandError
	if err == nil {
		return nil
	}
	if !errors.As(err, &failed) {
		return err
	}
	if failed.Code == 126 || failed.Code == 127 {
		return fmt.Errorf("the host has no nsenter or no sh where the pod looks for them (%s): %w", path, failed)
	}
	return p.retry(ctx, longCall, func(ctx context.Context) error {
		_, err := run(ctx, p.exec, p.pod, "sending it", enter(script(uploadScript, agentDir, agent.SHA256)...), bytes.NewReader(agent.Gzip))
		return err
	})
}
