//go:build linux

package host

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

type linuxClock struct{ boot string }

// newClock reads what identifies this boot: the kernel's boot ID alone stays the same when a node that is a container
// starts again.
func newClock() (linuxClock, error) {
	id, err := readFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return linuxClock{}, fmt.Errorf("reading the boot id: %w", err)
	}
	first, err := procfs.NewProc(1)
	if err != nil {
		return linuxClock{}, fmt.Errorf("reading pid 1: %w", err)
	}
	stat, err := first.Stat()
	if err != nil {
		return linuxClock{}, fmt.Errorf("reading pid 1: %w", err)
	}
	return linuxClock{boot: fmt.Sprintf("%s-%d", strings.TrimSpace(string(id)), stat.Starttime)}, nil
}

func (linuxClock) Now() time.Time { return time.Now() }

func (linuxClock) SinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		// Linux has had this clock since 2.6.39: nothing that this program could do about it.
		panic(fmt.Sprintf("reading CLOCK_BOOTTIME: %v", err))
	}
	return time.Duration(ts.Nano())
}

func (c linuxClock) Boot() string { return c.boot }

func (linuxClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
