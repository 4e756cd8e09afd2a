//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// users are what a node with Docker collects over the years: how each gets there, how it goes, and the words that name it
// in a finding. $1 of a script is the image of a container that does nothing.
var users = []struct{ name, plant, undo, named string }{
	{
		name:  "a container of compose",
		plant: `docker run -d --name shop-db-1 --network none -l com.docker.compose.project=shop -l com.docker.compose.service=db -v shop_data:/data "$1" >/dev/null`,
		undo:  "docker rm -f shop-db-1; docker volume rm shop_data",
		named: "shop-db-1",
	}, {
		name:  "a cron job",
		plant: "echo '30 4 * * * root /usr/bin/docker image prune -f >/dev/null' >/etc/cron.d/image-prune",
		undo:  "rm -f /etc/cron.d/image-prune",
		named: "/etc/cron.d/image-prune",
	}, {
		name:  "a unit",
		plant: `printf '[Service]\nExecStart=/usr/bin/docker run --rm metrics\n' >/etc/systemd/system/node-metrics.service`,
		undo:  "rm -f /etc/systemd/system/node-metrics.service; systemctl daemon-reload",
		named: "node-metrics.service",
	}, {
		name:  "a process that holds the socket",
		plant: "systemd-run --quiet --collect --unit=log-shipper socat UNIX-CONNECT:/var/run/docker.sock 'EXEC:sleep 600'",
		undo:  "systemctl stop log-shipper.service",
		named: "log-shipper.service",
	},
}

// TestCheckFindsUsers: everything on a node that needs Docker is found, and nothing else.
func TestCheckFindsUsers(t *testing.T) {
	b := bed.Open(t)
	n := b.Worker(t, 0)
	known := n.Known(t)
	b.Expect(t, 0, patience, "switch", n.Name, "--to", "docker", "--yes")
	n.On(t, "docker", time.Minute)
	t.Run("Planted", func(t *testing.T) { planted(t, b, n) })
	b.Expect(t, 0, patience, "rollback", n.Name, "--to-run", n.Since(t, known)[0].ID, "--yes")
	// With the reboot go dockerd's chains and bridge, which it leaves wherever it ran.
	if err := n.Reboot(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	n.On(t, bed.Home, 2*time.Minute)
}

// planted plants all users, and takes them away again.
func planted(t *testing.T, b *bed.Bed, n *bed.Node) {
	before := findings(t, b, n)

	image := strings.TrimSpace(n.Sh(t, "docker images --format '{{.Repository}}:{{.Tag}}' | grep /pause: | head -n 1"))
	ns := b.Namespace(t, nil)
	named := map[string]string{"a pod with /run mounted": ns + "/Deployment/socket-reader"}
	for _, u := range users {
		n.Undo(t, u.undo)
		n.Sh(t, fmt.Sprintf("set -- '%s'\n%s", image, u.plant))
		named[u.name] = u.named
	}
	pod := bed.Pin(bed.Web("socket-reader", bed.ImageOpen, corev1.PullAlways), n.Name)
	pod.Spec.Volumes = []corev1.Volume{{Name: "run", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/run"}}}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "run", MountPath: "/host/run"}}
	b.Deploy(t, ns, 1, pod)
	bed.Must(t, "the connection to the socket", 20*time.Second, func(context.Context) string {
		if strings.TrimSpace(n.Sh(t, "ss -xp | grep -c socat || true")) == "0" {
			return "socat isn't connected"
		}
		return ""
	})

	found := findings(t, b, n)
	maps.DeleteFunc(found, func(text string, _ bool) bool { return before[text] })
	for text := range found {
		t.Log(text)
		if !slices.ContainsFunc(slices.Collect(maps.Values(named)), func(words string) bool { return strings.Contains(text, words) }) {
			t.Errorf("found, though nobody planted it: %s", text)
		}
	}
	for user, words := range named {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(found)), func(text string) bool { return strings.Contains(text, words) }) {
			t.Errorf("%s (%s) was not found", user, words)
		}
	}
}

// findings are what check says of a node and of the workloads on it, as the words of each finding.
func findings(t *testing.T, b *bed.Bed, n *bed.Node) map[string]bool {
	t.Helper()
	s := b.Expect(t, 0, patience, "check", n.Name, "--to", target, "--fail-on", "never", "-o", "json")
	var list struct{ Items []v1alpha1.Finding }
	if err := json.Unmarshal([]byte(s.Stdout()), &list); err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, f := range list.Items {
		out[strings.Join(append([]string{f.ID, f.Object, f.Message}, f.Evidence...), " ")] = true
	}
	return out
}
