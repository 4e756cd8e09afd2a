package rollout

import (
	"context"
	"errors"
	"fmt"
)

// ErrStopped says that nodes were left out because an earlier one failed.
var ErrStopped = errors.New("stopped at the first node that failed")

// Rollout takes nodes through prepare, approve and Execute one after another and stops at the first that fails, or
// carries on where Options.KeepGoing says so. An approve that answers false ends the rollout; its error too.
func (e *Engine) Rollout(ctx context.Context, nodes []string, prepare func(ctx context.Context, node string) (*Prepared, error),
	approve func(ctx context.Context, p *Prepared) (bool, error),
) ([]Result, error) {
	var results []Result
	for i, node := range nodes {
		if ctx.Err() != nil {
			return results, context.Cause(ctx)
		}
		result, declined, err := e.one(ctx, node, prepare, approve)
		if result != nil {
			results = append(results, *result)
			if e.opts.Ended != nil {
				e.opts.Ended(*result)
			}
		}
		if err != nil || declined {
			return results, err
		}
		if left := len(nodes) - i - 1; result.fails() && (!e.opts.KeepGoing || !result.Outcome.clean()) {
			if left > 0 {
				return results, fmt.Errorf("%w: %s; %d not touched", ErrStopped, node, left)
			}
			return results, nil
		}
	}
	return results, nil
}

func (e *Engine) one(ctx context.Context, node string, prepare func(context.Context, string) (*Prepared, error),
	approve func(context.Context, *Prepared) (bool, error),
) (_ *Result, declined bool, err error) {
	p, err := prepare(ctx, node)
	if err != nil {
		return nil, false, err
	}
	defer func() {
		if left := p.Close(ctx); left != nil {
			p.warn("%v", left)
		}
	}()
	ok, err := approve(ctx, p)
	if err != nil || !ok {
		return nil, true, err
	}
	r := p.Execute(ctx)
	return &r, false, nil
}

// fails reports whether a result stops a rollout.
func (r Result) fails() bool {
	switch r.Outcome {
	case Switched, NothingToDo, Validated:
		return false
	}
	return !r.Asked()
}

// Asked reports whether the node was rolled back because its operator asked for it, and all is well.
func (r Result) Asked() bool { return r.Outcome == RolledBack && r.Err == nil }

// clean reports whether the node is as it was, so that others may go on.
func (o Outcome) clean() bool { return o == RolledBack || o == Refused }
