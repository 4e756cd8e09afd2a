package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// testFiles may write below one directory.
func testFiles(t *testing.T) (linuxFiles, string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return newFiles([]v1alpha1.WritablePath{{Root: dir, Made: true}}), dir
}

func regular(mode uint32) v1alpha1.FileState {
	return v1alpha1.FileState{Type: v1alpha1.Regular, Mode: mode, UID: os.Getuid(), GID: os.Getgid()}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	list, err := linuxFiles{}.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestPutRegular(t *testing.T) {
	files, dir := testFiles(t)
	p := filepath.Join(dir, "a.conf")
	for _, c := range []struct {
		text string
		mode uint32
	}{{"first", 0o600}, {"second, longer", 0o644}, {"", 0o4755}} {
		if err := files.Put(p, regular(c.mode), []byte(c.text)); err != nil {
			t.Fatal(err)
		}
		got, err := files.Lstat(p)
		if err != nil {
			t.Fatal(err)
		}
		if got.Type != v1alpha1.Regular || got.Mode != c.mode || got.Size != int64(len(c.text)) {
			t.Errorf("got %+v", got)
		}
		data, err := files.Read(p, 100)
		if err != nil || string(data) != c.text {
			t.Errorf("read %q, %v", data, err)
		}
	}
	if diff := cmp.Diff([]string{"a.conf"}, names(t, dir)); diff != "" {
		t.Errorf("left behind: %s", diff)
	}
}

func TestPutKeepsOwnerAndXattrs(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	files, dir := testFiles(t)
	p := filepath.Join(dir, "a")
	want := v1alpha1.FileState{Type: v1alpha1.Regular, Mode: 0o2750, UID: 12, GID: 34, Xattrs: map[string][]byte{"user.note": []byte("x\x00y")}}
	err := files.Put(p, want, []byte("text"))
	if errors.Is(err, unix.ENOTSUP) {
		t.Skip("no extended attributes here")
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := files.Lstat(p)
	if err != nil {
		t.Fatal(err)
	}
	have := v1alpha1.FileState{Type: got.Type, Mode: got.Mode, UID: got.UID, GID: got.GID, Xattrs: got.Xattrs}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}
}

func TestPutLinksAndDirectories(t *testing.T) {
	files, dir := testFiles(t)
	d, l := filepath.Join(dir, "d"), filepath.Join(dir, "d", "link")
	owned := func(s v1alpha1.FileState) v1alpha1.FileState {
		s.UID, s.GID = os.Getuid(), os.Getgid()
		return s
	}
	for _, step := range []struct {
		path string
		want v1alpha1.FileState
	}{
		{d, v1alpha1.FileState{Type: v1alpha1.Directory, Mode: 0o755}},
		{d, v1alpha1.FileState{Type: v1alpha1.Directory, Mode: 0o700}},
		{l, v1alpha1.FileState{Type: v1alpha1.Symlink, Target: "/nowhere/else"}},
		{l, v1alpha1.FileState{Type: v1alpha1.Symlink, Target: "../other"}},
	} {
		if err := files.Put(step.path, owned(step.want), nil); err != nil {
			t.Fatal(err)
		}
		got, err := files.Lstat(step.path)
		if err != nil {
			t.Fatal(err)
		}
		if got.Type != step.want.Type || got.Target != step.want.Target || step.want.Mode != 0 && got.Mode != step.want.Mode {
			t.Errorf("got %+v", got)
		}
	}
	// A directory that isn't empty stays and is no error.
	absent := v1alpha1.FileState{Type: v1alpha1.Absent}
	for _, p := range []string{d, l, d, d, filepath.Join(d, "deep", "er")} {
		if err := files.Put(p, absent, nil); err != nil {
			t.Fatal(err)
		}
		if p == d {
			continue
		}
		if got, err := files.Lstat(p); err != nil || got.Type != v1alpha1.Absent {
			t.Errorf("%s is %s, %v", p, got.Type, err)
		}
	}
	if got, err := files.Lstat(d); err != nil || got.Type != v1alpha1.Absent {
		t.Errorf("%s is %s, %v", d, got.Type, err)
	}
}

func TestPutNeverFollowsTheLastLink(t *testing.T) {
	files, dir := testFiles(t)
	target, p := filepath.Join(t.TempDir(), "target"), filepath.Join(dir, "a")
	if err := errors.Join(os.WriteFile(target, []byte("theirs"), 0o600), os.Symlink(target, p)); err != nil {
		t.Fatal(err)
	}
	if err := files.Put(p, regular(0o600), []byte("ours")); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(target); string(data) != "theirs" {
		t.Errorf("the link's target became %q", data)
	}
	if info, err := os.Lstat(p); err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v %v", info, err)
	}
}

