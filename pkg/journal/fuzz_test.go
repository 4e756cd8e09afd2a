package journal

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// FuzzDecodeRun: whatever stands in a record, it is refused or it is this run in a phase that there is; and what was
// accepted reads the same after it was written again.
func FuzzDecodeRun(f *testing.F) {
	const id = "r-0000000a"
	good, err := encode(v1alpha1.Run{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.KindRun, Format: v1alpha1.Format, ID: id, Phase: v1alpha1.PhaseApplied})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(`{"apiVersion":"kubectl-runtime/v1alpha1","kind":"Run","id":"r-0000000a","phase":"applied"}`))
	f.Add([]byte("{}"))
	f.Add(append(good, good...))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRun(id, data)
		if err != nil {
			return
		}
		if r.ID != id || !phaseKnown(r.Phase) {
			t.Fatalf("accepted %+v", r)
		}
		again, err := encode(r)
		if err != nil {
			t.Skip() // a time that JSON can't write
		}
		back, err := decodeRun(id, again)
		if err != nil {
			t.Fatalf("what was accepted can't be read again: %v", err)
		}
		x, _ := json.Marshal(r)
		y, _ := json.Marshal(back)
		if diff := cmp.Diff(string(x), string(y)); diff != "" {
			t.Fatalf("-first +second:\n%s", diff)
		}
	})
}

// FuzzProgress: lines have rising numbers above the one asked for, however the file was cut.
func FuzzProgress(f *testing.F) {
	f.Add([]byte("{\"seq\":1,\"step\":\"pull\"}\n{\"seq\":2}\n"), 0)
	f.Add([]byte("{\"seq\":1}\n{\"seq\":2,\"st"), 0)
	f.Add([]byte("\n\n{\"seq\":9223372036854775807}\n{\"seq\":3}\n"), 1)
	f.Fuzz(func(t *testing.T, data []byte, seq int) {
		last := seq
		for _, l := range parseProgress(data, seq) {
			if l.Seq <= last {
				t.Fatalf("line %d after %d", l.Seq, last)
			}
			last = l.Seq
		}
		if n := lastSeq(data); n < 0 {
			t.Fatalf("last is %d", n)
		}
	})
}
