//go:build e2e

package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/e2e/photo"
)

// TestPairs takes a worker over the ordered pairs of the three runtimes, by a switch and back by a rollback. Each pair is
// a sub-test: those that start where a switch has led stand inside of that switch's. From CRI-O to containerd goes
// TestRoundTrip.
func TestPairs(t *testing.T) {
	b := bed.Open(t)
	n := b.Worker(t, 1)
	w := deployPinned(t, b, n)
	pair(t, b, n, w, bed.Home, "docker", func(t *testing.T) {
		pair(t, b, n, w, "docker", bed.Home, nil)
		pair(t, b, n, w, "docker", "cri-o", nil)
	})
	pair(t, b, n, w, bed.Home, "cri-o", func(t *testing.T) {
		pair(t, b, n, w, "cri-o", "docker", nil)
	})
}

// pair switches, lets more be done there, and goes back to the photograph that was taken before.
func pair(t *testing.T, b *bed.Bed, n *bed.Node, w pinned, from, to string, then func(t *testing.T)) {
	t.Run(from+"-to-"+to, func(t *testing.T) {
		w.serve(t, b, n, from)
		before, known := n.Photo(t), n.Known(t)

		there := b.Expect(t, 0, patience, "switch", n.Name, "--to", to, "--yes")
		w.serve(t, b, n, to)
		left(t, b, n, from, to)
		rests(t, n, from, to)
		runs := n.Since(t, known)
		if len(runs) != 1 {
			t.Fatalf("the node has %d new runs, want one", len(runs))
		}
		if then != nil {
			then(t)
		}
		back := b.Expect(t, 0, patience, "rollback", n.Name, "--to-run", runs[0].ID, "--yes")
		w.serve(t, b, n, from)
		left(t, b, n, to, from)
		n.Same(t, before, photo.Kept, dockerWas)
		t.Logf("%s to %s: %s and back: %s", from, to, summary(there), summary(back))
	})
}

// summary is the plugin's own last line on a switch, with its outage.
func summary(s *bed.Session) string {
	_, text, _ := strings.Cut(s.Output(), "✔ ")
	line, _, _ := strings.Cut(text, "\n")
	return cmp.Or(line, "(no last line)")
}

// rebooted is what a reboot changes; if Docker has run on the node before, its rules go.
var rebooted = slices.Concat(photo.Restarted, dockerWas)

// dockerWas is what Docker leaves behind wherever it has run once and was stopped, by whomever.
var dockerWas = []photo.Allowance{
	{Line: regexp.MustCompile(`^ip6?tables (filter|nat) .*\bDOCKER`), Why: "dockerd's own chains; they match its bridge alone"},
	{Line: regexp.MustCompile(`^ip6?tables .*docker0`), Why: "rules for its bridge"},
	{Line: regexp.MustCompile(`^link docker0$`), Why: "its bridge"},
	{Line: regexp.MustCompile(`^route .* dev docker0 `), Why: "the route to its bridge"},
	{Line: regexp.MustCompile(`^mount (/var)?/run/docker/netns/default$`), Why: "the host's own network namespace under a name"},
	{Line: regexp.MustCompile(`^mount (/var)?/run/docker/netns/[0-9a-f]{12}$`), Why: "pods' namespaces; one that nobody is in is told apart"},
}

// pinned are pods of the node alone: on the pod network, their images from a registry that is always asked, from one
// that wants a password, and from none at all.
type pinned struct{ namespace, service string }

func deployPinned(t *testing.T, b *bed.Bed, n *bed.Node) pinned {
	t.Helper()
	w := pinned{namespace: b.Namespace(t, nil)}
	b.DaemonSet(t, w.namespace, bed.Web("agent", bed.ImagePrivate, corev1.PullAlways, bed.PullSecret))
	b.Deploy(t, w.namespace, 1, bed.Pin(bed.Web("web", bed.ImageOpen, corev1.PullAlways), n.Name))
	b.Deploy(t, w.namespace, 1, bed.Pin(bed.Web("local", bed.ImageLocal, corev1.PullNever), n.Name))
	w.service = b.Service(t, w.namespace, "local")
	return w
}

