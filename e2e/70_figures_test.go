//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/e2e/photo"
)

// TestFigures measures a switch by the plugin beside the same by hand on the sibling worker, seen from the API server. It
// asserts no time: it prints a table.
func TestFigures(t *testing.T) {
	b := bed.Open(t)
	plugin, hand := b.Worker(t, 0), b.Worker(t, 1)
	ns := b.Namespace(t, nil)
	b.DaemonSet(t, ns, bed.Web("agent", bed.ImagePrivate, corev1.PullIfNotPresent, bed.PullSecret))
	b.Deploy(t, ns, 4, bed.Web("web", bed.ImageOpen, corev1.PullAlways))
	b.Budget(t, ns, "web", 2)

	byPlugin := measure(t, b, plugin, ns, func() { b.Expect(t, 0, patience, switchArgs(plugin)...) })
	before := hand.Photo(t)
	prepareByHand(t, hand)
	byHand := measure(t, b, hand, ns, func() { switchByHand(t, b, hand) })

	// The outage is asked for first: it is what a node's users feel.
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tby plugin\tby hand\tratio\t")
	for _, row := range []struct {
		name string
		of   func(figures) time.Duration
	}{
		{"kubelet stopped → node Ready on the new runtime", func(f figures) time.Duration { return f.ready.Sub(f.stopped) }},
		{"kubelet stopped → DaemonSet pod Ready again", func(f figures) time.Duration { return f.podReady.Sub(f.stopped) }},
		{"cordon → uncordon", func(f figures) time.Duration { return f.uncordoned.Sub(f.cordoned) }},
		{"the whole command", func(f figures) time.Duration { return f.ended.Sub(f.began) }},
	} {
		p, h := row.of(byPlugin), row.of(byHand)
		fmt.Fprintf(w, "%s\t%.1f s\t%.1f s\t%.2f\t\n", row.name, p.Seconds(), h.Seconds(), p.Seconds()/h.Seconds())
	}
	w.Flush()
	t.Logf("one switch from %s to %s, as the API server saw it:\n%s", bed.Home, target, table.String())
	if path := os.Getenv("KUBECTL_RUNTIME_E2E_FIGURES"); path != "" {
		if err := os.WriteFile(path, []byte(table.String()), 0o644); err != nil {
			t.Error(err)
		}
	}

	b.Expect(t, 0, patience, rollbackArgs(plugin)...)
	backByHand(t, hand)
	hand.On(t, bed.Home, 2*time.Minute)
	unchanged(t, b, hand, before, photo.Restarted)
}

// figures are the moments of one switch.
type figures struct {
	began, cordoned, stopped, ready, podReady, uncordoned, ended time.Time
}

// measure runs act and watches the node meanwhile.
func measure(t *testing.T, b *bed.Bed, n *bed.Node, namespace string, act func()) figures {
	t.Helper()
	f := figures{began: time.Now()}
	first := func(at *time.Time, happened bool) {
		if at.IsZero() && happened {
			*at = time.Now()
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		for ; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
			o, err := n.Object(ctx)
			if err != nil {
				continue
			}
			moved := strings.HasPrefix(o.Status.NodeInfo.ContainerRuntimeVersion, target+"://")
			first(&f.cordoned, o.Spec.Unschedulable)
			first(&f.ready, moved && bed.Ready(o))
			first(&f.uncordoned, !f.cordoned.IsZero() && !o.Spec.Unschedulable)
			if !f.podReady.IsZero() || !moved {
				continue
			}
			pods, err := b.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=agent", FieldSelector: "spec.nodeName=" + n.Name})
			if err == nil && len(pods.Items) == 1 {
				pod := &pods.Items[0]
				first(&f.podReady, bed.PodReady(pod) && strings.HasPrefix(pod.Status.ContainerStatuses[0].ContainerID, target+"://"))
			}
		}
	})
	act()
	f.ended = time.Now()
	bed.Must(t, "the DaemonSet's pod on the new runtime", time.Minute, func(context.Context) string {
		if f.podReady.IsZero() || f.uncordoned.IsZero() {
			return "it isn't Ready there"
		}
		return ""
	})
	stop()
	watching.Wait()
	left := n.Sh(t, "systemctl show kubelet --property=ActiveExitTimestamp --value --timestamp=us+utc")
	var err error
	if f.stopped, err = time.Parse("Mon 2006-01-02 15:04:05.000000 MST", left); err != nil {
		t.Fatal(err)
	}
	return f
}

// prepareByHand does what a careful operator does beforehand: what no registry gives is carried over.
func prepareByHand(t *testing.T, n *bed.Node) {
	t.Helper()
	n.Undo(t, "rm -rf /root/by-hand")
	n.Sh(t, `mkdir -p /root/by-hand
		for image in $(ctr -n k8s.io image ls -q | grep -E '^(registry.k8s.io/(kube-proxy|pause)|local.bed/)' | grep -v @); do
			ctr -n k8s.io image export --platform linux/$(dpkg --print-architecture) /root/by-hand/image.tar "$image"
			skopeo copy --quiet oci-archive:/root/by-hand/image.tar "containers-storage:$image"
			rm /root/by-hand/image.tar
		done
		umount /var/lib/containers/storage/overlay 2>/dev/null || true`)
}

// settingsByHand are the files that an operator edits.
const settingsByHand = "/var/lib/kubelet/config.yaml /var/lib/kubelet/instance-config.yaml /etc/default/kubelet /etc/crictl.yaml"

// switchByHand is the switch as a page of a wiki has it: no plan, no way back, no proof. What a drain leaves gets
// its SIGTERM, as it does from the plugin.
func switchByHand(t *testing.T, b *bed.Bed, n *bed.Node) {
	t.Helper()
	kubectl := func(args ...string) {
		cmd := exec.CommandContext(t.Context(), b.Kubectl(), append([]string{"--kubeconfig", b.Kubeconfig}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	kubectl("drain", n.Name, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=2m")
	n.Sh(t, `systemctl stop kubelet
		systemctl stop 'cri-containerd-*.scope'
		systemctl stop containerd
		pkill containerd-shim || true
		systemctl disable -q containerd
		cp -a --parents `+settingsByHand+` /root/by-hand
		sed -i -e 's#/run/containerd/containerd.sock#/var/run/crio/crio.sock#' -e 's#/system.slice/containerd.service#/system.slice/crio.service#' `+settingsByHand+`
		systemctl enable -q --now crio
		systemctl start kubelet`)
	n.On(t, target, time.Minute)
	kubectl("uncordon", n.Name)
}

// backByHand restores what switchByHand changed; a reboot takes care of what it left running.
func backByHand(t *testing.T, n *bed.Node) {
	t.Helper()
	n.Sh(t, `systemctl stop kubelet crio
		systemctl disable -q crio
		systemctl enable -q containerd
		cp -a /root/by-hand/var /root/by-hand/etc /
		rm -rf /var/lib/cni/results /var/lib/cni/networks`)
	if err := n.Reboot(t.Context(), false); err != nil {
		t.Fatal(err)
	}
}
