package cmd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/rollout"
)

func TestBeside(t *testing.T) {
	left := errors.New("the pod could not be deleted")
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"only interrupted":   {err: fmt.Errorf("listing nodes: %w", context.Canceled)},
		"interrupted engine": {err: &prepareError{"worker-1", rollout.ErrInterrupted}},
		"something is left":  {err: &prepareError{"worker-1", errors.Join(context.Canceled, left)}, want: left.Error()},
		"something else":     {err: left, want: left.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := beside(tc.err); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("beside(%v) = %q, want %q", tc.err, got, tc.want)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"no connection": {
			fmt.Errorf("listing nodes: %w", &url.Error{Op: "Get", URL: "https://10.0.0.1:6443/api/v1/nodes?limit=500", Err: errors.New("connection refused")}),
			"can't reach the API server at https://10.0.0.1:6443: connection refused",
		},
		"missing rights": {
			&prepareError{"worker-1", &cluster.DeniedError{Missing: []cluster.Right{{Verb: "patch", Resource: "nodes"}}}},
			"not allowed: patch nodes\nNo node was changed. Whoever administrates the cluster can grant that with:\n\n" +
				"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: kubectl-runtime\nrules:\n" +
				"- apiGroups:\n  - \"\"\n  resources:\n  - nodes\n  verbs:\n  - patch\n",
		},
		"anything else": {errors.New("plain"), "plain"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := explain(tc.err).Error(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
