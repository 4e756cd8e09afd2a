package rollout

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/until"
)

// watchWait is how long one question may wait on the node for news. Proxies cut streams that are silent for longer.
const watchWait = 20 * time.Second

const watchPause = 300 * time.Millisecond

// watch follows a run on its node until done, telling the agent's progress.
func (p *Prepared) watch(ctx context.Context, step int, done func(*v1alpha1.Run) bool) (*v1alpha1.Run, error) {
	for {
		answer, err := p.pod.Call(ctx, v1alpha1.Request{Verb: v1alpha1.VerbWatch, Run: p.run, Seq: p.seq, Wait: watchWait})
		if err != nil {
			return nil, err
		}
		for _, line := range answer.Progress {
			p.tell(step, line)
		}
		if answer.Run == nil {
			return nil, fmt.Errorf("the node doesn't tell of run %s", p.run)
		}
		p.last = answer.Run
		if done(answer.Run) {
			return answer.Run, nil
		}
		// A moment's pause lets lines gather: every question is a stream of its own.
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(watchPause):
		}
	}
}

// tell passes one line of the agent on.
func (p *Prepared) tell(step int, line v1alpha1.Progress) {
	p.seq = max(p.seq, line.Seq)
	text, warns := line.Step, line.Step == "warning"
	if line.Phase != "" {
		text += " " + string(line.Phase)
	}
	switch {
	case warns:
		text = line.Detail
	case line.Detail != "":
		text += ": " + line.Detail
	}
	if line.Error != "" {
		text += ": " + line.Error
	}
	if text = firstLine(text); text == "" {
		return
	}
	p.e.say(Event{
		Node: p.node.Name, Run: p.run, Step: step, Of: steps, Detail: true, Text: text,
		Warning: line.Error != "" || warns, Took: line.Took, Phase: line.Phase,
	})
}

// firstLine is what of a text fits where one line is shown; the whole of it stands in the result.
func firstLine(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return first
}

// oneLine joins lines.
func oneLine(text string) string { return strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ") }

// tryAgain makes a request to the API server that may be made twice, again while it is away.
func tryAgain(ctx context.Context, request func(context.Context) error) error {
	return until.Try(ctx, request)
}
