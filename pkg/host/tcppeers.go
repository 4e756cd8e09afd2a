//go:build linux

package host

import (
	"bufio"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// connection is a line of /proc/PID/net/tcp. Every kernel has that table; the one that is asked through netlink is a module.
type connection struct {
	state         string
	local, remote netip.AddrPort
	// uid is the user who opened the socket. One that nobody has accepted as yet is user 0's, without an inode.
	uid   int
	inode uint64
}

// TCP looks in the table of the server's network for its connections, and in those of all networks for their other ends. One
// whose other end isn't on this machine, or behind a translated address, has a Client without a process.
func (c linuxClients) TCP(ctx context.Context, pid int, ports []int) ([]v1alpha1.Client, error) {
	own := map[uint64]bool{}
	for _, inode := range c.sockets(pid) {
		own[inode] = true
	}
	var served []connection
	err := c.table(ctx, pid, func(x connection) bool {
		if x.state == stateEstablished && own[x.inode] && slices.Contains(ports, int(x.local.Port())) {
			served = append(served, x)
		}
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("looking for connections: %w", err)
	}
	if len(served) == 0 {
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
	var out []v1alpha1.Client
	found := map[connection]bool{}
	for _, pids := range namespaces {
		wanted := map[uint64]string{}
		from := map[uint64]string{}
		c.anyTable(ctx, pids, func(x connection) bool {
			i := slices.IndexFunc(served, func(s connection) bool {
				return x.state == stateEstablished && s.local == x.remote && s.remote == x.local
			})
			if i >= 0 {
				wanted[x.inode], from[x.inode], found[served[i]] = x.remote.String(), x.local.String(), true
			}
			return true
		})
		for inode, socket := range wanted {
			held, err := c.holders(ctx, p, map[uint64]string{inode: socket}, pids)
			if err != nil {
				return out, fmt.Errorf("looking for connections: %w", err)
			}
			for _, x := range c.clients(ctx, p, held) {
				x.From = from[inode]
				out = append(out, x)
			}
		}
	}
	for _, s := range served {
		if !found[s] {
			out = append(out, v1alpha1.Client{Socket: s.local.String(), From: s.remote.String(), Connections: 1})
		}
	}
	slices.SortFunc(out, compareClients)
	return out, p.error("looking for connections")
}

// anyTable reads the table of the network that processes share, by the first of them that still lives.
func (c linuxClients) anyTable(ctx context.Context, pids []int, look func(connection) bool) {
	for _, pid := range pids {
		if err := c.table(ctx, pid, look); err == nil {
			return
		}
	}
}

// table calls look with the TCP sockets in a process's network until it returns false or ctx ends. Any user can fill the table with
// hundreds of thousands of connections: it is read line by line, and none of it is kept.
func (c linuxClients) table(ctx context.Context, pid int, look func(connection) bool) error {
	more := true
	for _, name := range []string{"net/tcp", "net/tcp6"} {
		if !more {
			break
		}
		var err error
		more, err = c.tableOf(ctx, c.procs.path(pid, name), look)
		if errors.Is(err, fs.ErrNotExist) && name == "net/tcp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// listening returns the TCP sockets in a process's network that listen at an address, or where they keep others from that. In both
// tables they stand before the connections.
func (c linuxClients) listening(ctx context.Context, pid int, at netip.AddrPort) ([]connection, error) {
	var out []connection
	for _, name := range []string{"net/tcp", "net/tcp6"} {
		_, err := c.tableOf(ctx, c.procs.path(pid, name), func(x connection) bool {
			if x.state == stateListen && overlap(x.local, at) {
				out = append(out, x)
			}
			return x.state == stateListen
		})
		if err != nil && (name != "net/tcp6" || !errors.Is(err, fs.ErrNotExist)) {
			return out, err
		}
	}
	return out, nil
}

// overlap reports whether who listens at one address keeps others from listening at the other: that of all addresses is on each.
func overlap(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && (a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

// tableOf is table for one file; more says whether look wants to see on.
func (c linuxClients) tableOf(ctx context.Context, path string, look func(connection) bool) (more bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return true, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if ctx.Err() != nil {
			return false, fmt.Errorf("reading %s: %w", path, ctx.Err())
		}
		if x, ok := parseConnection(lines.Text()); ok && !look(x) {
			return false, nil
		}
	}
	return true, lines.Err()
}

// The states of a socket that matter here, as the kernel writes them.
const (
	stateEstablished = "01"
	stateListen      = "0A"
)

// parseConnection reads the line of a socket that listens or is connected.
func parseConnection(line string) (x connection, ok bool) {
	const state, uid, inode = 3, 7, 9
	fields := strings.Fields(line)
	if len(fields) <= inode || fields[state] != stateEstablished && fields[state] != stateListen {
		return x, false
	}
	x.state = fields[state]
	var err1, err2, err3, err4 error
	x.local, err1 = parseAddress(fields[1])
	x.remote, err2 = parseAddress(fields[2])
	x.inode, err3 = strconv.ParseUint(fields[inode], 10, 64)
	x.uid, err4 = strconv.Atoi(fields[uid])
	return x, cmp.Or(err1, err2, err3, err4) == nil
}

// parseAddress reads an address as the kernel writes it: words of 32 bits in the order of the machine's bytes, which is
// little-endian wherever this program is built for, then the port.
func parseAddress(text string) (netip.AddrPort, error) {
	address, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for i := 0; i+4 <= len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	ip, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("no address: %q", text)
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(number)), nil
}
