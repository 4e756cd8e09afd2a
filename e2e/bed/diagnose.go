//go:build e2e

package bed

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Diagnose prints what the node and the cluster say about the time since: for people who read a failure.
func (b *Bed) Diagnose(t *testing.T, n *Node, since time.Time) {
	t.Helper()
	ctx, cancel := contextOf(t, time.Minute)
	defer cancel()
	var report strings.Builder
	section := func(title, script string, lines int) {
		out, err := n.Run(ctx, script)
		if err != nil {
			fmt.Fprintln(&report, err)
		}
		fmt.Fprintf(&report, "--- %s: %s\n%s\n", n.Name, title, tail(string(out), lines))
	}
	from := fmt.Sprintf("@%d", since.Unix())
	section("run record", "f=$(ls -t "+RunsDir+"/*/run.json 2>/dev/null | head -n 1 || true); [ -z \"$f\" ] || cat \"$f\"", 60)
	section("run progress", "f=$(ls -t "+RunsDir+"/*/progress.jsonl 2>/dev/null | head -n 1 || true); [ -z \"$f\" ] || cat \"$f\"", 80)
	for unit, only := range map[string]string{
		// The kubelet's and containerd's information would bury what went wrong.
		"kubectl-runtime*": ".", "crio": "level=(warn|error|fatal)|systemd", "containerd": "level=(warn|error|fatal)|systemd", "kubelet": " [EF][0-9]{4} |systemd",
		"docker": "level=(warn|error|fatal)|systemd", "cri-docker": "level=(warn|error|fatal)|systemd",
	} {
		section("journal of "+unit, fmt.Sprintf("journalctl --no-pager --output=short-iso-precise --since=%s --unit='%s' | grep -E '%s' | cut -c 1-400 || true", from, unit, only), 40)
	}
	section("units", "systemctl list-units --all --plain --no-legend --no-pager 'kubectl-runtime*' kubelet.service containerd.service crio.service docker.service cri-docker.service", 20)
	report.WriteString(b.clusterState(ctx, n))
	t.Log(report.String())
}

func (b *Bed) clusterState(ctx context.Context, n *Node) string {
	var report strings.Builder
	fmt.Fprintf(&report, "--- %s: pods\n", n.Name)
	if pods, err := n.Pods(ctx); err != nil {
		fmt.Fprintln(&report, err)
	} else {
		for i := range pods {
			fmt.Fprintln(&report, describePod(&pods[i]))
		}
	}
	if o, err := n.Object(ctx); err == nil {
		fmt.Fprintf(&report, "--- %s: runtime %s, Ready %t, unschedulable %t, annotations %v\n", n.Name,
			o.Status.NodeInfo.ContainerRuntimeVersion, Ready(o), o.Spec.Unschedulable, o.Annotations)
	}
	fmt.Fprintln(&report, "--- events")
	events, err := b.Client.CoreV1().Events("").List(ctx, metav1.ListOptions{})
	if err != nil {
		fmt.Fprintln(&report, err)
		return report.String()
	}
	var lines []string
	for _, e := range events.Items {
		if e.Type != "Normal" || e.InvolvedObject.Kind == "Node" {
			lines = append(lines, fmt.Sprintf("%s %s/%s %s: %s", e.LastTimestamp.Format(time.TimeOnly), e.InvolvedObject.Namespace, e.InvolvedObject.Name, e.Reason, e.Message))
		}
	}
	report.WriteString(tail(strings.Join(lines, "\n"), 30) + "\n")
	return report.String()
}

// gone waits until no pod of a namespace with the label app=app is left.
func (b *Bed) gone(ctx context.Context, namespace, app string) error {
	return Await(ctx, 45*time.Second, 250*time.Millisecond, func(ctx context.Context) string {
		list, err := b.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
		switch {
		case err != nil:
			return err.Error()
		case len(list.Items) > 0:
			return describePod(&list.Items[0]) + " is still there"
		}
		return ""
	})
}
