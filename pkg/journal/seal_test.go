package journal_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/journal"
)

func TestSealer(t *testing.T) {
	n, j := newJournal(t)
	s, err := j.Sealer()
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("token: hunter2\n")
	sha, err := j.Put(text)
	if err != nil {
		t.Fatal(err)
	}
	digest := s.Seal(sha)
	if !strings.HasPrefix(digest, v1alpha1.Sealed) || strings.Contains(digest, sha) || s.Seal(digest) != digest || s.Seal("") != "" {
		t.Errorf("sealed: %q", digest)
	}
	again, err := j.Sealer()
	if err != nil || again.Seal(sha) != digest {
		t.Errorf("another seal the second time: %v", err)
	}
	_, other := newJournal(t)
	if foreign, err := other.Sealer(); err != nil || foreign.Seal(sha) == digest {
		t.Errorf("another node seals alike: %v", err)
	}
	for _, d := range []string{sha, digest} {
		if !s.Matches(d, text) || s.Matches(d, []byte("token: hunter3\n")) || s.Matches("", text) {
			t.Errorf("%s doesn't tell the content", d)
		}
		if got, err := j.Unseal(s, d); err != nil || got != sha {
			t.Errorf("unsealed %q, %v", got, err)
		}
	}
	if got, err := j.Unseal(s, s.Seal(journal.Digest([]byte("x")))); err == nil {
		t.Errorf("a content that isn't kept was found: %s", got)
	}
	if f, err := n.Machine().Files.Lstat(journal.Dir + "/key"); err != nil || f.Mode != 0o600 {
		t.Errorf("the key has mode %o, %v", f.Mode, err)
	}
	n.Write(journal.Dir+"/key", "short")
	if _, err := j.Sealer(); !errors.As(err, new(*journal.CorruptError)) {
		t.Errorf("a key that was cut off: %v", err)
	}
}

// TestContentErrors: an error about a content leaves the node, and the content's digest must not.
func TestContentErrors(t *testing.T) {
	n, j := newJournal(t)
	sha, err := j.Put([]byte("token: hunter2\n"))
	if err != nil {
		t.Fatal(err)
	}
	n.Write(journal.Dir+"/blobs/"+sha, "token: other\n")
	_, damaged := j.Blob(sha)
	n.Remove(journal.Dir + "/blobs/" + sha)
	_, absent := j.Blob(sha)
	n.Fault(func(string) error { return errors.New("no space left on device") })
	_, full := j.Put([]byte("token: hunter2\n"))
	for _, err := range []error{damaged, absent, full} {
		if err == nil || strings.Contains(err.Error(), sha[:8]) {
			t.Errorf("%v", err)
		}
	}
}
