//go:build linux

package host

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Names by which a layer's archive says that something below is gone (OCI image specification, layer.md).
const (
	whiteout       = ".wh."
	opaqueWhiteout = ".wh..wh..opq"
)

// writeLayer writes an unpacked overlay layer as an archive, the same bytes each time, and returns their number.
func writeLayer(ctx context.Context, w io.Writer, dir string) (int64, error) {
	count := &counter{w: w}
	l := layerWriter{ctx: ctx, dir: dir, out: tar.NewWriter(count), first: map[[2]uint64]string{}}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil || rel == "." {
			return err
		}
		return l.entry(p, rel)
	})
	if err != nil {
		return 0, fmt.Errorf("reading the layer at %s: %w", dir, err)
	}
	if err := l.out.Close(); err != nil {
		return 0, err
	}
	return count.n, nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

type layerWriter struct {
	ctx context.Context
	dir string
	out *tar.Writer
	// first is where a file with several names was first written.
	first map[[2]uint64]string
}

func (l layerWriter) entry(p, rel string) error {
	var st unix.Stat_t
	if err := unix.Lstat(p, &st); err != nil {
		return err
	}
	kind := st.Mode & unix.S_IFMT
	if kind == unix.S_IFCHR && st.Rdev == 0 {
		return l.out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path.Join(path.Dir(rel), whiteout+path.Base(rel)), Format: tar.FormatPAX})
	}
	h := &tar.Header{
		Name: rel, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid),
		ModTime: time.Unix(st.Mtim.Unix()), Format: tar.FormatPAX,
	}
	xattrs, opaque, err := l.xattrs(p)
	if err != nil {
		return err
	}
	h.PAXRecords = xattrs
	switch kind {
	case unix.S_IFDIR:
		h.Typeflag, h.Name = tar.TypeDir, rel+"/"
		if err := l.out.WriteHeader(h); err != nil || !opaque {
			return err
		}
		return l.out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path.Join(rel, opaqueWhiteout), Format: tar.FormatPAX})
	case unix.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = os.Readlink(p); err != nil {
			return err
		}
	case unix.S_IFCHR, unix.S_IFBLK:
		h.Typeflag = tar.TypeChar
		if kind == unix.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
		h.Devmajor, h.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case unix.S_IFREG:
		return l.regular(p, rel, h, st)
	default:
		return nil // a socket can't be in an image
	}
	return l.out.WriteHeader(h)
}

func (l layerWriter) regular(p, rel string, h *tar.Header, st unix.Stat_t) error {
	if st.Nlink > 1 {
		id := [2]uint64{st.Dev, st.Ino}
		if first, seen := l.first[id]; seen {
			h.Typeflag, h.Linkname = tar.TypeLink, first
			return l.out.WriteHeader(h)
		}
		l.first[id] = rel
	}
	h.Typeflag, h.Size = tar.TypeReg, st.Size
	if err := l.out.WriteHeader(h); err != nil {
		return err
	}
	f, err := os.OpenFile(p, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(l.out, f)
	return err
}

// xattrs are those that belong to the image. The overlay's own say what an archive says otherwise.
func (l layerWriter) xattrs(p string) (records map[string]string, opaque bool, err error) {
	size, err := unix.Llistxattr(p, nil)
	if unsupported(err) || size == 0 && err == nil {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	list := make([]byte, size)
	if size, err = unix.Llistxattr(p, list); err != nil {
		return nil, false, err
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(list[:size]), "\x00"), "\x00") {
		switch {
		case name == "trusted.overlay.opaque":
			opaque = true
		case name == "trusted.overlay.redirect", name == "trusted.overlay.metacopy":
			return nil, false, fmt.Errorf("%s isn't whole: it has %s", p, name)
		case name == "security.capability", strings.HasPrefix(name, "user."):
			value, err := readXattr(p, name)
			if err != nil {
				return nil, false, err
			}
			if records == nil {
				records = map[string]string{}
			}
			records["SCHILY.xattr."+name] = string(value)
		}
	}
	return records, opaque, nil
}
