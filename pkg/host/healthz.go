//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"
)

// healthTime is how long a health check may take to answer, and lookTime how long all of it may: on a machine that is busy it takes a while
// to find whose the answer is.
const (
	healthTime = time.Second
	lookTime   = 10 * time.Second
)

// Healthz believes an answer only if the other end of the very connection that it came on is held by a process of root's: any user may
// listen at the kubelet's port while the kubelet doesn't. Nothing of the answer is read but its head, and no other address is asked,
// whatever it says.
func (h linuxHTTP) Healthz(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	var conn net.Conn
	transport := &http.Transport{
		Proxy:                  nil, // an environment with a proxy must not lead us away from this machine
		MaxResponseHeaderBytes: 64 << 10,
		ResponseHeaderTimeout:  healthTime,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			var err error
			conn, err = (&net.Dialer{Timeout: healthTime}).DialContext(ctx, network, address)
			return conn, err
		},
	}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if err := h.clients.answeredByRoot(ctx, conn, url); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", url, answer.StatusCode)
	}
	return nil
}

// answeredByRoot looks for the process that has the other end of a connection. This one counts too: it is root itself, and in a test it
// is whoever runs the test.
func (c linuxClients) answeredByRoot(ctx context.Context, conn net.Conn, url string) error {
	local, remote := addressOf(conn.LocalAddr()), addressOf(conn.RemoteAddr())
	table, err := c.established(os.Getpid())
	if err != nil {
		return fmt.Errorf("looking for who answers at %s: %w", url, err)
	}
	p, err := newPurse(c.procs)
	if err != nil {
		return fmt.Errorf("looking for who answers at %s: %w", url, err)
	}
	first := []int{os.Getpid()}
	kubelets, err := c.procs.Find("kubelet")
	if err != nil {
		return fmt.Errorf("looking for who answers at %s: %w", url, err)
	}
	for _, k := range kubelets {
		first = append(first, k.PID)
	}
	who := "an unknown process"
	for _, x := range table {
		if x.local != remote || x.remote != local {
			continue
		}
		held, err := c.holders(ctx, p, map[uint64]string{x.inode: url}, first)
		for h := range held {
			if h.pid == os.Getpid() || c.procs.ofHost(h.pid, p.here) {
				return nil
			}
			who = c.procs.withUser(h.pid)
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("looking for who answers at %s: %w", url, err)
		}
	}
	return &StrangerError{At: url, Who: who}
}

// withUser names a process and whose it is.
func (p linuxProcs) withUser(pid int) string {
	x, err := p.fs.Proc(pid)
	if err != nil {
		return fmt.Sprintf("process %d", pid)
	}
	status, err := x.NewStatus()
	if err != nil {
		return fmt.Sprintf("process %d", pid)
	}
	return fmt.Sprintf("process %d of user %d", pid, status.UIDs[0])
}

// addressOf is the address of an end of a TCP connection; none of any other.
func addressOf(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
}
