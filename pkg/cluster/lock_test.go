package cluster

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
)

var lockedNode = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "w1", UID: "node-uid"}}

func quietly(string) {}

func lease(api *apitest.Server) *coordinationv1.Lease {
	var x coordinationv1.Lease
	if !api.Get("coordination.k8s.io/leases", LockNamespace, LockName("w1"), &x) {
		return nil
	}
	return &x
}

func TestLock(t *testing.T) {
	api := apitest.New(t)
	l, err := Acquire(t.Context(), api.Client(), lockedNode, "ana@laptop/r-1", quietly)
	if err != nil {
		t.Fatal(err)
	}
	x := lease(api)
	if x == nil || holderOf(x) != "ana@laptop/r-1" || *x.Spec.LeaseDurationSeconds != 60 || len(x.OwnerReferences) != 1 || x.OwnerReferences[0].UID != "node-uid" {
		t.Errorf("got %+v", x)
	}
	_, err = Acquire(t.Context(), api.Client(), lockedNode, "bob@desk/r-2", quietly)
	if locked, ok := errors.AsType[*LockedError](err); !ok || locked.Holder != "ana@laptop/r-1" {
		t.Errorf("a second one: %v", err)
	}
	if err := l.NoteCordon(t.Context(), true); err != nil || lease(api).Annotations[cordonedAnnotation] == "" {
		t.Errorf("noting the cordon: %v", err)
	}
	locks, err := Locks(t.Context(), api.Client())
	if err != nil || len(locks) != 1 || locks["w1"].Holder != "ana@laptop/r-1" {
		t.Errorf("locks: %v, %v", locks, err)
	}
	if err := l.Release(t.Context()); err != nil || lease(api) != nil {
		t.Errorf("release: %v", err)
	}
}

// TestTenAtOnce lets ten operators take one node at the same moment.
func TestTenAtOnce(t *testing.T) {
	api := apitest.New(t)
	var won []*Lock
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			l, err := Acquire(t.Context(), api.Client(), lockedNode, fmt.Sprintf("op-%d@x/r", i), quietly)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, l)
			} else if _, locked := errors.AsType[*LockedError](err); !locked {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Fatalf("%d have the node", len(won))
	}
	if err := won[0].Release(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTakeOver(t *testing.T) {
	const quiet = 50 * time.Millisecond
	// A plugin died two minutes ago; it had cordoned the node.
	dead := func(t *testing.T) (*apitest.Server, *Lock) {
		api := apitest.New(t)
		past := func() time.Time { return time.Now().Add(-2 * time.Minute) }
		l, err := acquire(t.Context(), api.Client(), lockedNode, "ana@laptop/r-1", quietly, past, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.NoteCordon(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		return api, l
	}
	t.Run("of a dead holder", func(t *testing.T) {
		api, old := dead(t)
		var told []string
		l, err := acquire(t.Context(), api.Client(), lockedNode, "bob@desk/r-2", func(s string) { told = append(told, s) }, time.Now, quiet)
		if err != nil {
			t.Fatal(err)
		}
		if l.Inherited != "ana@laptop/r-1" || !l.Cordoned || len(told) != 1 || !strings.Contains(told[0], "ana@laptop/r-1") {
			t.Errorf("got %q, %v, told %q", l.Inherited, l.Cordoned, told)
		}
		// The dead one comes back: the Lease isn't its any more, and it doesn't take the other's away.
		if err := old.NoteCordon(t.Context(), false); !errors.Is(err, ErrLockLost) {
			t.Errorf("the old holder: %v", err)
		}
		if err := old.Release(t.Context()); err != nil || lease(api) == nil {
			t.Errorf("the old holder's release: %v, %v", err, lease(api))
		}
		if lease(api).Annotations[cordonedAnnotation] == "" {
			t.Error("the duty to uncordon was lost")
		}
		if err := l.Release(t.Context()); err != nil || lease(api) != nil {
			t.Errorf("release: %v", err)
		}
	})
	t.Run("of a holder whose clock is behind", func(t *testing.T) {
		api, old := dead(t)
		renewed := make(chan error, 1)
		report := func(string) {
			renewed <- old.update(t.Context(), func(x *coordinationv1.Lease) { x.Spec.RenewTime = new(metav1.NewMicroTime(old.clock())) })
		}
		_, err := acquire(t.Context(), api.Client(), lockedNode, "bob@desk/r-2", report, time.Now, quiet)
		if _, locked := errors.AsType[*LockedError](err); !locked {
			t.Errorf("got %v", err)
		}
		if err := <-renewed; err != nil {
			t.Error(err)
		}
	})
}

// An answer that is lost makes the next change conflict with our own.
func TestLostAnswer(t *testing.T) {
	api := apitest.New(t)
	l, err := Acquire(t.Context(), api.Client(), lockedNode, "ana@laptop/r-1", quietly)
	if err != nil {
		t.Fatal(err)
	}
	stored := lease(api)
	stored.Annotations = map[string]string{"changed": "by us, the answer was lost"}
	api.Put("coordination.k8s.io/leases", stored)
	if err := l.NoteCordon(t.Context(), true); err != nil {
		t.Error(err)
	}
	stored = lease(api)
	stored.Annotations["changed"] = "again"
	api.Put("coordination.k8s.io/leases", stored)
	if err := l.Release(t.Context()); err != nil || lease(api) != nil {
		t.Errorf("release: %v, %v", err, lease(api))
	}
}

func TestReleaseWaitsForTheAPIServer(t *testing.T) {
	api := apitest.New(t)
	l, err := Acquire(t.Context(), api.Client(), lockedNode, "ana@laptop/r-1", quietly)
	if err != nil {
		t.Fatal(err)
	}
	failures := 2
	api.Before(func(string, *http.Request) error {
		if failures--; failures >= 0 {
			return errors.New("etcd is away")
		}
		return nil
	})
	if err := l.Release(t.Context()); err != nil || lease(api) != nil {
		t.Errorf("release: %v", err)
	}
}
