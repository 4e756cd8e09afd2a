// Command runtime-agent is what kubectl runtime runs on a node. It reads one request from standard input and prints one
// answer; its sub-commands are the units that carry out what was asked,
// and what our pods do with it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/agent"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/facts"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/host"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/images"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/redact"
)

const usage = `usage: runtime-agent                              answer the request on standard input
       runtime-agent run stage|apply|rollback RUN   be that unit
       runtime-agent recover | early                be that unit
       runtime-agent finish                         remove what nothing needs, this agent too
       runtime-agent canary --listen :PORT --path P --for TIME
                                                    answer 200 there for that time`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	args := os.Args[1:]
	var err error
	if len(args) == 0 || args[0] != "canary" { // which is in a container, and stays there
		err = host.EnterCgroups()
	}
	if err == nil {
		err = run(ctx, args, os.Stdin, os.Stdout)
	}
	stop()
	if errors.Is(err, context.Canceled) {
		return // told to end: whoever told it sees to the run
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "runtime-agent:", redact.Text(err.Error()))
		os.Exit(1)
	}
}

// errUsage is told with the ways to call this program.
var errUsage = errors.New(usage)

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) > 0 && args[0] == "canary" {
		return canary(ctx, args[1:])
	}
	if len(args) == 0 {
		return serve(ctx, in, out)
	}
	a, err := newAgent()
	if err != nil {
		return err
	}
	switch {
	case len(args) == 3 && args[0] == "run" && args[1] == "stage":
		return a.RunStage(ctx, args[2], in)
	case len(args) == 3 && args[0] == "run" && args[1] == "apply":
		return a.RunApply(ctx, args[2])
	case len(args) == 3 && args[0] == "run" && args[1] == "rollback":
		return a.RunRollback(ctx, args[2])
	case len(args) == 1 && args[0] == "recover":
		return a.Recover(ctx)
	case len(args) == 1 && args[0] == "early":
		return a.Early(ctx)
	case len(args) == 1 && args[0] == string(v1alpha1.VerbFinish):
		return a.Finish(ctx)
	}
	return errUsage
}

func newAgent() (*agent.Agent, error) {
	reading, err := host.Linux(nil)
	if err != nil {
		return nil, err
	}
	machine, err := host.Linux(allowed(reading))
	if err != nil {
		return nil, err
	}
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("looking for my own binary: %w", err)
	}
	if binary, err = filepath.EvalSymlinks(binary); err != nil {
		return nil, fmt.Errorf("looking for my own binary: %w", err)
	}
	return &agent.Agent{Machine: machine, Binary: binary, Gather: facts.Gather, Images: images.Stage, Version: facts.Version}, nil
}

// maxRequest is more than a plan and the credentials of a node's images.
const maxRequest = 64 << 20

// serve answers one request. A failure is an answer too: it then has Error set, and the exit status is 0 all the same,
// so that whoever carries the answer can tell it from an agent that didn't run.
func serve(ctx context.Context, in io.Reader, out io.Writer) error {
	answer := v1alpha1.Response{APIVersion: v1alpha1.APIVersion, Code: v1alpha1.CodeInternal}
	request, err := read(in)
	if err == nil {
		var a *agent.Agent
		if a, err = newAgent(); err == nil {
			// A plugin that is gone doesn't read its answer: that is no reason to leave the rest undone.
			signal.Ignore(syscall.SIGPIPE)
			answer = a.Serve(ctx, request)
			defer a.Part(ctx)
		}
	}
	if err != nil {
		answer.Error = redact.Text(err.Error())
	}
	if err := json.NewEncoder(out).Encode(answer); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

// read takes one request. A field that it doesn't know comes from another version: what it means can't be guessed.
func read(in io.Reader) (v1alpha1.Request, error) {
	var request v1alpha1.Request
	dec := json.NewDecoder(io.LimitReader(in, maxRequest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&request); err != nil {
		// A decoder's error may quote what it read, and that may be a credential.
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return request, errors.New("reading the request: not one JSON document")
		}
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return request, fmt.Errorf("reading the request: field %s can't be a %s", kind.Field, strings.Fields(kind.Value + " value")[0])
		}
		return request, fmt.Errorf("reading the request: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return request, errors.New("reading the request: something follows it")
	}
	if request.APIVersion != v1alpha1.APIVersion {
		return request, fmt.Errorf("reading the request: version %q, this agent speaks %s", request.APIVersion, v1alpha1.APIVersion)
	}
	return request, nil
}
