//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// hostileImage is an archive of an image that does all that an image can do to what runs in it: preloads of the dynamic linker by a variable and
// by a file, other variables, volumes with programs of its own in the directories that are searched, a command, a user, a working
// directory. Whatever of it runs leaves a file at marks/WHAT, as seen by the container's process.
func hostileImage(t *testing.T, ref, arch, marks string) []byte {
	t.Helper()
	files := map[string][]byte{
		"evil/by-variable.so": preload(marks + "/by-variable"),
		"evil/by-file.so":     preload(marks + "/by-file"),
		"etc/ld.so.preload":   []byte("/evil/by-file.so\n"),
		"evil/rc":             []byte("echo x >" + marks + "/by-rc\n"),
		"entry":               []byte("#!/bin/sh\necho x >" + marks + "/by-entrypoint\n"),
	}
	volumes := map[string]struct{}{}
	for _, dir := range []string{"usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin"} {
		volumes["/"+dir] = struct{}{}
		for _, program := range []string{"sh", "env", "nsenter", "sleep", "timeout", "mkdir", "rmdir", "sha256sum", "gzip", "cat", "find"} {
			files[dir+"/"+program] = []byte("#!/bin/sh\necho x >" + marks + "/by-volume\n")
		}
	}
	layer := archive(t, files)
	layerSum := fmt.Sprintf("%x", sha256.Sum256(layer))
	config := document(t, map[string]any{
		"architecture": arch, "os": "linux", "created": "1970-01-01T00:00:00Z",
		"config": map[string]any{
			"Env": []string{
				"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LD_PRELOAD=/evil/by-variable.so", "BASH_ENV=/evil/rc", "ENV=/evil/rc",
				"LD_LIBRARY_PATH=/evil", "HOME=/evil", "BASH_FUNC_mkdir%%=() { echo x >" + marks + "/by-function; }",
			},
			"Entrypoint": []string{"/entry"}, "Cmd": []string{"x"}, "User": "65534", "WorkingDir": "/evil", "StopSignal": "SIGCONT",
			"Volumes": volumes, "Labels": map[string]string{"app.kubernetes.io/managed-by": "kubectl-runtime"},
			"Healthcheck": map[string]any{"Test": []string{"CMD", "/entry"}, "Interval": 1_000_000_000},
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + layerSum}},
	})
	name := fmt.Sprintf("%x.json", sha256.Sum256(config))
	return archive(t, map[string][]byte{
		"layer.tar": layer, name: config,
		"manifest.json": document(t, []any{map[string]any{"Config": name, "RepoTags": []string{ref}, "Layers": []string{"layer.tar"}}}),
	})
}

// archive is a tar archive of programs.
func archive(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: int64(len(files[name]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func document(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// preload is a shared object for amd64 that makes an empty file when a program is started with it. There is no compiler where these tests
// run, and what it does is four instructions: a header, one segment, what the linker wants to know, and those.
func preload(path string) []byte {
	const (
		headers = 64 + 2*56
		dynamic = 8 * 16
		code    = headers + dynamic
		text    = code + 20
	)
	all := uint64(text + len(path) + 1)
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			_ = binary.Write(&b, binary.LittleEndian, v) // to memory
		}
	}
	// The ELF header: 64 bits, little endian, a shared object for x86-64.
	put([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"), uint16(3), uint16(62), uint32(1), uint64(0), uint64(64), uint64(0), uint32(0),
		uint16(64), uint16(56), uint16(2), uint16(64), uint16(0), uint16(0))
	// Everything is loaded to be read, run and written; in it is the dynamic section.
	put(uint32(1), uint32(7), uint64(0), uint64(0), uint64(0), all, all, uint64(0x1000))
	put(uint32(2), uint32(6), uint64(headers), uint64(headers), uint64(headers), uint64(dynamic), uint64(dynamic), uint64(8))
	// DT_INIT, then tables that have to be there: strings, symbols, their sizes. They hold nothing, and stand at any place.
	put(uint64(12), uint64(code), uint64(5), all-1, uint64(10), uint64(1), uint64(6), uint64(headers), uint64(11), uint64(24), uint64(0), uint64(0), uint64(0), uint64(0), uint64(0), uint64(0))
	// lea rdi, [rip+13]; mov esi, 0600; mov eax, creat; syscall; ret
	b.WriteString("\x48\x8d\x3d\x0d\x00\x00\x00\xbe\x80\x01\x00\x00\xb8\x55\x00\x00\x00\x0f\x05\xc3")
	b.WriteString(path + "\x00")
	return b.Bytes()
}
