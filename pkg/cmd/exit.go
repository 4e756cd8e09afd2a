package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/rollout"
)

// The exit codes. docs/exit-codes.md tells them to people.
const (
	codeDone        = 0
	codeError       = 1
	codeChanges     = 2
	codeRolledBack  = 3
	codeStuck       = 4
	codeInterrupted = 130
)

// ended ends the program with a code when everything has been said already.
type ended struct{ code int }

func (e ended) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// Run executes the command line and returns the exit code: the one place where errors become codes.
func Run(ctx context.Context, front Front, args []string) int {
	p := newProgram(front)
	root := p.command() //nolint:contextcheck // commands get theirs from ExecuteContext
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var end ended
	var last said
	switch {
	case err == nil:
		return codeDone
	case errors.As(err, &end):
		return end.code
	case errors.As(err, &last):
		p.ui().Error(explain(last.error))
		return last.code
	case ctx.Err() != nil:
		if more := beside(err); more != nil {
			p.ui().Error(explain(more))
		}
		p.ui().Say("Interrupted while no node was being changed.\nnext: the same command again")
		return codeInterrupted
	}
	p.ui().Error(explain(err))
	return codeError
}

// beside is what an error tells besides that somebody interrupted: what could not be tidied up.
func beside(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var rest []error
		for _, e := range joined.Unwrap() {
			rest = append(rest, beside(e))
		}
		return errors.Join(rest...)
	}
	if !errors.Is(err, context.Canceled) && !errors.Is(err, rollout.ErrInterrupted) {
		return err
	}
	if inner := errors.Unwrap(err); inner != nil {
		return beside(inner)
	}
	return nil
}

// explain turns errors of the libraries into sentences that say what to do.
func explain(err error) error {
	var reach *url.Error
	var denied *cluster.DeniedError
	switch {
	case clientcmd.IsEmptyConfig(err):
		return errors.New("no cluster is configured: set KUBECONFIG, or name a file with --kubeconfig")
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server doesn't accept the credentials of this kubeconfig: %w", err)
	case errors.As(err, &denied):
		return fmt.Errorf("%w\nNo node was changed. Whoever administrates the cluster can grant that with:\n\n%s", denied, denied.YAML())
	case errors.As(err, &reach):
		at, parseErr := url.Parse(reach.URL)
		if parseErr != nil {
			return err
		}
		return fmt.Errorf("can't reach the API server at %s://%s: %w", at.Scheme, at.Host, reach.Err)
	}
	return err
}
