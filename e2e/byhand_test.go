//go:build e2e

package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
)

// byHand is the switch as a page of a wiki has it: no plan, no way back, no proof, the target cold. What a drain leaves gets
// its SIGTERM, as it does from the plugin.
type byHand struct {
	bed  *bed.Bed
	node *bed.Node
}

// settingsByHand are the files that an operator edits.
const settingsByHand = "/var/lib/kubelet/config.yaml /var/lib/kubelet/instance-config.yaml /etc/default/kubelet /etc/crictl.yaml"

// socketsByHand are the endpoints and unitsByHand the units that an operator knows, in the order in which they start.
var (
	socketsByHand = map[string]string{"containerd": "/run/containerd/containerd.sock", "cri-o": "/var/run/crio/crio.sock", "docker": "/run/cri-dockerd.sock"}
	unitsByHand   = map[string]string{"containerd": "containerd", "cri-o": "crio", "docker": "containerd docker.socket docker cri-docker.socket cri-docker"}
	cgroupsByHand = map[string]string{"containerd": "containerd.service", "cri-o": "crio.service", "docker": "docker.service"}
	// emptyByHand ends the containers that a drain leaves.
	emptyByHand = map[string]string{
		"containerd": "systemctl stop 'cri-containerd-*.scope'",
		"cri-o":      "systemctl stop 'crio-*.scope'",
		"docker":     "docker ps -q | xargs -r docker stop >/dev/null; docker ps -aq | xargs -r docker rm -f >/dev/null",
	}
)

// newByHand does what a careful operator does beforehand: what no registry gives is carried over, and what is edited kept.
func newByHand(t *testing.T, b *bed.Bed, n *bed.Node) byHand {
	t.Helper()
	n.Undo(t, "rm -rf /root/by-hand; systemctl stop docker.socket docker")
	n.Sh(t, `mkdir -p /root/by-hand
		# Disabling a unit removes the directory of its link where that was the last one.
		for dir in /etc/systemd/system/*.target.wants; do mkdir -p "/root/by-hand$dir"; done
		cp -a --parents `+settingsByHand+` /root/by-hand
		systemctl start docker
		for image in $(ctr -n k8s.io image ls -q | grep -E '^(registry.k8s.io/(kube-proxy|pause)|local.bed/)' | grep -v @); do
			ctr -n k8s.io image export --local --platform linux/$(dpkg --print-architecture) /root/by-hand/image.tar "$image"
			skopeo copy --quiet oci-archive:/root/by-hand/image.tar "containers-storage:$image"
			docker load --quiet --input /root/by-hand/image.tar >/dev/null
			rm /root/by-hand/image.tar
		done
		systemctl stop docker.socket docker
		umount /var/lib/containers/storage/overlay 2>/dev/null || true`)
	return byHand{b, n}
}

// move drains the node, changes its runtime, and lets pods come again. It returns what it took to end the pods that the drain left.
func (h byHand) move(t *testing.T, from, to string) time.Duration {
	t.Helper()
	h.kubectl(t, "drain", h.node.Name, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=2m")
	took := h.node.Sh(t, fmt.Sprintf(`systemctl stop kubelet
		began=$(date +%%s%%N)
		%s
		echo $(($(date +%%s%%N) - began))ns
		for unit in $(echo %s | tr ' ' '\n' | tac); do systemctl stop $unit; systemctl disable -q $unit; done
		pkill containerd-shim || true
		sed -i -e 's#%s#%s#' -e 's#/system.slice/%s#/system.slice/%s#' %s
		systemctl enable -q --now %s
		systemctl start kubelet`, emptyByHand[from], unitsByHand[from], socketsByHand[from], socketsByHand[to],
		cgroupsByHand[from], cgroupsByHand[to], settingsByHand, unitsByHand[to]))
	h.node.On(t, to, time.Minute)
	h.kubectl(t, "uncordon", h.node.Name)
	emptied, err := time.ParseDuration(took)
	if err != nil {
		t.Fatal(err)
	}
	return emptied
}

func (h byHand) kubectl(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), h.bed.Kubectl(), append([]string{"--kubeconfig", h.bed.Kubeconfig}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// back restores what was changed by hand; a reboot takes care of what was left running.
func (h byHand) back(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	if ctx.Err() != nil {
		return // the test is over, and its Undo has seen to it
	}
	h.node.Sh(t, `[ -d /root/by-hand ] || exit 0
		systemctl stop kubelet crio cri-docker.socket cri-docker docker.socket docker
		systemctl disable -q crio cri-docker.socket cri-docker docker.socket docker
		systemctl enable -q containerd
		cp -a /root/by-hand/var /root/by-hand/etc /
		rm -rf /var/lib/cni/results /var/lib/cni/cache /var/lib/cni/networks`)
	if err := h.node.Reboot(ctx, false); err != nil {
		t.Fatal(err)
	}
	h.node.On(t, bed.Home, 2*time.Minute)
}