func TestPutRefuses(t *testing.T) {
	files, dir := testFiles(t)
	outside := t.TempDir()
	if err := errors.Join(
		os.Symlink(outside, filepath.Join(dir, "way-out")),
		os.Symlink("..", filepath.Join(dir, "up")),
		os.Mkdir(filepath.Join(dir, "in-the-way"), 0o700),
		os.WriteFile(filepath.Join(dir, "file"), nil, 0o600),
	); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, path string }{
		{"outside", filepath.Join(outside, "x")},
		{"through a link out of it", filepath.Join(dir, "way-out", "x")},
		{"through a link above it", filepath.Join(dir, "up", "x")},
		{"over a directory", filepath.Join(dir, "in-the-way")},
		{"without a parent", filepath.Join(dir, "missing", "x")},
		{"below a file", filepath.Join(dir, "file", "x")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := files.Put(c.path, regular(0o600), []byte("x")); err == nil {
				t.Error("written")
			}
			if left := names(t, outside); len(left) > 0 {
				t.Errorf("outside there is %v", left)
			}
		})
	}
	for _, name := range names(t, dir) {
		if strings.HasPrefix(name, tempPrefix) {
			t.Errorf("%s was left", name)
		}
	}
	err := files.Put(filepath.Join(dir, "file"), v1alpha1.FileState{Type: v1alpha1.Directory}, nil)
	if err == nil {
		t.Error("a directory was made of a file")
	}
}

// An operator may keep an allowlisted directory itself elsewhere, behind a link.
func TestPutFollowsTheAllowedDirectory(t *testing.T) {
	away, dir := t.TempDir(), t.TempDir()
	moved := filepath.Join(dir, "moved")
	if err := os.Symlink(away, moved); err != nil {
		t.Fatal(err)
	}
	files := newFiles([]v1alpha1.WritablePath{{Root: moved, Made: true}})
	if err := files.Put(filepath.Join(moved, "x"), regular(0o600), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(away, "x")); err != nil {
		t.Error(err)
	}
}

