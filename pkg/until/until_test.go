package until

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

func pod(uid, rv string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: uid, UID: types.UID(uid), ResourceVersion: rv}}
}

// script is an API server that answers lists and watches in the order given; a call beyond its script fails the test.
type script struct {
	t       *testing.T
	lists   []func() ([]*corev1.Pod, string, error)
	watches []func(rv string) (watch.Interface, error)
}

func (s *script) source() Source[*corev1.Pod] {
	return Source[*corev1.Pod]{
		List: func(_ context.Context, _ metav1.ListOptions) ([]*corev1.Pod, string, error) {
			if len(s.lists) == 0 {
				s.t.Error("unexpected list")
				return nil, "", errors.New("unexpected list")
			}
			f := s.lists[0]
			s.lists = s.lists[1:]
			return f()
		},
		Watch: func(_ context.Context, o metav1.ListOptions) (watch.Interface, error) {
			if len(s.watches) == 0 {
				s.t.Error("unexpected watch")
				return nil, errors.New("unexpected watch")
			}
			f := s.watches[0]
			s.watches = s.watches[1:]
			return f(o.ResourceVersion)
		},
	}
}

func list(rv string, pods ...*corev1.Pod) func() ([]*corev1.Pod, string, error) {
	return func() ([]*corev1.Pod, string, error) { return pods, rv, nil }
}

func (s *script) follow(wantRV string, events ...watch.Event) func(string) (watch.Interface, error) {
	return func(rv string) (watch.Interface, error) {
		if rv != wantRV {
			s.t.Errorf("watch from %q, want %q", rv, wantRV)
		}
		w := watch.NewFakeWithChanSize(len(events)+1, false)
		for _, e := range events {
			w.Action(e.Type, e.Object)
		}
		w.Stop() // a watch that ends after what it had to say
		return w, nil
	}
}

func TestSetSurvivesWhatHappensToWatches(t *testing.T) {
	s := &script{t: t}
	expired := apierrors.NewResourceExpired("too old")
	s.lists = []func() ([]*corev1.Pod, string, error){
		list("10", pod("a", "9")),
		func() ([]*corev1.Pod, string, error) { return nil, "", errors.New("connection refused") },
		list("30", pod("a", "9"), pod("b", "25")),
	}
	s.watches = []func(string) (watch.Interface, error){
		s.follow("10", watch.Event{Type: watch.Modified, Object: pod("a", "11")}, watch.Event{Type: watch.Bookmark, Object: pod("", "15")}),
		func(string) (watch.Interface, error) { return nil, errors.New("connection refused") },
		s.follow("15", watch.Event{Type: watch.Error, Object: &expired.ErrStatus}),
		s.follow("30", watch.Event{Type: watch.Deleted, Object: pod("a", "31")}),
	}
	var sizes []int
	err := Set(context.Background(), s.source(), func(items map[types.UID]*corev1.Pod) (bool, error) {
		sizes = append(sizes, len(items))
		_, b := items["b"]
		return b && len(items) == 1, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(sizes) != 4 {
		t.Errorf("done saw sets of sizes %v, want 4 of them", sizes)
	}
	if len(s.lists)+len(s.watches) != 0 {
		t.Errorf("%d lists and %d watches were not asked for", len(s.lists), len(s.watches))
	}
}

func TestSetEnds(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "", errors.New("no"))
	boom := errors.New("boom")
	never := func(map[types.UID]*corev1.Pod) (bool, error) { return false, nil }

	t.Run("a refused first list", func(t *testing.T) {
		s := &script{t: t, lists: []func() ([]*corev1.Pod, string, error){
			func() ([]*corev1.Pod, string, error) { return nil, "", forbidden },
		}}
		if err := Set(context.Background(), s.source(), never); !apierrors.IsForbidden(err) {
			t.Errorf("got %v, want forbidden", err)
		}
	})
	t.Run("an error of done", func(t *testing.T) {
		s := &script{t: t, lists: []func() ([]*corev1.Pod, string, error){list("1")}}
		err := Set(context.Background(), s.source(), func(map[types.UID]*corev1.Pod) (bool, error) { return false, boom })
		if !errors.Is(err, boom) {
			t.Errorf("got %v, want boom", err)
		}
	})
	t.Run("what is known needs no list", func(t *testing.T) {
		s := &script{t: t}
		src := s.source()
		src.Known, src.At = []*corev1.Pod{pod("a", "1")}, "1"
		err := Set(context.Background(), src, func(items map[types.UID]*corev1.Pod) (bool, error) { return len(items) == 1, nil })
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("the context, with the last failure", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		src := Source[*corev1.Pod]{List: func(context.Context, metav1.ListOptions) ([]*corev1.Pod, string, error) {
			return nil, "", errors.New("connection refused")
		}}
		err := Set(ctx, src, never)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("got %v", err)
		}
	})
}
