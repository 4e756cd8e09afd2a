package until

import (
	"context"
	"errors"
	"net"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// Try makes a request that may be made twice, and makes it again while the API server is away, until ctx ends. What the
// API server answers is returned as it is.
func Try(ctx context.Context, request func(context.Context) error) error {
	pause := firstPause
	for {
		err := request(ctx)
		if err == nil || !Away(err) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		pause = min(pause*2, longPause)
	}
}

// Away reports whether an error says that the API server could not be asked, or asked to come back.
func Away(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsServiceUnavailable(err) ||
			apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err)
	}
	var network net.Error
	return errors.As(err, &network) || utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err)
}
