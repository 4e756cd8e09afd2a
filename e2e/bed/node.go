//go:build e2e

package bed

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Node is a node of the cluster, which is a container of the engine of the same name.
type Node struct {
	Name string
	bed  *Bed
}

// Run runs a shell script on the node and returns its standard output. The script stops at its first failure.
func (n *Node) Run(ctx context.Context, script string) ([]byte, error) {
	return n.RunIn(ctx, nil, script)
}

// RunIn is Run with standard input.
func (n *Node) RunIn(ctx context.Context, stdin []byte, script string) ([]byte, error) {
	args := []string{"exec"}
	if stdin != nil {
		args = append(args, "-i")
	}
	cmd := exec.CommandContext(ctx, n.bed.Docker, append(args, n.Name, "bash", "-euo", "pipefail", "-c", script)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	if err := cmd.Run(); err != nil {
		return stdout.Bytes(), fmt.Errorf("on %s: %s: %w: %s", n.Name, first(script), err, tail(stderr.String(), 10))
	}
	return stdout.Bytes(), nil
}

// Sh is Run that fails the test; the output is trimmed.
func (n *Node) Sh(t *testing.T, script string) string {
	t.Helper()
	out, err := n.Run(t.Context(), script)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// Undo runs script on the node when the test ends, whatever became of it.
func (n *Node) Undo(t *testing.T, script string) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if _, err := n.Run(ctx, script); err != nil {
			t.Errorf("putting the node back as it was: %v", err)
		}
	})
}

// Write writes a file on the node and removes it, or puts back what stood there with its times, when the test ends.
func (n *Node) Write(t *testing.T, path, content string) {
	t.Helper()
	n.Keep(t, path)
	if _, err := n.RunIn(t.Context(), []byte(content), fmt.Sprintf("mkdir -p \"$(dirname %[1]s)\"; cat >%[1]s", path)); err != nil {
		t.Fatal(err)
	}
}

// Keep notes what stands at path and puts it back, times included, when the test ends: a file that is newer than the
// daemon that read it is a finding of its own.
func (n *Node) Keep(t *testing.T, path string) {
	t.Helper()
	kept := "/root/e2e-kept" + path
	n.Sh(t, fmt.Sprintf("rm -rf %[2]s; mkdir -p \"$(dirname %[2]s)\"; if [ -e %[1]s ]; then cp -a %[1]s %[2]s; fi", path, kept))
	dir := n.Sh(t, fmt.Sprintf("d=$(dirname %s); [ -d \"$d\" ] || echo \"$d\"", path))
	script := fmt.Sprintf("if [ -e %[2]s ]; then rm -rf %[1]s; cp -a %[2]s %[1]s; else rm -rf %[1]s; fi; rm -rf %[2]s", path, kept)
	if dir != "" {
		script += fmt.Sprintf("; rmdir %s 2>/dev/null || true", dir)
	}
	n.Undo(t, script)
}

// Object is the node as the API server has it.
func (n *Node) Object(ctx context.Context) (*corev1.Node, error) {
	return n.bed.Client.CoreV1().Nodes().Get(ctx, n.Name, metav1.GetOptions{})
}

// Cordon sets whether the node is unschedulable.
func (n *Node) Cordon(ctx context.Context, unschedulable bool) error {
	patch := fmt.Sprintf(`{"spec":{"unschedulable":%t}}`, unschedulable)
	_, err := n.bed.Client.CoreV1().Nodes().Patch(ctx, n.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// On waits until the node is Ready on the named runtime ("containerd", "cri-o") by the word of the API server.
func (n *Node) On(t *testing.T, runtime string, timeout time.Duration) {
	t.Helper()
	Must(t, fmt.Sprintf("%s Ready on %s", n.Name, runtime), timeout, func(ctx context.Context) string { return n.missing(ctx, runtime) })
}

func (n *Node) missing(ctx context.Context, runtime string) string {
	o, err := n.Object(ctx)
	switch {
	case err != nil:
		return err.Error()
	case !strings.HasPrefix(o.Status.NodeInfo.ContainerRuntimeVersion, runtime+"://"):
		return "it runs " + o.Status.NodeInfo.ContainerRuntimeVersion
	case !Ready(o):
		return "it isn't Ready"
	}
	lease, err := n.bed.Client.CoordinationV1().Leases("kube-node-lease").Get(ctx, n.Name, metav1.GetOptions{})
	switch {
	case err != nil:
		return err.Error()
	case lease.Spec.RenewTime == nil || time.Since(lease.Spec.RenewTime.Time) > 20*time.Second:
		return "its Lease isn't fresh"
	}
	return ""
}

// Pods are the pods that the API server has on the node.
func (n *Node) Pods(ctx context.Context) ([]corev1.Pod, error) {
	list, err := n.bed.Client.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + n.Name})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// RunsDir is where the product keeps its runs on a node.
const RunsDir = "/var/lib/kubectl-runtime/runs"

// Runs reads the records of the runs on the node, oldest first.
func (n *Node) Runs(ctx context.Context) ([]v1alpha1.Run, error) {
	out, err := n.Run(ctx, "for f in "+RunsDir+"/*/run.json; do [ ! -e \"$f\" ] || { cat \"$f\"; echo; }; done")
	if err != nil {
		return nil, err
	}
	var runs []v1alpha1.Run
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var run v1alpha1.Run
		if err := decoder.Decode(&run); err != nil {
			return nil, fmt.Errorf("reading the runs of %s: %w", n.Name, err)
		}
		runs = append(runs, run)
	}
	sortRuns(runs)
	return runs, nil
}

