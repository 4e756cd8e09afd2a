//go:build linux

package host

import (
	"context"
	order "encoding/binary"
	"errors"
	"fmt"
	"runtime"

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
	peers, err := c.peers(ctx, namespaces, bound)
	found := map[holder]int{}
	for ns, wanted := range peers {
		held, failed := c.holders(ctx, wanted, namespaces[ns])
		err = errors.Join(err, failed)
		for h, n := range held {
			found[h] += n
		}
	}
	if err != nil {
		err = fmt.Errorf("looking for connections: %w", err)
	}
	return c.clients(found), err
}

// peers returns the inodes of the clients' ends, with the socket they are connected to, by namespace.
func (c linuxClients) peers(ctx context.Context, namespaces map[string][]int, bound map[inode]string) (map[string]map[uint64]string, error) {
	out := map[string]map[uint64]string{}
	var errs []error
	onLastThread(func() {
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
	})
	return out, shorten(errs)
}

// onLastThread runs something on a thread that does nothing afterwards: one that has entered a namespace is of no use to anybody
// else and ends with its goroutine. The main thread can't end, and /proc shows its namespaces for those of the process, so that
// one is held meanwhile.
func onLastThread(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			onLastThread(do)
			runtime.UnlockOSThread()
			return
		}
		do()
	}()
	<-done
}

// shorten joins a few errors: what fails in one namespace mostly fails in all.
func shorten(errs []error) error {
	const few = 2
	if len(errs) > few {
		errs = append(errs[:few:few], fmt.Errorf("and %d more", len(errs)-few))
	}
	return errors.Join(errs...)
}

// peersIn enters the network namespace of the first of pids that still lives, and asks there.
func (c linuxClients) peersIn(pids []int, bound map[inode]string) (map[uint64]string, error) {
	for _, pid := range pids {
		fd, err := unix.Open(c.procs.path(pid, "ns/net"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		err = unix.Setns(fd, unix.CLONE_NEWNET)
		_ = unix.Close(fd)
		if err != nil {
			return nil, fmt.Errorf("entering it: %w", err)
		}
		return unixPeers(bound)
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
)

// unixPeers asks the kernel for the connected Unix sockets of this thread's network namespace, and returns the peers of those
// that were accepted on one of the given files.
func unixPeers(bound map[inode]string) (map[uint64]string, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("asking for its sockets: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
		return nil, fmt.Errorf("asking for its sockets: %w", err)
	}
	native := order.NativeEndian
	request := make([]byte, unix.SizeofNlMsghdr+diagRequestLen)
	native.PutUint32(request, uint32(len(request)))
	native.PutUint16(request[4:], unix.SOCK_DIAG_BY_FAMILY)
	native.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	body := request[unix.SizeofNlMsghdr:]
	body[0] = unix.AF_UNIX
	native.PutUint32(body[4:], 1<<stateConnected)
	native.PutUint32(body[12:], diagShowVFS|diagShowPeer)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("asking for its sockets: %w", err)
	}
	out := map[uint64]string{}
	for buffer := make([]byte, 64<<10); ; {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return out, fmt.Errorf("reading its sockets: %w", err)
		}
		done, err := readPeers(buffer[:n], bound, out)
		if err != nil || done {
			return out, err
		}
	}
}

var errShortMessage = errors.New("reading its sockets: a message that is cut off")

// readPeers reads messages of one answer; done says that it was the last.
func readPeers(data []byte, bound map[inode]string, out map[uint64]string) (done bool, err error) {
	native := order.NativeEndian
	for len(data) >= unix.SizeofNlMsghdr {
		length := int(native.Uint32(data))
		if length < unix.SizeofNlMsghdr || length > len(data) {
			return true, errShortMessage
		}
		body := data[unix.SizeofNlMsghdr:length]
		switch native.Uint16(data[4:]) {
		case unix.NLMSG_DONE:
			return true, nil
		case unix.NLMSG_ERROR:
			if len(body) < 4 {
				return true, errShortMessage
			}
			if number := int32(native.Uint32(body)); number != 0 {
				return true, fmt.Errorf("reading its sockets: %w", unix.Errno(-number))
			}
		case unix.SOCK_DIAG_BY_FAMILY:
			if len(body) < diagMessageLen {
				return true, errShortMessage
			}
			at, peer := attributes(body[diagMessageLen:])
			if socket := bound[at]; socket != "" && peer != 0 {
				out[peer] = socket
			}
		}
		data = data[min(align(length), len(data)):]
	}
	return false, nil
}

// attributes reads where a socket is bound, and the inode of its peer.
func attributes(data []byte) (at inode, peer uint64) {
	native := order.NativeEndian
	for len(data) >= unix.SizeofNlAttr {
		length := int(native.Uint16(data))
		if length < unix.SizeofNlAttr || length > len(data) {
			return at, peer
		}
		value := data[unix.SizeofNlAttr:length]
		switch native.Uint16(data[2:]) {
		case diagVFS:
			if len(value) >= 8 {
				// The kernel's own form of a device number: 12 bits and 20.
				device := native.Uint32(value[4:])
				at = inode{device >> 20, device & (1<<20 - 1), native.Uint32(value)}
			}
		case diagPeer:
			if len(value) >= 4 {
				peer = uint64(native.Uint32(value))
			}
		}
		data = data[min(align(length), len(data)):]
	}
	return at, peer
}

func align(n int) int { return (n + 3) &^ 3 }
