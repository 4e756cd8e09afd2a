//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/e2e/photo"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestRoundTrip takes a worker with every kind of workload from containerd to CRI-O and back by switches, and then all
// of it back again by rollbacks, which must end in the photograph that was taken first.
func TestRoundTrip(t *testing.T) {
	b := bed.Open(t)
	n, elsewhere := b.Worker(t, 0), b.Worker(t, 1)
	emptyStore(t, n)
	annotate(t, n)
	w := deployAll(t, b, n)
	known := n.Known(t)

	first, settings := n.Photo(t), n.Sh(t, readSettings)
	w.serve(t, b, n, elsewhere, bed.Home)

	b.Expect(t, 0, patience, "switch", n.Name, "--to", target, "--yes")
	w.serve(t, b, n, elsewhere, target)
	moved(t, b, n, bed.Home, settings)
	onTarget := n.Photo(t)

	b.Expect(t, 0, patience, "switch", n.Name, "--to", bed.Home, "--yes")
	w.serve(t, b, n, elsewhere, bed.Home)
	moved(t, b, n, target, settings)

	runs := n.Since(t, known)
	if len(runs) != 2 || runs[0].Phase != v1alpha1.PhaseConfirmed || runs[1].Phase != v1alpha1.PhaseConfirmed {
		t.Fatalf("the node keeps %v, want two confirmed runs", runs)
	}
	b.Expect(t, 0, patience, rollbackArgs(n)...)
	w.serve(t, b, n, elsewhere, target)
	moved(t, b, n, bed.Home, settings)
	n.Same(t, onTarget, photo.Kept)

	// The last run is the rollback now; the way on names the one that it goes back before.
	b.Expect(t, 0, patience, "rollback", n.Name, "--to-run", runs[0].ID, "--yes")
	w.serve(t, b, n, elsewhere, bed.Home)
	moved(t, b, n, target, settings)
	unchanged(t, b, n, first)
}

// workloads are one of every kind: behind a Service and a budget, on every node, with data on the node, and static. Their
// images come from a registry that is always asked, from one that wants a password, and from none at all.
type workloads struct {
	namespace, service, data, static string
}

func deployAll(t *testing.T, b *bed.Bed, n *bed.Node) workloads {
	t.Helper()
	w := workloads{namespace: b.Namespace(t, nil), data: "/var/lib/e2e-data"}
	b.Deploy(t, w.namespace, 2, bed.Web("web", bed.ImageOpen, corev1.PullAlways))
	w.service = b.Service(t, w.namespace, "web")
	b.Budget(t, w.namespace, "web", 1)
	b.DaemonSet(t, w.namespace, bed.Web("agent", bed.ImagePrivate, corev1.PullAlways, bed.PullSecret))
	w.static = b.StaticPod(t, n, bed.Web("e2e-static", bed.ImageLocal, corev1.PullNever))

	n.Undo(t, "rm -rf "+w.data)
	n.Sh(t, "mkdir "+w.data)
	log := bed.Shell(bed.Pin(bed.Web("data", bed.ImageLocal, corev1.PullNever), n.Name),
		"while :; do date +%s >>/data/log; sleep 1 & wait; done", "/data", w.data)
	b.Deploy(t, w.namespace, 1, log)
	return w
}

// serve holds that everything runs and answers, on the named runtime.
func (w workloads) serve(t *testing.T, b *bed.Bed, n, elsewhere *bed.Node, runtime string) {
	t.Helper()
	n.On(t, runtime, time.Minute)
	schedulable(t, n, true)
	b.AwaitReady(t, w.namespace, "web", 2, time.Minute)
	here := b.AwaitReady(t, w.namespace, "agent", len(b.Workers(t)), time.Minute)
	here = append(here, b.AwaitReady(t, w.namespace, "data", 1, time.Minute)...)
	here = append(here, b.AwaitReady(t, "default", w.static, 1, time.Minute)...)
	for _, pod := range here {
		if id := pod.Status.ContainerStatuses[0].ContainerID; pod.Spec.NodeName == n.Name && !strings.HasPrefix(id, runtime+"://") {
			t.Errorf("pod %s is Ready in container %s, which isn't of %s", pod.Name, id, runtime)
		}
	}
	url := fmt.Sprintf("http://%s:%d/", w.service, bed.Port)
	for _, from := range []*bed.Node{n, elsewhere} {
		bed.Must(t, "the Service to answer on "+from.Name, 20*time.Second, func(ctx context.Context) string {
			if _, err := from.Run(ctx, "curl --silent --show-error --fail --max-time 2 "+url); err != nil {
				return err.Error()
			}
			return ""
		})
	}
	// What was written before is there, and the pod goes on writing.
	lines := func() []string { return strings.Fields(n.Sh(t, "cat "+w.data+"/log")) }
	had := lines()
	bed.Must(t, "new data beside the old", 10*time.Second, func(context.Context) string {
		if has := lines(); len(has) <= len(had) || !slices.Equal(has[:len(had)], had) {
			return fmt.Sprintf("%d lines, %d before", len(has), len(had))
		}
		return ""
	})
}

