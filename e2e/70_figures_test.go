//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/e2e/photo"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// loops pass through every ordered pair of the three runtimes once. Each begins and ends at home, and is shorter than what a
// node keeps of its runs, so that it can go back before the first of them.
var loops = [][]string{{bed.Home, "cri-o", "docker", bed.Home}, {bed.Home, "docker", "cri-o", bed.Home}}

// TestFigures measures switches by the plugin beside the same by hand on the sibling worker, seen from the API server: each
// pair of runtimes, five times, in one run. It asserts no time: it prints the medians.
func TestFigures(t *testing.T) {
	b := bed.Open(t)
	plugin, hand := b.Worker(t, 0), b.Worker(t, 1)
	ns := b.Namespace(t, nil)
	b.DaemonSet(t, ns, bed.Web("agent", bed.ImagePrivate, corev1.PullIfNotPresent, bed.PullSecret))
	b.Deploy(t, ns, 4, bed.Web("web", bed.ImageOpen, corev1.PullAlways))
	b.Budget(t, ns, "web", 2)
	before := []*photo.Photo{plugin.Photo(t), hand.Photo(t)}
	byHand := newByHand(t, b, hand)
	t.Cleanup(func() { byHand.back(t) })

	rounds := setting(t, "KUBECTL_RUNTIME_E2E_ROUNDS", 5)
	var measured []*pairFigures
	for _, loop := range loops {
		for i, to := range loop[1:] {
			measured = append(measured, &pairFigures{from: loop[i], to: to})
		}
	}
	for round := range rounds + 1 {
		known := plugin.Known(t)
		for _, of := range measured {
			var options []bed.Option
			meter := b.Meter(t)
			if round == 0 {
				// What comes first fills the stores and isn't timed: it is counted instead.
				options = append(options, bed.With(meter.Kubeconfig))
			}
			p := measure(t, b, plugin, ns, of.to, func() {
				b.Start(t, []string{"switch", plugin.Name, "--to", of.to, "--yes"}, options...).Wait(t, patience).Exited(t, 0)
			})
			did := acts(t, plugin)
			if of.to == bed.Home {
				// Before the sibling is drained: it gives this worker the pods that the next switch drains.
				b.Expect(t, 0, patience, "rollback", plugin.Name, "--to-run", plugin.Since(t, known)[0].ID, "--yes")
				known = plugin.Known(t)
			}
			var emptied time.Duration
			h := measure(t, b, hand, ns, of.to, func() { emptied = byHand.move(t, of.from, of.to) })
			h.emptied = emptied
			if round == 0 {
				of.requests, of.sent = meter.Requests(), meter.Sent()
				continue
			}
			for _, line := range did {
				if line.Step == "evacuate" {
					p.emptied += line.Took
				}
			}
			of.plugin, of.hand = append(of.plugin, p), append(of.hand, h)
			of.addActs(did)
			t.Logf("%d. %s: by plugin %s, by hand %s", round, of, p, h)
		}
	}
	table := tabulate(measured)
	t.Logf("medians of %d switches each, as the API server saw them:\n%s", rounds, table)
	if path := os.Getenv("KUBECTL_RUNTIME_E2E_FIGURES"); path != "" {
		if err := os.WriteFile(path, []byte(table), 0o644); err != nil {
			t.Error(err)
		}
	}

	unchanged(t, b, plugin, before[0], dockerWas)
	byHand.back(t)
	unchanged(t, b, hand, before[1], photo.Restarted, dockerWas)
}

// pairFigures are the figures of one pair of runtimes.
type pairFigures struct {
	from, to       string
	plugin, hand   []figures
	requests, sent int64
	// acts are the times of each of the node's own acts, in the order in which they came.
	acts  map[string][]time.Duration
	order []string
}

func (f *pairFigures) String() string { return f.from + " → " + f.to }

func (f *pairFigures) addActs(lines []v1alpha1.Progress) {
	if f.acts == nil {
		f.acts = map[string][]time.Duration{}
	}
	for _, line := range lines {
		if line.Took == 0 {
			continue
		}
		if !slices.Contains(f.order, line.Step) {
			f.order = append(f.order, line.Step)
		}
		f.acts[line.Step] = append(f.acts[line.Step], line.Took)
	}
}

// acts are what the node's last run reported.
func acts(t *testing.T, n *bed.Node) []v1alpha1.Progress {
	t.Helper()
	out := n.Sh(t, "cat $(ls -t "+bed.RunsDir+"/*/progress.jsonl | head -n 1)")
	var lines []v1alpha1.Progress
	for d := json.NewDecoder(strings.NewReader(out)); ; {
		var line v1alpha1.Progress
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			return lines
		} else if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
}

