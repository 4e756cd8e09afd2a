package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// none stands in an empty cell.
const none = "-"

// NodeTable is status as a table: one line a node. Columns of priority 1 show with -o wide.
func NodeTable(nodes []v1alpha1.NodeStatus, now time.Time) *metav1.Table {
	t := &metav1.Table{ColumnDefinitions: columns("Node", "Runtime", "Endpoint", "Kubelet", "State", "Last-run", "Changed",
		"+Role", "+OS-image", "+Kernel", "+Arch", "Reason")}
	for _, n := range nodes {
		run, changed := none, none
		if n.LastRun != nil {
			run, changed = n.LastRun.Run, age(n.LastRun.When, now)
		}
		role := "worker"
		if n.ControlPlane {
			role = "control-plane"
		}
		t.Rows = append(t.Rows, row(n.Metadata.Name, join(string(n.Runtime), n.RuntimeVersion),
			strings.TrimPrefix(n.Endpoint, "unix://"), n.KubeletVersion, string(n.State), run, changed,
			role, n.OSImage, n.Kernel, n.Architecture, brief(n.Reason)))
	}
	return t
}

// RunTable is the list of kept runs, one line a run. Columns of priority 1 show with -o wide.
func RunTable(runs []v1alpha1.NodeRun, now time.Time) *metav1.Table {
	t := &metav1.Table{ColumnDefinitions: columns("Node", "Run", "From", "To", "State", "When", "By", "+Restores", "+Outage", "+Reason")}
	for _, x := range runs {
		r := x.Run
		outage := none
		if !r.KubeletStopped.IsZero() && r.KubeletStarted.After(r.KubeletStopped) {
			outage = seconds(r.KubeletStarted.Sub(r.KubeletStopped))
		}
		t.Rows = append(t.Rows, row(r.Node, r.ID, join(string(r.From), r.FromVersion), join(string(r.To), r.ToVersion),
			phaseWord(r.Phase), age(r.Created, now), clean(r.By), r.Restores, outage, brief(r.Reason)))
	}
	return t
}

// phaseWord writes a phase as kubectl writes states: in one word, its first letter large.
func phaseWord(p v1alpha1.Phase) string {
	if p == "" {
		return ""
	}
	return strings.ToUpper(string(p[:1])) + string(p[1:])
}

// columns makes column definitions; a name with a plus before it shows in wide output only.
func columns(names ...string) []metav1.TableColumnDefinition {
	defs := make([]metav1.TableColumnDefinition, len(names))
	for i, n := range names {
		defs[i] = metav1.TableColumnDefinition{Name: strings.TrimPrefix(n, "+"), Type: "string"}
		if strings.HasPrefix(n, "+") {
			defs[i].Priority = 1
		}
	}
	return defs
}

func row(cells ...string) metav1.TableRow {
	var r metav1.TableRow
	for _, c := range cells {
		if c = clean(c); c == "" {
			c = none
		}
		r.Cells = append(r.Cells, c)
	}
	return r
}

// join puts what there is of the words behind each other.
func join(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// brief is clean for a cell of a table: whole stories are told by -o yaml.
func brief(s string) string {
	const limit = 120
	if runes := []rune(clean(s)); len(runes) > limit {
		return strings.TrimRight(string(runes[:limit-1]), " ") + "…"
	}
	return clean(s)
}

func age(then, now time.Time) string {
	if then.IsZero() {
		return none
	}
	return duration.HumanDuration(max(now.Sub(then), 0))
}

// seconds writes a short time: with tenths below ten seconds, where they matter.
func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return waited(d)
}

// NodeFooter ends a status table: counts, and the next command where one is due.
func (u *UI) NodeFooter(nodes []v1alpha1.NodeStatus, command string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(nodes) == 0 {
		fmt.Fprintln(u.err, "No nodes found.")
		return
	}
	fmt.Fprintf(u.err, "\n%s.%s\n", nodeCounts(nodes), nodeNext(nodes, command))
}

func nodeCounts(nodes []v1alpha1.NodeStatus) string {
	count := map[v1alpha1.NodeState]int{}
	for _, n := range nodes {
		count[n.State]++
	}
	var parts []string
	for _, s := range []struct {
		state v1alpha1.NodeState
		words string
	}{
		{v1alpha1.StateSettled, "settled"},
		{v1alpha1.StateNotReady, "not ready"},
		{v1alpha1.StateSwitching, "switching"},
		{v1alpha1.StateRollingBack, "rolling back"},
		{v1alpha1.StateRolledBack, "rolled back"},
		{v1alpha1.StateStuck, "stuck"},
	} {
		if n := count[s.state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s.words))
		}
	}
	return fmt.Sprintf("%s: %s", plural(len(nodes), "node"), strings.Join(parts, ", "))
}

// nodeNext names one command, for the node that needs it most.
func nodeNext(nodes []v1alpha1.NodeStatus, command string) string {
	find := func(states ...v1alpha1.NodeState) string {
		for _, s := range states {
			for _, n := range nodes {
				if n.State == s {
					return clean(n.Metadata.Name)
				}
			}
		}
		return ""
	}
	if name := find(v1alpha1.StateStuck, v1alpha1.StateRolledBack); name != "" {
		return fmt.Sprintf("  Next: %s status %s --deep", command, name)
	}
	if name := find(v1alpha1.StateSwitching, v1alpha1.StateRollingBack); name != "" {
		return fmt.Sprintf("  Next: %s status %s --watch", command, name)
	}
	// A run that never told its end: the node knows, where it can be asked.
	for _, n := range nodes {
		switch untold := n.LastRun != nil && n.LastRun.Phase.Open(); {
		case untold && n.Ready:
			return fmt.Sprintf("  Next: %s status %s --deep", command, clean(n.Metadata.Name))
		case untold:
			return "  Next: kubectl describe node " + clean(n.Metadata.Name)
		}
	}
	return ""
}

// RunFooter ends the list of runs with the command that goes back.
func (u *UI) RunFooter(runs []v1alpha1.NodeRun, command string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(runs) == 0 {
		fmt.Fprintln(u.err, "No runs found.")
		return
	}
	for _, r := range runs {
		if r.Run.Phase == v1alpha1.PhaseConfirmed {
			fmt.Fprintf(u.err, "\n%s rollback %s --to-run %s   # back to what worked before that run\n", command, clean(r.Run.Node), clean(r.Run.ID))
			return
		}
	}
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
