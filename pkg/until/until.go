// Package until waits for a condition on objects of the API server by one list and one watch, and survives what
// happens to watches: they end, expire, and the API server goes away in the middle.
//
// It imports nothing of this project.
package until

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// Object is what can be waited for: a typed API object.
type Object interface {
	runtime.Object
	metav1.Object
}

// Source reads a set of objects. Both functions get the selectors that the caller closed over, and the options that
// the wait adds to them.
type Source[T Object] struct {
	// List returns the set and the resource version it was read at.
	List func(ctx context.Context, o metav1.ListOptions) (items []T, resourceVersion string, err error)
	// Watch follows it.
	Watch func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error)
	// Patient asks again even if the very first list is refused: an API server that comes back refuses for a moment what
	// it allowed before.
	Patient bool
	// Known and At spare the first list where the set was just read or written.
	Known []T
	At    string
}

const (
	firstPause = 200 * time.Millisecond
	longPause  = 3 * time.Second
)

// Set calls done with the current set, first as listed and then after every change, until it returns true or an error.
// An API server that fails or refuses in the middle is asked again; one that refuses the very first list ends the wait.
// When ctx ends, the error holds its cause and the last failure.
func Set[T Object](ctx context.Context, src Source[T], done func(items map[types.UID]T) (bool, error)) error {
	w := waiter[T]{src: src, done: done, at: src.At, answered: src.At != "" || src.Patient}
	if w.at != "" {
		w.fill(src.Known)
		if ok, err := done(w.items); ok || err != nil {
			return err
		}
	}
	pause := firstPause
	for {
		before := w.progress
		end, err := w.round(ctx)
		if end {
			return err
		}
		if w.progress != before {
			pause = firstPause
		}
		if !w.sleep(ctx, pause) {
			return w.ended(ctx)
		}
		pause = min(pause*2, longPause)
	}
}

type waiter[T Object] struct {
	src      Source[T]
	done     func(map[types.UID]T) (bool, error)
	items    map[types.UID]T
	at       string
	answered bool
	progress int
	last     error
}

func (w *waiter[T]) fill(items []T) {
	w.items = make(map[types.UID]T, len(items))
	for _, x := range items {
		w.items[x.GetUID()] = x
	}
}

// round lists where that is needed and follows one watch to its end.
func (w *waiter[T]) round(ctx context.Context) (end bool, err error) {
	if w.at == "" {
		items, rv, err := w.src.List(ctx, metav1.ListOptions{})
		if err != nil {
			w.last = err
			if !w.answered && refused(err) {
				return true, err
			}
			return ctx.Err() != nil, w.ended(ctx)
		}
		w.answered = true
		w.progress++
		w.at = rv
		w.fill(items)
		if ok, err := w.done(w.items); ok || err != nil {
			return true, err
		}
	}
	follow, err := w.src.Watch(ctx, metav1.ListOptions{ResourceVersion: w.at, AllowWatchBookmarks: true})
	if err != nil {
		w.failed(err)
		return ctx.Err() != nil, w.ended(ctx)
	}
	defer follow.Stop()
	for {
		select {
		case <-ctx.Done():
			return true, w.ended(ctx)
		case e, open := <-follow.ResultChan():
			if !open {
				return false, nil
			}
			if end, err := w.event(e); end {
				return true, err
			} else if err != nil {
				return false, nil
			}
		}
	}
}

// event takes one event in; an error without end means that the watch is of no more use.
func (w *waiter[T]) event(e watch.Event) (end bool, err error) {
	if e.Type == watch.Error {
		err := apierrors.FromObject(e.Object)
		w.failed(err)
		return false, err
	}
	x, ok := e.Object.(T)
	if !ok {
		return true, fmt.Errorf("watch sent an unexpected %T", e.Object)
	}
	w.progress++
	if rv := x.GetResourceVersion(); rv != "" {
		w.at = rv
	}
	switch e.Type {
	case watch.Added, watch.Modified:
		w.items[x.GetUID()] = x
	case watch.Deleted:
		delete(w.items, x.GetUID())
	default:
		return false, nil
	}
	ok, err = w.done(w.items)
	return ok || err != nil, err
}

// failed remembers a watch's failure; one that lost its place lists again.
func (w *waiter[T]) failed(err error) {
	w.last = err
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		w.at = ""
	}
}

func (w *waiter[T]) sleep(ctx context.Context, pause time.Duration) bool {
	// A little chance keeps many waits from returning to a restarted API server at the same moment.
	t := time.NewTimer(pause + rand.N(pause/4+1))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (w *waiter[T]) ended(ctx context.Context) error {
	err := context.Cause(ctx)
	if err == nil || w.last == nil || errors.Is(w.last, err) {
		return err
	}
	return fmt.Errorf("%w (last answer of the API server: %w)", err, w.last)
}

// refused reports whether asking again can't help.
func refused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) || apierrors.IsNotFound(err) || apierrors.IsBadRequest(err)
}
