//go:build linux

package host

import (
	"context"
	"fmt"
	"time"

	introspectionapi "github.com/containerd/containerd/api/services/introspection/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

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
	answer, err := introspectionapi.NewIntrospectionClient(c.conn).Server(inNamespace(ctx, kubernetesNamespace), &emptypb.Empty{})
	if status.Code(err) == codes.Unimplemented {
		return nil, nil // containerd up to 1.3
	}
	if err != nil {
		return nil, fmt.Errorf("asking containerd for its deprecations: %w", err)
	}
	var out []v1alpha1.Deprecation
	// Releases before 1.6.27 and 1.7.12 leave the field out.
	for _, d := range answer.GetDeprecations() {
		x := v1alpha1.Deprecation{ID: d.GetID(), Message: d.GetMessage()}
		if last := d.GetLastOccurrence(); last != nil {
			x.Last = last.AsTime().Truncate(time.Second)
		}
		out = append(out, x)
	}
	return out, nil
}
