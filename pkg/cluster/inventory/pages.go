package inventory

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pageSize is kubectl's.
const pageSize = 500

// lister lists one page.
type lister[L any] func(ctx context.Context, o metav1.ListOptions) (L, error)

// pages lists all pages and gives each to take, which must keep nothing of it but what it copies. The next page comes in while one
// is taken.
//
// A list that takes longer than the API server keeps its version goes on at the newest one, as the server offers: an object may
// then be missed or come twice, but nothing starts again.
func pages[L metav1.ListInterface](ctx context.Context, list lister[L], take func(L)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type page struct {
		list L
		err  error
	}
	next := make(chan page)
	go func() {
		defer close(next)
		o := metav1.ListOptions{Limit: pageSize}
		for more := true; more; {
			l, err := list(ctx, o)
			if token, expired := inconsistent(err); expired && o.Continue != "" && token != o.Continue {
				o.Continue = token
				continue
			}
			if err == nil {
				o.Continue = l.GetContinue()
			}
			more = err == nil && o.Continue != ""
			select {
			case next <- page{l, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	for p := range next {
		if p.err != nil {
			return p.err
		}
		take(p.list)
	}
	return ctx.Err()
}

// inconsistent returns the token by which an expired list goes on.
func inconsistent(err error) (token string, ok bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsResourceExpired(err) {
		return "", false
	}
	token = status.Status().Continue
	return token, token != ""
}
