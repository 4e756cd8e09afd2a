//go:build linux

package host

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// connection is a line of /proc/PID/net/tcp. Every kernel has that table; the one that is asked through netlink is a module.
type connection struct {
	local, remote netip.AddrPort
	inode         uint64
}

// TCP looks in the table of the server's network for its connections, and in those of all networks for their other ends. One
// whose other end isn't on this machine, or behind a translated address, has a Client without a process.
func (c linuxClients) TCP(ctx context.Context, pid int, ports []int) ([]v1alpha1.Client, error) {
	table, err := c.established(pid)
	if err != nil {
		return nil, fmt.Errorf("looking for connections: %w", err)
	}
	own := map[uint64]bool{}
	for _, inode := range c.sockets(pid) {
		own[inode] = true
	}
	var served []connection
	for _, x := range table {
		if own[x.inode] && slices.Contains(ports, int(x.local.Port())) {
			served = append(served, x)
		}
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
		for _, x := range c.anyTable(pids) {
			i := slices.IndexFunc(served, func(s connection) bool { return s.local == x.remote && s.remote == x.local })
			if i < 0 {
				continue
			}
			wanted[x.inode], from[x.inode], found[served[i]] = x.remote.String(), x.local.String(), true
		}
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

// anyTable is the table of the network that processes share, by the first of them that still lives.
func (c linuxClients) anyTable(pids []int) []connection {
	for _, pid := range pids {
		if table, err := c.established(pid); err == nil {
			return table
		}
	}
	return nil
}

// maxConnections is the table of more connections than a network has, in bytes: half a million.
const maxConnections = 64 << 20

// established are the TCP connections in a process's network.
func (c linuxClients) established(pid int) ([]connection, error) {
	var out []connection
	for _, name := range []string{"net/tcp", "net/tcp6"} {
		data, err := read(c.procs.path(pid, name), maxConnections)
		if errors.Is(err, ErrNotExist) && name == "net/tcp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(data)) {
			if x, ok := parseConnection(line); ok {
				out = append(out, x)
			}
		}
	}
	return out, nil
}

// parseConnection reads a line of a connection that is established.
func parseConnection(line string) (x connection, ok bool) {
	const state, inode = 3, 9
	fields := strings.Fields(line)
	if len(fields) <= inode || fields[state] != "01" {
		return x, false
	}
	var err1, err2, err3 error
	x.local, err1 = parseAddress(fields[1])
	x.remote, err2 = parseAddress(fields[2])
	x.inode, err3 = strconv.ParseUint(fields[inode], 10, 64)
	return x, cmp.Or(err1, err2, err3) == nil
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
