//go:build e2e

package photo

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// The kubelet's directory is photographed one level deep: below are the pods' own volumes and sockets.
const filesScript = `
cd /
shopt -s nullglob
set +e
tar --create --file=- --format=pax --numeric-owner --xattrs '--xattrs-include=*' --warning=none \
	etc --no-recursion var/lib/kubelet var/lib/kubelet/*
rc=$?
# 1: a file changed while it was read; the next photograph sees it settled.
[ $rc -le 1 ]
`

// takeFiles sees all of /etc and the kubelet's own files: content, mode, owner, link target and extended attributes.
func takeFiles(ctx context.Context, m Machine, _ *tenants, p *Photo) error {
	out, err := m.Run(ctx, filesScript)
	if err != nil {
		return err
	}
	archive := tar.NewReader(bytes.NewReader(out))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		what, err := describe(header, archive)
		if err != nil {
			return err
		}
		p.set("file", "/"+strings.TrimSuffix(header.Name, "/"), what)
	}
	out, err = m.Run(ctx, `[ ! -e /var/lib/kubectl-runtime ] || (cd /var/lib/kubectl-runtime && find . -printf '%P\t%y %m %U:%G\n')`)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(out)) {
		name, what, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if name == "" {
			name = "."
		}
		p.set("ours", name, what)
	}
	return nil
}

func describe(header *tar.Header, content io.Reader) (string, error) {
	what := fmt.Sprintf("%04o %d:%d", header.Mode&0o7777, header.Uid, header.Gid)
	switch header.Typeflag {
	case tar.TypeReg:
		sum := sha256.New()
		if _, err := io.Copy(sum, content); err != nil {
			return "", err
		}
		what += fmt.Sprintf(" sha256:%x", sum.Sum(nil))
	case tar.TypeLink:
		what += " hard link to /" + header.Linkname
	case tar.TypeSymlink:
		// A link's own mode means nothing.
		what = fmt.Sprintf("%d:%d -> %s", header.Uid, header.Gid, header.Linkname)
	case tar.TypeDir:
		what += " directory"
	default:
		what += fmt.Sprintf(" type %c", header.Typeflag)
	}
	for _, key := range slices.Sorted(maps.Keys(header.PAXRecords)) {
		if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
			what += fmt.Sprintf(" %s=%x", name, header.PAXRecords[key])
		}
	}
	return what, nil
}
