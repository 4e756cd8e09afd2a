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
// listen at the kubelet's port while the kubelet doesn't. Where it is known that another user listens there, nothing is asked. Nothing of
// the answer is read but its head, and no other address is asked, whatever it says.
func (h linuxHTTP) Healthz(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if err := h.clients.heldByStranger(ctx, request.URL.Host, url); err != nil {
		return err
	}
	// The connection outlives the request: whose its other end is can only be seen as long as it stands.
	var conn net.Conn
	defer func() {
		if conn != nil {
			_ = conn.Close()
		}
	}()
	transport := &http.Transport{
		Proxy:                  nil, // an environment with a proxy must not lead us away from this machine
		MaxResponseHeaderBytes: 64 << 10,
		ResponseHeaderTimeout:  healthTime,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			var err error
			if conn, err = (&net.Dialer{Timeout: healthTime}).DialContext(ctx, network, address); err != nil {
				return nil, err
			}
			return lasting{conn}, nil
		},
	}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(request)
	if err != nil {
		if conn != nil {
			if whose := h.clients.answeredByRoot(ctx, conn, url); whose != nil && !errors.Is(whose, errUnaccepted) {
				return whose
			}
		}
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

// lasting is a connection that a transport can't close.
type lasting struct{ net.Conn }

func (lasting) Close() error { return nil }

// heldByStranger is a StrangerError where another user than root listens at an address, so that the kubelet can't.
func (c linuxClients) heldByStranger(ctx context.Context, address, url string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil //nolint:nilerr // a name: who answers there is looked at
	}
	there, err := c.listening(ctx, os.Getpid(), at)
	for _, x := range there {
		if !roots(x.uid) {
			return &StrangerError{At: url, Who: fmt.Sprintf("a process of user %d", x.uid)}
		}
	}
	if ctx.Err() != nil {
		return &StrangerError{At: url, Who: "an unknown process"}
	}
	if err != nil {
		return fmt.Errorf("looking for who listens at %s: %w", url, err)
	}
	return nil
}

// roots reports whether a user is root, or in a test whoever runs the test.
func roots(uid int) bool { return uid == 0 || uid == os.Geteuid() }

// errUnaccepted says that a connection isn't any process's as yet.
var errUnaccepted = errors.New("nobody has accepted the connection")

// answeredByRoot looks for the process that has the other end of a connection. This one counts too: it is root itself, and in a test it
// is whoever runs the test.
func (c linuxClients) answeredByRoot(ctx context.Context, conn net.Conn, url string) error {
	local, remote := addressOf(conn.LocalAddr()), addressOf(conn.RemoteAddr())
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
	var end *connection
	err = c.table(ctx, os.Getpid(), func(x connection) bool {
		if x.state == stateEstablished && x.local == remote && x.remote == local {
			end = &x
		}
		return end == nil
	})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("looking for who answers at %s: %w", url, err)
	}
	who := "an unknown process"
	if end != nil {
		if end.inode == 0 {
			return errUnaccepted
		}
		held, err := c.holders(ctx, p, map[uint64]string{end.inode: url}, first)
		for h := range held {
			if roots(end.uid) && (h.pid == os.Getpid() || c.procs.ofHost(h.pid, p.here)) {
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
