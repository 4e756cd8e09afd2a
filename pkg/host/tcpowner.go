//go:build linux

package host

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// connKey is where a request's context has the connection that it came on.
type connKey struct{}

// rootOnly lets a server of this machine's loopback answer root alone: anybody may dial there, from a pod in the node's network, too.
// This program is root itself; in a test it is whoever runs the test.
func (c linuxClients) rootOnly(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		conn, _ := q.Context().Value(connKey{}).(net.Conn)
		if conn == nil {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		uid, err := c.dialer(q.Context(), addressOf(conn.RemoteAddr()), addressOf(conn.LocalAddr()))
		if err != nil || uid != 0 && uid != os.Geteuid() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		handler.ServeHTTP(w, q)
	})
}

// dialer is the user whose end of a connection of this network is the one at local. The kernel notes who made a socket.
func (c linuxClients) dialer(ctx context.Context, local, remote netip.AddrPort) (int, error) {
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		uid, err := findOwner(ctx, c.procs.path(os.Getpid(), table), local, remote)
		if err != nil || uid >= 0 {
			return uid, err
		}
	}
	return 0, fmt.Errorf("nobody is connected from %s", local)
}

// findOwner reads a table up to the connection, line by line: others can make it very long. -1 says that it isn't there.
func findOwner(ctx context.Context, table string, local, remote netip.AddrPort) (int, error) {
	fd, err := unix.Open(table, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if gone(err) {
		return -1, nil // a kernel without IPv6
	}
	if err != nil {
		return -1, fmt.Errorf("reading %s: %w", table, err)
	}
	f := os.NewFile(uintptr(fd), table)
	defer f.Close()
	const owner = 7
	lines := bufio.NewScanner(f)
	for lines.Scan() && ctx.Err() == nil {
		x, ok := parseConnection(lines.Text())
		if ok && x.local == local && x.remote == remote {
			return strconv.Atoi(strings.Fields(lines.Text())[owner])
		}
	}
	if err := ctx.Err(); err != nil {
		return -1, err
	}
	return -1, lines.Err()
}
