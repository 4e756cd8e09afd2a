package agentbin

import (
	"bytes"
	"compress/gzip"
	"errors"
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
