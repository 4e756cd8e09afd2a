package host

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/sys/mountinfo"
)

// TestServedByUser: root's own file systems are read, those of users' programs aren't.
func TestServedByUser(t *testing.T) {
	for _, c := range []struct {
		kind, options string
		want          bool
	}{
		{"fuse.sshfs", "rw,user_id=1000,group_id=1000,allow_other", true},
		{"fuse", "rw,user_id=65534,group_id=0", true},
		{"fuse.glusterfs", "rw,user_id=0,group_id=0,default_permissions,allow_other", false},
		{"fuseblk", "rw,user_id=0,group_id=0", false},
		{"ext4", "rw", false},
	} {
		if got := servedByUser(&mountinfo.Info{FSType: c.kind, VFSOptions: c.options}); got != c.want {
			t.Errorf("%s %s: %t", c.kind, c.options, got)
		}
	}
}

// TestForeignAvoids: no way leads below a mount point of a user's program, and what isn't there is that still.
func TestForeignAvoids(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	err = errors.Join(os.MkdirAll(at("mnt/in"), 0o755), os.WriteFile(at("mnt/in/file"), nil, 0o644), os.WriteFile(at("file"), nil, 0o644),
		os.Symlink("mnt/in", at("link")), os.Symlink(at("link/file"), at("far")), os.Symlink("loop", at("loop")), os.Symlink("file", at("near")))
	if err != nil {
		t.Fatal(err)
	}
	f := foreignFiles{ctx: t.Context(), served: []string{at("mnt")}}
	for _, name := range []string{"mnt", "mnt/in/file", "mnt/none", "link", "link/file", "far", "link/../../file"} {
		for what, ask := range map[string]func(string) error{
			"lstat": func(p string) error { _, err := f.Lstat(p); return err },
			"read":  func(p string) error { _, err := f.Read(p, 1); return err },
			"list":  func(p string) error { _, err := f.ReadDir(p); return err },
		} {
			if err := ask(dir + "/" + name); err == nil || !strings.Contains(err.Error(), "a user's program serves the file system at "+at("mnt")) {
				t.Errorf("%s %s: %v", what, name, err)
			}
		}
	}
	for _, name := range []string{"file", "near", "./file"} {
		if _, err := f.Read(dir+"/"+name, 1); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.Read(at("none"), 1); !errors.Is(err, ErrNotExist) {
		t.Errorf("what isn't there: %v", err)
	}
	if _, err := f.Read(at("loop"), 1); err == nil {
		t.Error("a loop is read")
	}
}
