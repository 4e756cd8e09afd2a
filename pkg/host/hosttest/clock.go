package hosttest

import (
	"context"
	"sync"
	"time"
)

// clock is the machine's time: virtual and moved by Sleep, or that of package time.
type clock struct {
	real   bool
	mu     sync.Mutex
	offset time.Duration // virtual time since epoch
	epoch  time.Time
	first  time.Time // package time at start
	boot   time.Duration
}

func (c *clock) start() {
	c.epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c.first = time.Now()
}

func (c *clock) since() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real {
		return time.Since(c.first) + c.offset
	}
	return c.offset
}

func (c *clock) animate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.real, c.first = true, time.Now()
}

func (c *clock) now() time.Time           { return c.epoch.Add(c.since()) }
func (c *clock) sinceBoot() time.Duration { return c.since() - c.boot }

// booted starts CLOCK_BOOTTIME again, a minute after the machine went down.
func (c *clock) booted() {
	c.mu.Lock()
	c.offset += time.Minute
	c.mu.Unlock()
	c.boot = c.since()
}

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !c.real {
		c.mu.Lock()
		c.offset += max(d, 0)
		c.mu.Unlock()
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// processClock is the clock as a process sees it: a dead process sleeps no more.
type processClock struct{ p *Process }

func (c processClock) Now() time.Time           { return c.p.n.clock.now() }
func (c processClock) SinceBoot() time.Duration { return c.p.n.clock.sinceBoot() }

func (c processClock) Boot() string {
	c.p.n.mu.Lock()
	defer c.p.n.mu.Unlock()
	return c.p.n.Info.Boot
}

func (c processClock) Sleep(ctx context.Context, d time.Duration) error {
	if err := c.p.alive(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.p.ctx, cancel)()
	err := c.p.n.clock.sleep(ctx, d)
	if dead := c.p.alive(); dead != nil {
		return dead
	}
	c.p.n.mu.Lock()
	defer c.p.n.mu.Unlock()
	c.p.n.settle()
	return err
}
