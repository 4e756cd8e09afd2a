//go:build linux

package host

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

type linuxClients struct{ procs linuxProcs }

// holder is a process that holds the client's end of connections, by socket.
type holder struct {
	socket string
	pid    int
}

// namespaces are the processes of each network namespace, by what /proc calls it.
func (c linuxClients) namespaces() (map[string][]int, error) {
	pids, err := c.procs.pids()
	if err != nil {
		return nil, err
	}
	out := map[string][]int{}
	for _, pid := range pids {
		if ns, err := os.Readlink(c.procs.path(pid, "ns/net")); err == nil {
			out[ns] = append(out[ns], pid)
		}
	}
	return out, nil
}

// holders counts, by process and socket, who holds which of the given sockets, by inode. It asks the given processes first
// and all others for what is left only: a process may have hundreds of thousands of files open.
func (c linuxClients) holders(ctx context.Context, p *purse, wanted map[uint64]string, first []int) (map[holder]int, error) {
	out := map[holder]int{}
	left := map[uint64]bool{}
	for inode := range wanted {
		left[inode] = true
	}
	look := func(pid int) {
		open, _ := spend(ctx, p, pid, func() []uint64 { return c.sockets(pid) })
		for _, inode := range open {
			if socket, ok := wanted[inode]; ok {
				out[holder{socket, pid}]++
				delete(left, inode)
			}
		}
	}
	for _, pid := range first {
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		look(pid)
	}
	if len(left) == 0 {
		return out, nil
	}
	pids, err := c.procs.pids()
	if err != nil {
		return out, err
	}
	for _, pid := range pids {
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		if !slices.Contains(first, pid) {
			look(pid)
		}
	}
	return out, nil
}

// sockets are the inodes of the sockets that a process has open; none where it ended.
func (c linuxClients) sockets(pid int) []uint64 {
	dir, err := os.Open(c.procs.path(pid, "fd"))
	if err != nil {
		return nil
	}
	defer dir.Close()
	var out []uint64
	for {
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			target, err := os.Readlink(filepath.Join(dir.Name(), name))
			if err != nil {
				continue
			}
			var inode uint64
			if n, _ := fmt.Sscanf(target, "socket:[%d]", &inode); n == 1 {
				out = append(out, inode)
			}
		}
		if err != nil {
			return out
		}
	}
}

// clients describes the holders, in the order of their sockets and processes; this process isn't among them.
func (c linuxClients) clients(ctx context.Context, p *purse, found map[holder]int) []v1alpha1.Client {
	var out []v1alpha1.Client
	for h, n := range found {
		if h.pid == os.Getpid() {
			continue
		}
		if x, ok := c.client(ctx, p, h.pid); ok {
			x.Socket, x.Connections = h.socket, n
			out = append(out, x)
		}
	}
	slices.SortFunc(out, compareClients)
	return out
}

func compareClients(a, b v1alpha1.Client) int {
	return cmp.Or(cmp.Compare(a.Socket, b.Socket), cmp.Compare(a.Process.PID, b.Process.PID), cmp.Compare(a.From, b.From))
}

// client describes a process; ok is false where it ended. One that can't be described in time has no command line.
func (c linuxClients) client(ctx context.Context, p *purse, pid int) (x v1alpha1.Client, ok bool) {
	exe, err := c.procs.exe(pid)
	if err != nil {
		return x, false
	}
	booted := c.procs.booted()
	if x.Process, err = c.procs.outline(pid, exe, booted); err != nil {
		return x, false
	}
	whole, ok := spend(ctx, p, pid, func() *v1alpha1.Process {
		if proc, err := c.procs.describe(pid, exe, booted); err == nil {
			return &proc
		}
		return nil
	})
	if ok && whole == nil {
		return x, false
	}
	if ok {
		x.Process = *whole
	}
	groups, err := c.procs.cgroups(pid)
	if err != nil {
		return x, false
	}
	init, err := c.procs.cgroups(1)
	if err != nil {
		init = nil
	}
	x.PodUID, x.Container = contained(groups, init)
	return x, true
}

