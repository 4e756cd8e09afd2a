//go:build linux

package host

import (
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// beatPause is how often PID 1 is told at most that nothing has changed.
const beatPause = time.Second

// Beat moves the watchdog, too, which systemd from 233 on allows; an older one keeps the limit that the unit was started with.
func (u *linuxUnits) Beat(limit time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if limit == u.limit && now.Sub(u.beat) < beatPause {
		return
	}
	u.beat, u.limit = now, limit
	_, _ = daemon.SdNotify(false, fmt.Sprintf("WATCHDOG_USEC=%d\nWATCHDOG=1", limit.Microseconds()))
}