// TestPutLeavesNothing: what can't be written whole, as on a full disk, isn't left in part.
func TestPutLeavesNothing(t *testing.T) {
	_, dir := testFiles(t)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	w := writer{root: root, rel: "a.conf", temps: &temps{}}
	err = w.replace(regular(0o600), func(temp string) error {
		return errors.Join(w.create(temp, []byte("half of")), unix.ENOSPC)
	})
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v", err)
	}
	if left := names(t, dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestSweep(t *testing.T) {
	files, dir := testFiles(t)
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	sleep, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	another := filepath.Join(filepath.Dir(self), "another-agent")
	if err := os.WriteFile(another, sleep, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(another)
	agent := exec.Command(another, "60")
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = agent.Process.Kill()
		_ = agent.Wait()
	}()
	mine, its := fmt.Sprintf(".kubectl-runtime-%d-1", os.Getpid()), fmt.Sprintf(".kubectl-runtime-%d-1", agent.Process.Pid)
	// No process has the number 4999999: the kernel's limit is 4194304. 1 is somebody else's since a reboot.
	elsewhere := t.TempDir()
	for _, p := range []string{elsewhere + "/.kubectl-runtime-4999999-1", dir + "/.kubectl-runtime-4999999-1", sub + "/.kubectl-runtime-4999999-2", dir + "/.kubectl-runtime-1-1", dir + "/keep", dir + "/" + mine, dir + "/" + its} {
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := files.Sweep(filepath.Join(sub, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "missing", "c"), elsewhere+"/not-allowed"); err != nil {
		t.Fatal(err)
	}
	if left := names(t, elsewhere); len(left) != 1 {
		t.Errorf("in a directory that may not be written, left: %v", left)
	}
	want := []string{mine, its, "keep", "sub"}
	slices.Sort(want)
	if diff := cmp.Diff(want, names(t, dir)); diff != "" {
		t.Error(diff)
	}
	if left := names(t, sub); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestAppendAndLock(t *testing.T) {
	files, dir := testFiles(t)
	p := filepath.Join(dir, "log")
	if err := errors.Join(files.Append(p, []byte("a\n")), files.Append(p, []byte("b\n"))); err != nil {
		t.Fatal(err)
	}
	if data, err := files.Read(p, 10); err != nil || string(data) != "a\nb\n" {
		t.Errorf("%q %v", data, err)
	}
	unlock, err := files.Lock(filepath.Join(dir, "lock"), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.Lock(filepath.Join(dir, "lock"), false); !errors.Is(err, ErrLocked) {
		t.Errorf("a second lock: %v", err)
	}
	unlock()
	again, err := files.Lock(filepath.Join(dir, "lock"), true)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestRemoveAll(t *testing.T) {
	files, dir := testFiles(t)
	outside := filepath.Join(t.TempDir(), "keep")
	p := filepath.Join(dir, "a", "b")
	if err := errors.Join(os.MkdirAll(p, 0o700), os.WriteFile(outside, nil, 0o600), os.Symlink(filepath.Dir(outside), filepath.Join(p, "link"))); err != nil {
		t.Fatal(err)
	}
	if err := files.RemoveAll(filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
	if err := files.RemoveAll(filepath.Join(dir, "a")); err != nil {
		t.Errorf("removing what is gone: %v", err)
	}
	if err := files.RemoveAll(filepath.Dir(outside)); err == nil {
		t.Error("removed outside")
	}
}

func TestReadLimits(t *testing.T) {
	files, dir := testFiles(t)
	p := filepath.Join(dir, "a")
	if err := errors.Join(os.WriteFile(p, []byte("12345"), 0o600), unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Read(p, 4); err == nil {
		t.Error("read beyond the limit")
	}
	if _, err := files.Read(filepath.Join(dir, "pipe"), 4); err == nil {
		t.Error("read a pipe")
	}
	for _, gone := range []string{filepath.Join(dir, "b"), filepath.Join(p, "below")} {
		if _, err := files.Read(gone, 4); !errors.Is(err, ErrNotExist) {
			t.Errorf("%v", err)
		}
		if _, err := files.ReadDir(gone); !errors.Is(err, ErrNotExist) {
			t.Errorf("%v", err)
		}
	}
	fs, err := files.Filesystem(filepath.Join(dir, "not", "yet", "there"))
	if err != nil || fs.Bytes == 0 || fs.Device == "" || fs.FreeBytes > fs.Bytes {
		t.Errorf("%+v %v", fs, err)
	}
}

func TestLstatTypes(t *testing.T) {
	files, dir := testFiles(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	listen(t, "unix", at("socket"))
	if err := errors.Join(unix.Mkfifo(at("pipe"), 0o600), os.Mkdir(at("dir"), 0o700), os.Symlink("socket", at("link")), os.WriteFile(at("file"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	want := map[string]v1alpha1.FileType{
		"socket": v1alpha1.Socket, "pipe": otherType, "dir": v1alpha1.Directory, "link": v1alpha1.Symlink, "file": v1alpha1.Regular, "none": v1alpha1.Absent,
	}
	for name, kind := range want {
		if got, err := files.Lstat(at(name)); err != nil || got.Type != kind {
			t.Errorf("%s: %s, %v; want %s", name, got.Type, err, kind)
		}
	}
}
