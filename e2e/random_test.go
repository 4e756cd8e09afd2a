//go:build e2e

package e2e

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
)

// disturbance is a fault that doesn't ask what the switch is doing.
type disturbance struct {
	name string
	// do makes it happen, and leaves nothing of itself behind.
	do func(t *testing.T, v *victim)
}

// victim is a switch under way.
type victim struct {
	bed     *bed.Bed
	node    *bed.Node
	session *bed.Session
	to      string
	// cut says how a reboot comes: as a loss of power.
	cut bool
}

// daemonsOf are the programs of a runtime that a disturbance kills.
var daemonsOf = map[string]string{"containerd": "containerd", "cri-o": "crio", "docker": "dockerd|cri-dockerd"}

// daemonKilled is the disturbance that may leave something behind in spite of the product, see forgotten.
const daemonKilled = "target's daemon killed"

// forgotten is a script for a node that Docker serves: it removes the network namespaces that no container that runs has and no process
// is in, mounted or not. A dockerd that is killed while it begins or ends a container forgets that container's, whoever asked for it, and
// never looks there again.
const forgotten = `
systemctl is-active --quiet docker || exit 0
known=$(docker ps --quiet | xargs -r docker inspect --format '{{.NetworkSettings.SandboxKey}}')
used=$(stat --dereference --format %i /proc/[0-9]*/ns/net 2>/dev/null | sort -u)
for f in /run/docker/netns/*; do
	[ "${f##*/}" != default ] && inode=$(stat --format %i "$f" 2>/dev/null) || continue
	! grep -q "/${f##*/}$" <<<"$known" || continue
	! grep -qx "$inode" <<<"$used" || continue
	umount "$f" 2>/dev/null || true
	rm -f "$f"
	echo "$f"
done
`

// disturbances are all that a trial draws from.
var disturbances = []disturbance{
	{"plugin killed", func(_ *testing.T, v *victim) { v.session.Signal(syscall.SIGKILL) }},
	{"plugin interrupted", func(_ *testing.T, v *victim) { v.session.Signal(syscall.SIGINT) }},
	{"plugin frozen for a minute", func(_ *testing.T, v *victim) {
		v.session.Signal(syscall.SIGSTOP)
		time.Sleep(time.Minute)
		v.session.Signal(syscall.SIGCONT)
	}},
	{"agent killed", func(t *testing.T, v *victim) {
		attempt(t, v, "pkill --signal KILL --full '^/var/lib/kubectl-runtime/agents/' || true")
	}},
	{"node rebooted", func(t *testing.T, v *victim) {
		if err := v.node.Reboot(t.Context(), v.cut); err != nil {
			t.Error(err)
		}
	}},
	{daemonKilled, func(t *testing.T, v *victim) {
		attempt(t, v, "pkill --signal KILL --exact '"+daemonsOf[v.to]+"' || true")
	}},
	{"kubelet restarted by an operator", func(t *testing.T, v *victim) { attempt(t, v, "systemctl restart --no-block kubelet") }},
	{"road to the API cut for half a minute", func(t *testing.T, v *victim) {
		plane, err := v.bed.ControlPlane(t).Object(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		i := slices.IndexFunc(plane.Status.Addresses, func(a corev1.NodeAddress) bool { return a.Type == corev1.NodeInternalIP })
		road := plane.Status.Addresses[i].Address
		v.node.Undo(t, "ip route del blackhole "+road+" 2>/dev/null || true")
		attempt(t, v, "ip route add blackhole "+road)
		time.Sleep(30 * time.Second)
		attempt(t, v, "ip route del blackhole "+road+" 2>/dev/null || true") // a reboot meanwhile has taken it away
	}},
}

// attempt runs a script on the node; one that is just being rebooted can't be reached, and needn't be.
func attempt(t *testing.T, v *victim, script string) {
	t.Helper()
	if _, err := v.node.Run(t.Context(), script); err != nil {
		t.Logf("not done: %v", err)
	}
}

// blow is a disturbance and its moment, as the part of a switch that has passed by then.
type blow struct {
	disturbance
	part float64
}

// trial is one disturbed switch, all of it drawn from a seed and the trial's number.
type trial struct {
	seed     int
	number   int
	from, to string
	// cordoned says that the node was cordoned before, and must be so afterwards.
	cordoned bool
	cut      bool
	blows    []blow
}

func draw(seed, number int) trial {
	random := rand.New(rand.NewPCG(uint64(seed), uint64(number)))
	runtimes := []string{bed.Home, "cri-o", "docker"}
	random.Shuffle(len(runtimes), func(i, j int) { runtimes[i], runtimes[j] = runtimes[j], runtimes[i] })
	tr := trial{
		seed: seed, number: number, from: runtimes[0], to: runtimes[1],
		cordoned: random.IntN(4) == 0, cut: random.IntN(2) == 0,
	}
	// The last choice is two of the others.
	order := random.Perm(len(disturbances))
	n := 1
	if random.IntN(len(disturbances)+1) == len(disturbances) {
		n = 2
	}
	for _, i := range order[:n] {
		tr.blows = append(tr.blows, blow{disturbances[i], random.Float64()})
	}
	slices.SortFunc(tr.blows, func(a, b blow) int { return cmp.Compare(a.part, b.part) })
	return tr
}

// strike disturbs a switch that takes about as long as took, each time at its moment, and returns when that is over.
func (tr trial) strike(t *testing.T, v *victim, took time.Duration) {
	var all sync.WaitGroup
	for _, s := range tr.blows {
		all.Go(func() {
			time.Sleep(time.Until(v.session.Started.Add(time.Duration(s.part * float64(took)))))
			s.do(t, v)
		})
	}
	all.Wait()
}

// describe says what happens when, of a switch that takes as long as took.
func (tr trial) describe(took time.Duration) string {
	text := make([]string, 0, len(tr.blows))
	for _, s := range tr.blows {
		text = append(text, fmt.Sprintf("%s at %.2f s (%.0f %% of %.1f s)", s.name, s.part*took.Seconds(), s.part*100, took.Seconds()))
	}
	if tr.cordoned {
		text = append(text, "cordoned before")
	}
	return fmt.Sprintf("%s to %s, %s", tr.from, tr.to, strings.Join(text, ", "))
}
