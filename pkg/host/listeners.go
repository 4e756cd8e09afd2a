//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// EndListeners looks in the table for whose a socket is, as any process may be given it: only one of the user who opened it is ended.
func (p linuxProcs) EndListeners(ctx context.Context, at netip.AddrPort) ([]Listener, error) {
	c := linuxClients{p}
	there, err := c.listening(ctx, os.Getpid(), at)
	if err != nil {
		return nil, fmt.Errorf("looking for who listens at %s: %w", at, err)
	}
	var out []Listener
	for _, x := range there {
		if roots(x.uid) || x.inode == 0 {
			continue
		}
		ended, err := c.endHolders(ctx, x)
		out = append(out, ended...)
		if err != nil {
			return out, fmt.Errorf("looking for who listens at %s: %w", at, err)
		}
	}
	return out, nil
}

// endHolders ends the processes that have a socket, as long as they are its user's.
func (c linuxClients) endHolders(ctx context.Context, x connection) ([]Listener, error) {
	purse, err := newPurse(c.procs)
	if err != nil {
		return nil, err
	}
	held, err := c.holders(ctx, purse, map[uint64]string{x.inode: ""}, nil)
	var out []Listener
	for h := range held {
		ended, failed := c.endHolder(h.pid, x)
		if ended {
			out = append(out, Listener{At: x.local.String(), PID: h.pid, UID: x.uid})
		}
		err = errors.Join(err, failed)
	}
	return out, err
}

// endHolder kills a process that still has a socket once it is held by a descriptor: its number may be another one's by then. Kernels
// before 5.3 know only the number.
func (c linuxClients) endHolder(pid int, x connection) (bool, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		defer func() { _ = unix.Close(fd) }()
	}
	kill := func() error { return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) }
	switch {
	case errors.Is(err, unix.ESRCH):
		return false, nil
	case errors.Is(err, unix.ENOSYS):
		kill = func() error { return unix.Kill(pid, unix.SIGKILL) }
	case err != nil:
		return false, fmt.Errorf("process %d: %w", pid, err)
	}
	if !c.procs.ofUser(pid, x.uid) || !slices.Contains(c.sockets(pid), x.inode) {
		return false, nil
	}
	if err := kill(); err != nil && !errors.Is(err, unix.ESRCH) {
		return false, fmt.Errorf("ending process %d: %w", pid, err)
	}
	return true, nil
}

// ofUser reports whether a process was started by a user, who isn't root.
func (p linuxProcs) ofUser(pid, uid int) bool {
	x, err := p.fs.Proc(pid)
	if err != nil {
		return false
	}
	status, err := x.NewStatus()
	return err == nil && uid != 0 && status.UIDs[0] == uint64(uid)
}