// serve holds that all of them run in the named runtime and answer on the pod network.
func (w pinned) serve(t *testing.T, b *bed.Bed, n *bed.Node, runtime string) {
	t.Helper()
	n.On(t, runtime, time.Minute)
	schedulable(t, n, true)
	pods := b.AwaitReady(t, w.namespace, "agent", len(b.Workers(t)), time.Minute)
	pods = append(pods, b.AwaitReady(t, w.namespace, "web", 1, time.Minute)...)
	pods = append(pods, b.AwaitReady(t, w.namespace, "local", 1, time.Minute)...)
	addresses := []string{w.service}
	for _, pod := range pods {
		if pod.Spec.NodeName != n.Name {
			continue
		}
		addresses = append(addresses, pod.Status.PodIP)
		if id := pod.Status.ContainerStatuses[0].ContainerID; !strings.HasPrefix(id, runtime+"://") {
			t.Errorf("pod %s is Ready in container %s, which isn't of %s", pod.Name, id, runtime)
		}
	}
	for _, address := range addresses {
		n.Sh(t, fmt.Sprintf("curl --silent --show-error --fail --max-time 2 --retry 5 --retry-all-errors --retry-delay 1 http://%s:%d/", address, bed.Port))
	}
}

// programsOf are the daemons and monitors of each runtime. Docker runs on the node's own containerd.
var programsOf = map[string][]string{
	"containerd": {"containerd", "containerd-shim-runc-v2"},
	"cri-o":      {"crio", "conmon", "pinns"},
	"docker":     {"containerd", "containerd-shim-runc-v2", "dockerd", "cri-dockerd", "docker-proxy"},
}

// unitsOf are the units of each runtime.
var unitsOf = map[string][]string{
	"containerd": {"containerd.service"},
	"cri-o":      {"crio.service"},
	"docker":     {"containerd.service", "docker.socket", "docker.service", "cri-docker.socket", "cri-docker.service"},
}

// left holds that of the old runtime nothing runs or is named any more but what the new one uses too, and that its
// sockets wake nobody.
func left(t *testing.T, b *bed.Bed, n *bed.Node, old, now string) {
	t.Helper()
	p := n.Photo(t)
	for _, exe := range append(p.Keys("process"), p.Keys("monitor")...) {
		if base := path.Base(exe); slices.Contains(programsOf[old], base) && !slices.Contains(programsOf[now], base) {
			t.Errorf("a process of %s is left: %s", old, exe)
		}
	}
	// Shims tell whose they are: Kubernetes' pods in containerd, or Docker's.
	scope := map[string]string{"containerd": "moby", "docker": "k8s.io"}[now]
	if scope != "" {
		if shims := n.Sh(t, "pgrep --list-full containerd-shim | grep -e '-namespace "+scope+"' || true"); shims != "" {
			t.Errorf("on %s, shims of namespace %s are left:\n%s", now, scope, shims)
		}
	}
	for _, unit := range unitsOf[now] {
		if state := strings.TrimSpace(n.Sh(t, "systemctl is-active "+unit+" || true")); state != "active" {
			t.Errorf("%s is %s on %s", unit, state, now)
		}
	}
	settings := n.Sh(t, readSettings+"\ntr '\\0' '\\n' </proc/$(pidof kubelet)/cmdline")
	for runtime, endpoint := range endpointsOf {
		for line := range strings.Lines(settings) {
			if code, _, _ := strings.Cut(line, "#"); runtime != now && endpoint.MatchString(code) {
				t.Errorf("%s is named on %s: %s", runtime, now, strings.TrimSpace(line))
			}
		}
	}
	nothingOnNode(t, b, n)
}

// rests holds that nobody who asks for a unit of the old runtime gets it.
func rests(t *testing.T, n *bed.Node, old, now string) {
	t.Helper()
	for _, unit := range unitsOf[old] {
		if slices.Contains(unitsOf[now], unit) {
			continue
		}
		if state := strings.TrimSpace(n.Sh(t, "systemctl start "+unit+" || true; systemctl is-active "+unit+" || true")); state != "inactive" {
			t.Errorf("%s is %s on %s after somebody asked for it", unit, state, now)
		}
	}
}

// endpointsOf match each runtime's endpoint and cgroup as the kubelet, kubeadm and crictl name them.
var endpointsOf = func() map[string]*regexp.Regexp {
	all := maps.Clone(namesOf)
	all["docker"] = regexp.MustCompile(`/run/cri-dockerd\.sock|/docker\.service`)
	return all
}()
