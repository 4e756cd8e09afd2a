package host

import (
	endian "encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// dirent is a linux_dirent64 record, padded to eight bytes.
func dirent(kind byte, name string) []byte {
	b := make([]byte, (19+len(name)+1+7)/8*8)
	endian.NativeEndian.PutUint16(b[16:], uint16(len(b)))
	b[18] = kind
	copy(b[19:], name)
	return b
}

func TestTellsTypes(t *testing.T) {
	join := func(list ...[]byte) (out []byte) {
		for _, b := range list {
			out = append(out, b...)
		}
		return out
	}
	for _, tt := range []struct {
		name    string
		records []byte
		want    bool
	}{
		{"all known", join(dirent(unix.DT_DIR, "."), dirent(unix.DT_DIR, ".."), dirent(unix.DT_REG, "metadata.db")), true},
		{"only the last known", join(dirent(unix.DT_UNKNOWN, "."), dirent(unix.DT_UNKNOWN, ".."), dirent(unix.DT_REG, "x")), true},
		{"none known", join(dirent(unix.DT_UNKNOWN, "."), dirent(unix.DT_UNKNOWN, ".."), dirent(unix.DT_UNKNOWN, "snapshots")), false},
		{"cut off", dirent(unix.DT_UNKNOWN, "a-long-name-that-is-cut")[:24], false},
		{"a length of nothing", make([]byte, 64), false},
	} {
		if got := tellsTypes(tt.records); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// On the file system of the tests, whatever it is, "." and ".." are told as directories.
func TestFilesystemTellsTypes(t *testing.T) {
	dir := t.TempDir()
	fs, err := newFiles(nil).Filesystem(filepath.Join(dir, "not", "there", "yet"))
	if err != nil || fs.NoFileTypes || fs.Type == "" {
		t.Errorf("%+v, %v", fs, err)
	}
	if noFileTypes(filepath.Join(dir, "missing")) {
		t.Error("what isn't there lacks something")
	}
}

func TestAppArmor(t *testing.T) {
	const profiles = "/usr/bin/man (enforce)\n/usr/bin/man//filter (enforce)\ncri-containerd.apparmor.d (enforce)\nname (odd) (complain)\n"
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  *v1alpha1.AppArmor
	}{
		{name: "no AppArmor"},
		{"switched off", map[string]string{"/sys/module/apparmor/parameters/enabled": "N\n"}, &v1alpha1.AppArmor{}},
		{"of a kernel outside", map[string]string{"/sys/module/apparmor/parameters/enabled": "Y\n", "/sbin/apparmor_parser": "x"}, &v1alpha1.AppArmor{Parser: "/sbin/apparmor_parser"}},
		{"in force", map[string]string{
			"/sys/module/apparmor/parameters/enabled": "Y\n", "/usr/sbin/apparmor_parser": "x", "/sys/kernel/security/apparmor/profiles": profiles,
		}, &v1alpha1.AppArmor{Enabled: true, Parser: "/usr/sbin/apparmor_parser", Profiles: []string{"/usr/bin/man", "cri-containerd.apparmor.d", "name (odd)"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for name, content := range tt.files {
				p := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p, []byte(content), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(tt.want, appArmor(root)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
