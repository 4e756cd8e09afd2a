package host

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestWriteLayer(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("whiteouts are devices, which only root makes")
	}
	dir := t.TempDir()
	in := func(p string) string { return filepath.Join(dir, p) }
	err := errors.Join(
		os.MkdirAll(in("opt/app"), 0o755),
		os.WriteFile(in("opt/app/run"), []byte("#!"), 0o755),
		os.Link(in("opt/app/run"), in("opt/app/same")),
		os.Symlink("/opt/app/run", in("link")),
		unix.Mknod(in("gone"), unix.S_IFCHR, 0),
		unix.Mkfifo(in("pipe"), 0o600),
		unix.Lsetxattr(in("opt/app"), "trusted.overlay.opaque", []byte("y"), 0),
		os.Lchown(in("opt/app/run"), 1000, 1001),
	)
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) {
		t.Skip("an overlay's marks can't be made here")
	}
	if err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	size, err := writeLayer(t.Context(), &first, dir)
	if err != nil || size != int64(first.Len()) {
		t.Fatalf("%d of %d bytes, %v", size, first.Len(), err)
	}
	if _, err := writeLayer(t.Context(), &second, dir); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Errorf("the second archive differs, %v", err)
	}
	type entry struct {
		Type byte
		Link string
		Text string
		UID  int
	}
	got := map[string]entry{}
	for r := tar.NewReader(&first); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name] = entry{h.Typeflag, h.Linkname, string(data), h.Uid}
	}
	want := map[string]entry{
		"opt/":                 {Type: tar.TypeDir},
		"opt/app/":             {Type: tar.TypeDir},
		"opt/app/.wh..wh..opq": {Type: tar.TypeReg},
		"opt/app/run":          {Type: tar.TypeReg, Text: "#!", UID: 1000},
		"opt/app/same":         {Type: tar.TypeLink, Link: "opt/app/run", UID: 1000},
		"link":                 {Type: tar.TypeSymlink, Link: "/opt/app/run"},
		".wh.gone":             {Type: tar.TypeReg},
		"pipe":                 {Type: tar.TypeFifo},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := unix.Lsetxattr(in("opt"), "trusted.overlay.redirect", []byte("/x"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := writeLayer(t.Context(), io.Discard, dir); err == nil {
		t.Error("a renamed directory was taken for a whole one")
	}
}
