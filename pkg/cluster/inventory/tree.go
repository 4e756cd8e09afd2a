package inventory

import (
	"crypto/md5" //nolint:gosec // names objects, secures nothing
	"encoding/hex"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/workload"
)

// uid is an object's UID in a third of the memory; the zero value is nobody's.
type uid [16]byte

// shorten reads a UUID, and makes one of what isn't any: static pods have other UIDs, and so have objects of tests.
func shorten(u types.UID) uid {
	var out uid
	if u == "" {
		return out
	}
	if len(u) == 36 && u[8] == '-' && u[13] == '-' && u[18] == '-' && u[23] == '-' {
		s := string(u[:8] + u[9:13] + u[14:18] + u[19:23] + u[24:])
		if _, err := hex.Decode(out[:], []byte(s)); err == nil {
			return out
		}
	}
	return md5.Sum([]byte(u)) //nolint:gosec // see above
}

// tree knows what controls what.
type tree struct {
	// parents leads from an object to its controller; the zero UID where it has none.
	parents map[uid]uid
	// objects are those that something points to or that have a template, by their own name or by the reference's.
	objects map[uid]*controller
}

// controller is an object that controls others, or might.
type controller struct {
	object workload.Object
	// listed says that the object itself was read, not only a reference to it.
	listed bool
	// ignore is the object's annotation of that name.
	ignore string
	// selected says that the selector matches the object's own labels.
	selected bool
}

func newTree() *tree { return &tree{parents: map[uid]uid{}, objects: map[uid]*controller{}} }

// refer notes an object's controller and returns its UID; zero where there is none. A static pod's is its node, which doesn't count.
func (t *tree) refer(namespace string, refs []metav1.OwnerReference, w words) uid {
	for i := range refs {
		ref := &refs[i]
		if ref.Controller == nil || !*ref.Controller || ref.Kind == "Node" && ref.APIVersion == "v1" {
			continue
		}
		id := shorten(ref.UID)
		if t.objects[id] == nil {
			if _, known := t.parents[id]; !known {
				t.objects[id] = &controller{object: workload.Object{APIVersion: w.one(ref.APIVersion), Kind: w.one(ref.Kind), Namespace: w.one(namespace), Name: ref.Name}}
			}
		}
		return id
	}
	return uid{}
}

// top follows controllers up.
func (t *tree) top(id uid) uid {
	for range 32 { // references can be written by hand, in circles
		up, ok := t.parents[id]
		if !ok || up == (uid{}) {
			return id
		}
		id = up
	}
	return id
}

// words keeps one copy of strings that come again and again.
type words map[string]string

func (w words) one(s string) string {
	if known, ok := w[s]; ok {
		return known
	}
	if len(s) > 0 {
		w[s] = s
	}
	return s
}
