package agentbin

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte("hello"))
	_ = w.Close()
	a, err := New("arm64", b.Bytes())
	if err != nil || a.SHA256 != "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" || a.Arch != "arm64" {
		t.Errorf("got %+v, %v", a, err)
	}
	if _, err := New("arm64", b.Bytes()[:12]); err == nil {
		t.Error("took half an agent")
	}
}

func TestOpenWhatIsMissing(t *testing.T) {
	_, err := Open("riscv64")
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "this build carries no agent for linux/riscv64") {
		t.Errorf("got %v", err)
	}
}

// TestCarried holds the digest that a build carries against what it unpacks to. A build without agents has none.
func TestCarried(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		a, err := Open(arch)
		if errors.Is(err, ErrMissing) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		r, err := gzip.NewReader(bytes.NewReader(a.Gzip))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		if _, err := io.Copy(sum, r); err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != a.SHA256 {
			t.Errorf("the agent for %s is %s, and is said to be %s", arch, got, a.SHA256)
		}
	}
}
