package host

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// TestClearSocket: sockets and links to them stay, an empty directory goes, all else is kept under another name.
func TestClearSocket(t *testing.T) {
	dir := t.TempDir()
	listen := func(name string) string {
		p := filepath.Join(dir, name)
		l, err := net.Listen("unix", p)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return p
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	socket := listen("a.sock")
	at := func(name string) string { return filepath.Join(dir, name) }
	must(os.Symlink(socket, at("link.sock")))
	must(os.Symlink(at("nowhere"), at("dangling.sock")))
	must(os.Mkdir(at("empty.sock"), 0o755))
	must(os.MkdirAll(at("full.sock/x"), 0o755))
	must(os.WriteFile(at("file.sock"), []byte("mine"), 0o600))
	must(unix.Mkfifo(at("fifo.sock"), 0o600))
	for name, want := range map[string]struct {
		found v1alpha1.FileType
		aside bool
	}{
		"a.sock": {}, "link.sock": {}, "absent.sock": {}, "missing/b.sock": {},
		"empty.sock":    {found: v1alpha1.Directory},
		"full.sock":     {found: v1alpha1.Directory, aside: true},
		"file.sock":     {found: v1alpha1.Regular, aside: true},
		"fifo.sock":     {found: otherType, aside: true},
		"dangling.sock": {found: v1alpha1.Symlink, aside: true},
	} {
		found, aside, err := linuxFiles{}.ClearSocket(at(name))
		if err != nil || found != want.found || (aside != "") != want.aside {
			t.Errorf("%s: %q, %q, %v", name, found, aside, err)
		}
		if want.aside {
			if _, err := os.Lstat(aside); err != nil || !strings.HasPrefix(aside, at(name)+".aside-") {
				t.Errorf("%s is kept as %q: %v", name, aside, err)
			}
		}
		if _, err := os.Lstat(at(name)); want.found != "" && !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	// Twice: the name that is taken isn't overwritten.
	must(os.WriteFile(at("file.sock"), []byte("again"), 0o600))
	if _, aside, err := (linuxFiles{}).ClearSocket(at("file.sock")); err != nil || !strings.HasSuffix(aside, ".aside-2") {
		t.Errorf("the second is kept as %q: %v", aside, err)
	}
	for _, bad := range []string{"/etc/passwd", "relative.sock", at("../x.sock") + "/../y.sock"} {
		if _, _, err := (linuxFiles{}).ClearSocket(bad); err == nil {
			t.Errorf("%s was taken for a socket's path", bad)
		}
	}
}

// TestReplaceable tries what this machine lets be made: attributes, mounts and read-only file systems.
func TestReplaceable(t *testing.T) {
	dir := t.TempDir()
	files := newFiles([]v1alpha1.WritablePath{{Root: dir, Made: true}})
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, d := range []string{"sub", "ro", "fixed"} {
		if err := os.Mkdir(at(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"plain", "mounted", "immutable", "append", "fixed/in"} {
		if err := os.WriteFile(at(f), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, good := range []string{"plain", "new", "sub/new", "missing/new", "sub"} {
		if err := files.Replaceable(at(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	if names, _ := os.ReadDir(dir); len(names) != 7 {
		t.Errorf("something was left: %v", names)
	}
	if err := files.Replaceable("/etc/passwd"); err == nil {
		t.Error("a path outside the allowlist is fine")
	}
	// The flags of FS_IOC_SETFLAGS have the values of statx's attributes.
	set := func(name string, change func(flags int) int) error {
		f, err := os.Open(at(name))
		if err != nil {
			return err
		}
		defer f.Close()
		flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		if err != nil {
			return err
		}
		return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, change(flags))
	}
	attribute := func(name string, flag int) bool {
		if err := set(name, func(flags int) int { return flags | flag }); err != nil {
			t.Logf("this machine sets no attribute on %s: %v", name, err)
			return false
		}
		t.Cleanup(func() { _ = set(name, func(flags int) int { return flags &^ flag }) })
		return true
	}
	want := map[string]string{}
	if attribute("immutable", unix.STATX_ATTR_IMMUTABLE) {
		want["immutable"] = "is immutable"
	}
	if attribute("append", unix.STATX_ATTR_APPEND) {
		want["append"] = "is append-only"
	}
	if attribute("fixed", unix.STATX_ATTR_IMMUTABLE) {
		want["fixed/in"] = "is immutable"
	}
	mount := func(source, target, kind string, flags uintptr) bool {
		if err := unix.Mount(source, at(target), kind, flags, ""); err != nil {
			t.Logf("this machine mounts nothing: %v", err)
			return false
		}
		t.Cleanup(func() { _ = unix.Unmount(at(target), unix.MNT_DETACH) })
		return true
	}
	if mount(at("plain"), "mounted", "", unix.MS_BIND) {
		want["mounted"] = "something is mounted over it"
	}
	if mount("tmpfs", "ro", "tmpfs", unix.MS_RDONLY) {
		want["ro/new"] = "read-only file system"
	}
	for name, text := range want {
		if err := files.Replaceable(at(name)); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want %q", name, err, text)
		}
	}
}
