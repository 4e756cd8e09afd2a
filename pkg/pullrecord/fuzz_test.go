package pullrecord_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/pullrecord"
)

// FuzzDue: whatever stands in the record of an image, the target's image gets a record, it is that image's, and it lets in nobody whom
// the first doesn't name.
func FuzzDue(f *testing.F) {
	for _, seed := range []string{
		string(mapped(old, "s")), "", "{", "null", "[]", `{"imageRef":null}`, `{"kind":"ImagePulledRecord","imageRef":"sha256:aa"}`,
		`{"kind":"ImagePulledRecord","imageRef":"x","imageRef":"sha256:aa","credentialMapping":{"a":{"nodePodsAccessible":true}}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		now := map[string][]byte{pullrecord.PathOf(old): []byte(data)}
		added := pullrecord.Due([]pullrecord.Image{{ID: id, Sources: []string{old}}}, now, nil, "1.35.0", time.Time{})
		var got struct {
			Kind, ImageRef    string
			CredentialMapping json.RawMessage
		}
		if err := json.Unmarshal(added[idFile], &got); err != nil || len(added) != 1 {
			t.Fatalf("added %q: %v", added, err)
		}
		if got.Kind != "ImagePulledRecord" || got.ImageRef != id {
			t.Errorf("added %s", added[idFile])
		}
		var was struct{ CredentialMapping json.RawMessage }
		if err := json.Unmarshal([]byte(data), &was); err != nil && len(got.CredentialMapping) > 0 {
			t.Errorf("%s came out of %q", got.CredentialMapping, data)
		}
	})
}