// tabulate prints the medians and their ratios.
func tabulate(measured []*pairFigures) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\t\tby plugin\tby hand\tratio\t")
	for _, of := range measured {
		for k, row := range []struct {
			what string
			take func(figures) time.Duration
		}{
			{"kubelet stopped → Ready on the new runtime", func(f figures) time.Duration { return f.ready.Sub(f.stopped) }},
			{"of that, pods that take their time to end", func(f figures) time.Duration { return f.emptied }},
			{"without that", func(f figures) time.Duration { return f.ready.Sub(f.stopped) - f.emptied }},
			{"kubelet stopped → its DaemonSet's pod Ready", func(f figures) time.Duration { return f.podReady.Sub(f.stopped) }},
			{"cordon → uncordon", func(f figures) time.Duration { return f.uncordoned.Sub(f.cordoned) }},
			{"the whole command", func(f figures) time.Duration { return f.ended.Sub(f.began) }},
		} {
			p, h := median(of.plugin, row.take), median(of.hand, row.take)
			label := of.String()
			if k > 0 {
				label = ""
			}
			fmt.Fprintf(w, "%s\t%s\t%.1f s\t%.1f s\t%.2f\t\n", label, row.what, p.Seconds(), h.Seconds(), p.Seconds()/h.Seconds())
		}
		fmt.Fprintf(w, "\tAPI requests, KiB sent\t%d, %d\t\t\t\n", of.requests, of.sent/1024)
	}
	_ = w.Flush() // to memory
	fmt.Fprintln(&out, "\nThe node's own acts:")
	for _, of := range measured {
		fmt.Fprintf(&out, "%s:", of)
		for _, step := range of.order {
			took := slices.Sorted(slices.Values(of.acts[step]))
			if middle := took[len(took)/2]; middle >= 10*time.Millisecond {
				fmt.Fprintf(&out, " %s %.2f s,", step, middle.Seconds())
			}
		}
		fmt.Fprintln(&out)
	}
	return out.String()
}

func median(of []figures, take func(figures) time.Duration) time.Duration {
	var all []time.Duration
	for _, f := range of {
		all = append(all, take(f))
	}
	slices.Sort(all)
	if len(all) == 0 {
		return 0
	}
	return all[len(all)/2]
}

// figures are the moments of one switch.
type figures struct {
	began, cordoned, stopped, ready, podReady, uncordoned, ended time.Time
	// emptied is what it took to end the pods that the drain left, after the kubelet was stopped.
	emptied time.Duration
}

// String is the outage and the time without new pods.
func (f figures) String() string {
	return fmt.Sprintf("%.1f s to Ready, %.1f s to the pod, %.1f s cordoned", f.ready.Sub(f.stopped).Seconds(), f.podReady.Sub(f.stopped).Seconds(),
		f.uncordoned.Sub(f.cordoned).Seconds())
}

// measure runs act and watches the node meanwhile.
func measure(t *testing.T, b *bed.Bed, n *bed.Node, namespace, to string, act func()) figures {
	t.Helper()
	f := figures{began: time.Now()}
	first := func(at *time.Time, happened bool) {
		if at.IsZero() && happened {
			*at = time.Now()
		}
	}
	var mu sync.Mutex
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		for ; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
			o, err := n.Object(ctx)
			if err != nil {
				continue
			}
			moved := strings.HasPrefix(o.Status.NodeInfo.ContainerRuntimeVersion, to+"://")
			var pods *corev1.PodList
			if moved {
				pods, err = b.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=agent", FieldSelector: "spec.nodeName=" + n.Name})
			}
			mu.Lock()
			first(&f.cordoned, o.Spec.Unschedulable)
			first(&f.ready, moved && bed.Ready(o))
			first(&f.uncordoned, !f.cordoned.IsZero() && !o.Spec.Unschedulable)
			if moved && err == nil && len(pods.Items) == 1 {
				pod := &pods.Items[0]
				first(&f.podReady, bed.PodReady(pod) && strings.HasPrefix(pod.Status.ContainerStatuses[0].ContainerID, to+"://"))
			}
			mu.Unlock()
		}
	})
	act()
	ended := time.Now()
	bed.Must(t, "the DaemonSet's pod on the new runtime", time.Minute, func(context.Context) string {
		mu.Lock()
		defer mu.Unlock()
		if f.podReady.IsZero() || f.uncordoned.IsZero() {
			return "it isn't Ready there"
		}
		return ""
	})
	stop()
	watching.Wait()
	f.ended = ended
	left := n.Sh(t, "systemctl show kubelet --property=ActiveExitTimestamp --value --timestamp=us+utc")
	var err error
	if f.stopped, err = time.Parse("Mon 2006-01-02 15:04:05.000000 MST", left); err != nil {
		t.Fatal(err)
	}
	return f
}