var (
	// podGroup is the cgroup that the kubelet makes for a pod: the systemd driver writes underscores for the UID's dashes, and
	// static pods have a digest for a UID.
	podGroup    = regexp.MustCompile(`(?:^|-)pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$`)
	containerID = regexp.MustCompile(`[0-9a-f]{64}`)
)

// contained returns the pod of this node's kubelet and the container that a process's cgroups belong to. What PID 1 is in
// itself, whose groups are init, doesn't count.
func contained(groups, init map[string]string) (pod, container string) {
	for hierarchy, path := range groups {
		own := strings.Split(init[hierarchy], "/")
		foreign := false
		for part := range strings.SplitSeq(path, "/") {
			if slices.Contains(own, part) {
				continue
			}
			foreign = foreign || delegated(part)
			if m := podGroup.FindStringSubmatch(part); m != nil && pod == "" && container == "" && !foreign {
				pod = strings.ReplaceAll(m[1], "_", "-")
			}
			if container == "" && containerGroup.MatchString(part) {
				container = containerID.FindString(part)
			}
		}
		if pod != "" || container != "" {
			return pod, container
		}
	}
	return "", ""
}

func (c linuxClients) DockerHosts(ctx context.Context, sockets []string) ([]v1alpha1.DockerHost, error) {
	pids, err := c.procs.pids()
	if err != nil {
		return nil, fmt.Errorf("looking for DOCKER_HOST: %w", err)
	}
	// This program enters the host's network before it does anything. Another thread of it may be in another one for a moment.
	node, err := os.Readlink(filepath.Join(c.procs.root, "thread-self/ns/net"))
	if err != nil {
		return nil, fmt.Errorf("looking for DOCKER_HOST: %w", err)
	}
	p, err := newPurse(c.procs)
	if err != nil {
		return nil, fmt.Errorf("looking for DOCKER_HOST: %w", err)
	}
	bound := boundAt(sockets)
	var out []v1alpha1.DockerHost
	for _, pid := range pids {
		if ctx.Err() != nil {
			return out, fmt.Errorf("looking for DOCKER_HOST: %w", ctx.Err())
		}
		value, _ := spend(ctx, p, pid, func() string {
			value, _ := c.variable(pid, "DOCKER_HOST")
			return value
		})
		if value == "" || pid == os.Getpid() {
			continue
		}
		x, ok := c.client(ctx, p, pid)
		if !ok {
			continue
		}
		if path, isPath := strings.CutPrefix(value, "unix://"); isPath {
			x.Socket, _ = spend(ctx, p, pid, func() string { return c.seen(pid, path, bound) })
		}
		own, err := os.Readlink(c.procs.path(pid, "ns/net"))
		out = append(out, v1alpha1.DockerHost{Client: x, Value: value, OwnNetwork: err == nil && own != node})
	}
	return out, p.error("looking for DOCKER_HOST")
}

// maxEnviron bounds what is read of a process's environment, in bytes.
const maxEnviron = 256 << 10

// variable returns a variable of a process's environment that isn't empty.
func (c linuxClients) variable(pid int, name string) (string, bool) {
	if c.procs.uninterruptible(pid) {
		return "", false
	}
	f, err := os.Open(c.procs.path(pid, "environ"))
	if err != nil {
		return "", false
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxEnviron))
	if err != nil {
		return "", false
	}
	for word := range bytes.SplitSeq(data, []byte{0}) {
		if value, ok := bytes.CutPrefix(word, []byte(name+"=")); ok {
			return string(value), len(value) > 0
		}
	}
	return "", false
}

// seen returns which of the sockets of this machine a path leads to as a process sees it.
func (c linuxClients) seen(pid int, path string, bound map[inode]string) string {
	root, err := unix.Open(c.procs.path(pid, "root"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer func() { _ = unix.Close(root) }()
	// Links of the process lead through its own root. Kernels before 5.6 don't know how; there they lead through ours.
	var st unix.Stat_t
	fd, err := unix.Openat2(root, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	switch {
	case errors.Is(err, unix.ENOSYS):
		err = unix.Fstatat(root, strings.TrimLeft(path, "/"), &st, 0)
	case err == nil:
		err = unix.Fstat(fd, &st)
		_ = unix.Close(fd)
	}
	if err != nil {
		return ""
	}
	return bound[inodeOf(&st)]
}
