//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// foreignTime is how long one look may take of what other users have made of their processes: hundreds of thousands of open files,
// an environment in memory that never answers. It is many times what it takes on a node that is full.
const foreignTime = 3 * time.Second

// errSpent says that some processes were not looked at.
var errSpent = errors.New("processes of other users took too long, and some were left out")

// purse is the time that is left for processes that aren't the machine's own: those of users and of pods.
type purse struct {
	procs linuxProcs
	here  machine
	left  time.Duration
	spent bool
}

func newPurse(procs linuxProcs) (*purse, error) {
	here, err := procs.here()
	if err != nil {
		return nil, err
	}
	return &purse{procs: procs, here: here, left: foreignTime}, nil
}

// spend looks at a process, which for one that isn't the machine's own takes from what is left. It reports whether that came to its end.
func spend[T any](ctx context.Context, p *purse, pid int, do func() T) (T, bool) {
	if p.procs.ofHost(pid, p.here) {
		return do(), true
	}
	var none T
	if p.left <= 0 {
		p.spent = true
		return none, false
	}
	ctx, cancel := context.WithTimeout(ctx, p.left)
	defer cancel()
	began := time.Now()
	out, err := bounded(ctx, func() (T, error) { return do(), nil })
	p.left -= time.Since(began)
	if err != nil {
		p.spent = true
		return none, false
	}
	return out, true
}

// error is what the look that is over has to say.
func (p *purse) error(what string) error {
	if !p.spent {
		return nil
	}
	return fmt.Errorf("%s: %w", what, errSpent)
}
