//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// dialRoot connects to a Unix socket on which root listens. Where the directory of a socket can be written by others, one of
// theirs may stand there: what it says would be taken for a daemon's word, and what it is told are credentials, too.
func dialRoot(ctx context.Context, socket string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	if err := servedByRoot(conn, socket); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// servedByRoot asks the kernel who listens. This program is root itself; in a test it is whoever runs the test.
func servedByRoot(conn net.Conn, socket string) error {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) { peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	switch {
	case failed != nil:
		return fmt.Errorf("asking who listens on %s: %w", socket, failed)
	case peer.Uid != 0 && int(peer.Uid) != os.Geteuid():
		return fmt.Errorf("user %d listens on %s, not root: nothing is asked there", peer.Uid, socket)
	}
	return nil
}
