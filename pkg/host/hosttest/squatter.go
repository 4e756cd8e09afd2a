package hosttest

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
)

// squatter is a local user who listens at a port of the kubelet's whenever the kubelet doesn't.
type squatter struct {
	pid int
	// again says that another process takes the place of one that is ended.
	again bool
	holds bool
	ended int
}

// KubeletPort is where the kubelet serves beside its health check, and doesn't start where it can't.
const KubeletPort = 10250

// Squat lets a local user listen at a port as soon as the kubelet has it no more. One that is ended stays away, or with again is
// followed by another at once.
func (n *Node) Squat(port int, again bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lastPID++
	n.squatters[port] = &squatter{pid: n.lastPID, again: again, holds: n.kubelet() == nil}
}

// Squatters is how many processes that listened at a port were ended.
func (n *Node) Squatters(port int) (ended int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := n.squatters[port]; s != nil {
		ended = s.ended
	}
	return ended
}

// squat lets those who wait for the kubelet's ports have them.
func (n *Node) squat() {
	for _, s := range n.squatters {
		if n.kubelet() == nil && (s.again || s.ended == 0) {
			s.holds = true
		}
	}
}

// squatted reports whether a local user listens at a port.
func (n *Node) squatted(port int) bool {
	n.squat()
	return n.squatters[port] != nil && n.squatters[port].holds
}

func (v procs) EndListeners(_ context.Context, at netip.AddrPort) ([]host.Listener, error) {
	leave, err := v.p.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	n := v.p.n
	port := int(at.Port())
	if !n.squatted(port) {
		return nil, nil
	}
	s := n.squatters[port]
	out := []host.Listener{{At: at.String(), PID: s.pid, UID: 65534}}
	s.ended++
	s.holds = s.again
	n.lastPID++
	s.pid = n.lastPID
	return out, n.act(v.p, fmt.Sprintf("end listener %d", port), func() error { return nil })
}
