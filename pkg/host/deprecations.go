//go:build linux

package host

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Deprecations asks containerd's introspection service, as "ctr deprecations list" does.
func (s linuxStores) Deprecations(ctx context.Context, runtime v1alpha1.RuntimeName) ([]v1alpha1.Deprecation, error) {
	if runtime != v1alpha1.Containerd {
		return nil, nil
	}
	c, err := dialContainerd(s.containerdSocket)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.conn.Close() }()
	answer, err := c.call(ctx, kubernetesNamespace, "introspection.v1.Introspection/Server", nil)
	if status.Code(errors.Unwrap(err)) == codes.Unimplemented {
		return nil, nil // containerd up to 1.3
	}
	if err != nil {
		return nil, err
	}
	var out []v1alpha1.Deprecation
	// Releases before 1.6.27 and 1.7.12 leave the field out.
	for _, d := range answer.all(4) {
		x := v1alpha1.Deprecation{ID: d.string(1), Message: strings.ToValidUTF8(d.string(2), "�")}
		if last := d.sub(3); last != nil {
			x.Last = time.Unix(int64(last.number(1)), 0).UTC()
		}
		out = append(out, x)
	}
	return out, nil
}