// processesOf are the programs that belong to a runtime alone.
var processesOf = map[string][]string{
	bed.Home: {"containerd", "containerd-shim-runc-v2", "containerd-shim"},
	target:   {"crio", "conmon", "pinns"},
}

// namesOf match a runtime's endpoint and cgroup as the kubelet, kubeadm and crictl name them.
var namesOf = map[string]*regexp.Regexp{
	bed.Home: regexp.MustCompile(`(/var)?/run/containerd/containerd\.sock|/containerd\.service`),
	target:   regexp.MustCompile(`(/var)?/run/crio/crio\.sock|/crio\.service`),
}

// readSettings prints every file from which the kubelet, kubeadm or crictl learn of the runtime, with its name.
const readSettings = `
shopt -s nullglob
for f in /var/lib/kubelet/*.yaml /var/lib/kubelet/*.env /etc/default/kubelet /etc/sysconfig/kubelet /etc/kubernetes/*.env \
	/etc/systemd/system/kubelet.service /etc/systemd/system/kubelet.service.d/* /etc/crictl.yaml; do
	[ ! -f "$f" ] || { echo "==> $f"; cat "$f"; echo; }
done`

// moved holds that nothing of the old runtime runs, that nothing names it any more, and that nothing else was changed in
// the files that did: settings are what they said at first.
func moved(t *testing.T, b *bed.Bed, n *bed.Node, old, settings string) {
	t.Helper()
	p := n.Photo(t)
	for _, exe := range append(p.Keys("process"), p.Keys("monitor")...) {
		if slices.Contains(processesOf[old], path.Base(exe)) {
			t.Errorf("a process of %s is left: %s", old, exe)
		}
	}
	now := n.Sh(t, readSettings)
	for line := range strings.Lines(now + "\n" + n.Sh(t, "tr '\\0' '\\n' </proc/$(pidof kubelet)/cmdline")) {
		if code, _, _ := strings.Cut(line, "#"); namesOf[old].MatchString(code) {
			t.Errorf("%s is still named: %s", old, strings.TrimSpace(line))
		}
	}
	o, err := n.Object(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if socket := o.Annotations["kubeadm.alpha.kubernetes.io/cri-socket"]; namesOf[old].MatchString(socket) {
		t.Errorf("the node's annotation names %s", socket)
	}
	if diff := cmp.Diff(withoutRuntime(settings), withoutRuntime(now)); diff != "" {
		t.Errorf("more than the runtime changed in the settings (-before +now):\n%s", diff)
	}
	nothingOnNode(t, b, n)
}

func withoutRuntime(text string) []string {
	for _, name := range namesOf {
		text = name.ReplaceAllString(text, "RUNTIME")
	}
	return strings.Split(text, "\n")
}

// annotate writes comments where an operator would, also on the very lines that a switch must change.
func annotate(t *testing.T, n *bed.Node) {
	t.Helper()
	const config = "/var/lib/kubelet/config.yaml"
	n.Undo(t, "systemctl restart kubelet")
	n.Keep(t, config)
	n.Sh(t, `sed -i -e '1i # Site: rack 12. Ask the platform team before you edit this.\n' \
		-e 's/^containerRuntimeEndpoint: .*/&   # see the wiki/' -e 's/^cgroupDriver: systemd$/cgroupDriver:   "systemd"/' `+config+`
		systemctl restart kubelet`)
	n.On(t, bed.Home, time.Minute)
}