// OpenRun returns the run that owns the node, if there is one.
func (n *Node) OpenRun(ctx context.Context) (*v1alpha1.Run, error) {
	runs, err := n.Runs(ctx)
	if err != nil {
		return nil, err
	}
	for i := range runs {
		if runs[i].Phase.Open() {
			return &runs[i], nil
		}
	}
	return nil, nil
}

// sortRuns puts the oldest first.
func sortRuns(runs []v1alpha1.Run) {
	slices.SortStableFunc(runs, func(a, b v1alpha1.Run) int {
		return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), a.Created.Compare(b.Created))
	})
}

// ErrRunning means that a container of the engine still runs.
var errNoRun = errors.New("no new run was seen")

// watchScript waits some seconds until a run that isn't among those named first is in one of the phases behind the --. It starts
// nothing meanwhile, so that whoever is watched has the processors for himself.
const watchScript = `
shopt -s nullglob
declare -A old wanted
while [ "$1" != -- ]; do old[$1]=1; shift; done
for p in "${@:2}"; do wanted[$p]=1; done
exec 9<> <(:)
until [ $SECONDS -ge 5 ]; do
	for d in ` + RunsDir + `/*; do
		[ -z "${old[${d##*/}]-}" ] || continue
		IFS= read -r -d '' text 2>/dev/null <"$d/run.json" || true
		! [[ $text =~ \"phase\":\ *\"([a-zA-Z]+)\" ]] || [ -z "${wanted[${BASH_REMATCH[1]}]-}" ] || exit 0
	done
	read -r -t 0.02 -u 9 || true
done
`

// watch returns when a new run is in one of phases, or later.
func (n *Node) watch(ctx context.Context, old map[string]bool, phases []v1alpha1.Phase) {
	args := []string{"exec", n.Name, "bash", "-c", watchScript, "watch"}
	args = append(append(args, slices.Sorted(maps.Keys(old))...), "--")
	for _, p := range phases {
		args = append(args, string(p))
	}
	_ = exec.CommandContext(ctx, n.bed.Docker, args...).Run() // a node that is being rebooted can't be asked
}

// AwaitPhase polls the node until a run that isn't in known is in one of phases, and returns it.
func (n *Node) AwaitPhase(ctx context.Context, known []v1alpha1.Run, timeout time.Duration, phases ...v1alpha1.Phase) (v1alpha1.Run, error) {
	var found v1alpha1.Run
	old := map[string]bool{}
	for _, run := range known {
		old[run.ID] = true
	}
	err := Await(ctx, timeout, 20*time.Millisecond, func(ctx context.Context) string {
		n.watch(ctx, old, phases)
		runs, err := n.Runs(ctx)
		if err != nil {
			return err.Error()
		}
		seen := errNoRun.Error()
		for _, run := range runs {
			if old[run.ID] {
				continue
			}
			for _, phase := range phases {
				if run.Phase == phase {
					found = run
					return ""
				}
			}
			seen = fmt.Sprintf("run %s is in phase %s (%s)", run.ID, run.Phase, run.Reason)
		}
		return seen
	})
	if err != nil {
		return found, fmt.Errorf("waiting for phase %v on %s: %w", phases, n.Name, err)
	}
	return found, nil
}

// Reboot restarts the node's container, as a reboot or (cut) as a loss of power, and returns when PID 1 is up again.
func (n *Node) Reboot(ctx context.Context, cut bool) error {
	steps := [][]string{{"restart", n.Name}}
	if cut {
		steps = [][]string{{"kill", "--signal", "KILL", n.Name}, {"start", n.Name}}
	}
	for _, args := range steps {
		if out, err := exec.CommandContext(ctx, n.bed.Docker, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return Await(ctx, time.Minute, 100*time.Millisecond, func(ctx context.Context) string {
		if _, err := n.Run(ctx, "systemctl show --property=Version >/dev/null"); err != nil {
			return err.Error()
		}
		return ""
	})
}

func first(script string) string {
	line, _, more := strings.Cut(strings.TrimSpace(script), "\n")
	if more {
		line += " …"
	}
	return line
}

// tail is the end of a text, by lines.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}
