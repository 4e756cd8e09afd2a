//go:build linux

package host

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/procfs"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// errUninterruptible says that a process waits in the kernel (state D), perhaps forever, and that who reads its memory, its command
// line and environment with it, may wait as long.
var errUninterruptible = errors.New("it waits in the kernel")

// uninterruptible reports whether a thread of the process is in state D. It reads what the kernel keeps beside the process's memory.
func (p linuxProcs) uninterruptible(pid int) bool {
	return len(p.waiting(pid)) > 0
}

// wait is a thread's wait, as far as two looks can tell it from another one of the same thread.
type wait struct {
	thread int
	// runs counts how often the thread was given a processor; used is what it used of it where the kernel doesn't count that.
	runs, used uint64
	program    string
}

// waiting returns the threads of a process that are in state D; none where it ended.
func (p linuxProcs) waiting(pid int) []wait {
	threads, err := p.fs.AllThreads(pid)
	if err != nil {
		return nil
	}
	var out []wait
	for _, t := range threads {
		if !p.stateD(pid, t.PID) {
			continue // of thousands of threads hardly any: the rest is only read of those
		}
		stat, err := t.Stat()
		if err != nil {
			continue
		}
		out = append(out, wait{thread: t.PID, runs: timeslices(t), used: uint64(stat.UTime + stat.STime), program: stat.Comm})
	}
	return out
}

// stateD reports whether a thread is in state D: the letter behind the name, which is in parentheses and may hold any character.
func (p linuxProcs) stateD(pid, thread int) bool {
	data, err := os.ReadFile(filepath.Join(p.path(pid, "task"), strconv.Itoa(thread), "stat"))
	if err != nil {
		return false
	}
	return bytes.HasPrefix(data[bytes.LastIndexByte(data, ')')+1:], []byte(" D "))
}

func timeslices(t procfs.Proc) uint64 {
	s, err := t.Schedstat()
	if err != nil {
		return 0
	}
	return s.RunTimeslices
}

const (
	// looks is how often a wait must be seen, lookPause apart. A thread that waits for a disk that works is in another wait, or
	// in none, long before.
	looks     = 4
	lookPause = 500 * time.Millisecond
)

func (p linuxPods) Uninterruptible(ctx context.Context) ([]v1alpha1.UninterruptibleProcess, error) {
	here, err := p.procs.here()
	if err != nil {
		return nil, fmt.Errorf("looking for pods' processes that wait: %w", err)
	}
	waits := map[int][]wait{}
	found := map[int]v1alpha1.UninterruptibleProcess{}
	// Whose process it is comes first: another user's may have tens of thousands of threads.
	err = p.each(func(pid int, ofPod func() bool) {
		x := v1alpha1.UninterruptibleProcess{PID: pid}
		if ofPod() {
			groups, err := p.procs.cgroups(pid)
			if err != nil {
				return // it ended meanwhile
			}
			x.PodUID, _ = contained(groups, here.init)
		} else if exe, err := p.procs.exe(pid); err != nil || !monitorProgram(exe) || !p.procs.ofHost(pid, here) || !p.waits(pid, exe) {
			return
		}
		list := p.procs.waiting(pid)
		if len(list) == 0 {
			return
		}
		x.Program = list[0].program
		waits[pid], found[pid] = list, x
	})
	for look := 1; look < looks && len(waits) > 0 && err == nil; look++ {
		err = p.clock.Sleep(ctx, lookPause)
		for pid, before := range waits {
			now := p.procs.waiting(pid)
			before = slices.DeleteFunc(before, func(w wait) bool { return !slices.Contains(now, w) })
			if waits[pid] = before; len(before) == 0 {
				delete(waits, pid)
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("looking for pods' processes that wait: %w", err)
	}
	var out []v1alpha1.UninterruptibleProcess
	for pid := range waits {
		out = append(out, found[pid])
	}
	slices.SortFunc(out, func(a, b v1alpha1.UninterruptibleProcess) int { return cmp.Compare(a.PID, b.PID) })
	return out, nil
}

// waits reports whether a monitor that waits is that of a pod.
func (p linuxPods) waits(pid int, exe string) bool {
	proc, err := p.procs.outline(pid, exe, time.Time{})
	return err == nil && p.waitingMonitor(proc)
}
