//go:build linux

package host

import (
	"context"
	order "encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// inode identifies a file as the kernel knows it inside: the number is what its socket diagnostics have room for.
type inode struct {
	major, minor, number uint32
}

func inodeOf(st *unix.Stat_t) inode {
	return inode{unix.Major(st.Dev), unix.Minor(st.Dev), uint32(st.Ino)}
}

// boundAt are the sockets that are at paths; the first name of each counts.
func boundAt(paths []string) map[inode]string {
	out := map[inode]string{}
	for _, path := range paths {
		var st unix.Stat_t
		if unix.Stat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
			continue
		}
		if at := inodeOf(&st); out[at] == "" {
			out[at] = path
		}
	}
	return out
}

// Unix asks the kernel in each network namespace: a socket that is bound to a path is reached from all of them, and both
// ends of a connection belong to the client's.
func (c linuxClients) Unix(ctx context.Context, paths []string) ([]v1alpha1.Client, error) {
	bound := boundAt(paths)
	if len(bound) == 0 {
		return nil, nil
	}
	namespaces, err := c.namespaces()
	if err != nil {
		return nil, fmt.Errorf("looking for connections: %w", err)
	}
	p, err := newPurse(c.procs)
	if err != nil {
		return nil, fmt.Errorf("looking for connections: %w", err)
	}
	peers, err := c.peers(ctx, namespaces, bound)
	found := map[holder]int{}
	for ns, wanted := range peers {
		held, failed := c.holders(ctx, p, wanted, namespaces[ns])
		err = errors.Join(err, failed)
		for h, n := range held {
			found[h] += n
		}
	}
	if err != nil {
		err = fmt.Errorf("looking for connections: %w", err)
	}
	return c.clients(ctx, p, found), errors.Join(err, p.error("looking for connections"))
}

// peers returns the inodes of the clients' ends, with the socket they are connected to, by namespace.
func (c linuxClients) peers(ctx context.Context, namespaces map[string][]int, bound map[inode]string) (map[string]map[uint64]string, error) {
	out := map[string]map[uint64]string{}
	var errs []error
	for ns, pids := range namespaces {
		if ctx.Err() != nil {
			errs = append(errs, ctx.Err())
			break
		}
		found, err := c.peersIn(pids, bound)
		if err != nil {
			errs = append(errs, fmt.Errorf("network namespace %s: %w", ns, err))
		}
		if len(found) > 0 {
			out[ns] = found
		}
	}
	return out, shorten(errs)
}

// shorten joins a few errors: what fails in one namespace mostly fails in all.
func shorten(errs []error) error {
	const few = 2
	if len(errs) > few {
		errs = append(errs[:few:few], fmt.Errorf("and %d more", len(errs)-few))
	}
	return errors.Join(errs...)
}

// peersIn asks in the network namespace of the first of pids that still lives.
func (c linuxClients) peersIn(pids []int, bound map[inode]string) (map[uint64]string, error) {
	for _, pid := range pids {
		fd, err := unix.Open(c.procs.path(pid, "ns/net"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		defer func() { _ = unix.Close(fd) }()
		return unixPeers(fd, bound)
	}
	return nil, nil // all of it ended
}

// From linux/unix_diag.h and linux/sock_diag.h.
const (
	diagShowVFS  = 2
	diagShowPeer = 4
	diagVFS      = 1
	diagPeer     = 2

	diagRequestLen = 24 // struct unix_diag_req
	diagMessageLen = 16 // struct unix_diag_msg
	stateConnected = 1  // TCP_ESTABLISHED

	diagPatience = 2 * time.Second
)

// unixPeers asks the kernel for the connected Unix sockets of a network namespace, and returns the peers of those that were
// accepted on one of the given files.
func unixPeers(namespace int, bound map[inode]string) (map[uint64]string, error) {
	conn, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, &netlink.Config{NetNS: namespace})
	if err != nil {
		return nil, fmt.Errorf("asking for its sockets: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(diagPatience)); err != nil {
		return nil, fmt.Errorf("asking for its sockets: %w", err)
	}
	request := make([]byte, diagRequestLen)
	request[0] = unix.AF_UNIX
	order.NativeEndian.PutUint32(request[4:], 1<<stateConnected)
	order.NativeEndian.PutUint32(request[12:], diagShowVFS|diagShowPeer)
	answer, err := conn.Execute(netlink.Message{Header: netlink.Header{Type: unix.SOCK_DIAG_BY_FAMILY, Flags: netlink.Request | netlink.Dump}, Data: request})
	if err != nil {
		return nil, fmt.Errorf("reading its sockets: %w", err)
	}
	out := map[uint64]string{}
	for _, m := range answer {
		at, peer, err := endpoints(m.Data)
		if err != nil {
			return out, fmt.Errorf("reading its sockets: %w", err)
		}
		if socket := bound[at]; socket != "" && peer != 0 {
			out[peer] = socket
		}
	}
	return out, nil
}

// endpoints reads of one socket where it is bound, and the inode of its peer.
func endpoints(data []byte) (at inode, peer uint64, err error) {
	if len(data) < diagMessageLen {
		return at, 0, errors.New("a message that is cut off")
	}
	d, err := netlink.NewAttributeDecoder(data[diagMessageLen:])
	if err != nil {
		return at, 0, err
	}
	for d.Next() {
		switch d.Type() {
		case diagVFS:
			if value := d.Bytes(); len(value) >= 8 {
				// The kernel's own form of a device number: 12 bits and 20.
				device := order.NativeEndian.Uint32(value[4:])
				at = inode{device >> 20, device & (1<<20 - 1), order.NativeEndian.Uint32(value)}
			}
		case diagPeer:
			peer = uint64(d.Uint32())
		}
	}
	return at, peer, d.Err()
}
