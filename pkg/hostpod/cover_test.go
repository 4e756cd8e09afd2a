package hostpod

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// TestHostMounts: wherever a system keeps programs and libraries, a mount of the host stands, at each of these directories, as runtimes
// mount an image's volumes into the mounts of a pod.
func TestHostMounts(t *testing.T) {
	for name, c := range map[string]struct {
		os, arch string
		bareEtc  bool
		want     []string
	}{
		"Debian, amd64": {
			os: "Debian GNU/Linux 12 (bookworm)", arch: "amd64",
			want: []string{"/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/usr/bin", "/usr/lib", "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"},
		},
		"Ubuntu, arm64": {
			os: "Ubuntu 24.04.3 LTS", arch: "arm64",
			want: []string{"/usr", "/bin", "/sbin", "/lib", "/etc", "/usr/bin", "/usr/lib", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu"},
		},
		"RHEL, amd64": {
			os: "Red Hat Enterprise Linux 9.6 (Plow)", arch: "amd64",
			want: []string{"/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/usr/bin", "/usr/lib", "/usr/lib64"},
		},
		"openEuler, arm64": {
			os: "openEuler 24.03 (LTS)", arch: "arm64",
			want: []string{"/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/usr/bin", "/usr/lib", "/usr/lib64"},
		},
		"a system that isn't known": {os: "Flatcar", arch: "arm64", want: []string{"/usr", "/bin", "/sbin", "/lib", "/etc", "/usr/bin", "/usr/lib"}},
		"a host without /etc/hostname": {
			os: "Flatcar", arch: "amd64", bareEtc: true,
			want: []string{"/usr", "/bin", "/sbin", "/lib", "/lib64", "/usr/bin", "/usr/lib", "/etc/ld.so.preload", "/etc/ld.so.cache"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, m := range hostMounts(corev1.NodeSystemInfo{OSImage: c.os, Architecture: c.arch}, c.bareEtc) {
				got = append(got, m.at)
				if mask := strings.HasPrefix(m.at, "/etc/"); mask != (m.path == "/dev/null") || mask != (m.kind == corev1.HostPathCharDev) || !mask && m.path != m.at {
					t.Errorf("%+v", m)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestNothingIsSearched: what runs in the pod, before a command is in the host's namespaces, is named by its path. On the host PATH has
// no directory but the host's own.
func TestNothingIsSearched(t *testing.T) {
	pod := Build(options("amd64"))
	mounts := pod.Spec.Containers[0].VolumeMounts
	programs := []string{pod.Spec.Containers[0].Command[0], enter("x")[0], speaking(heardDir, nil)[0], script("")[0]}
	scripts := watchdog(heardDir, time.Second, time.Minute) + farewell(enter()...) + strings.Join(speaking(heardDir, nil), " ")
	programs = append(programs, regexp.MustCompile(`/(?:usr/)?s?bin/\w+`).FindAllString(scripts, -1)...)
	for _, program := range programs {
		if !slices.ContainsFunc(mounts, func(m corev1.VolumeMount) bool { return m.MountPath == filepath.Dir(program) }) {
			t.Errorf("%q isn't in a directory that is the host's", program)
		}
	}
	for _, name := range []string{"sleep", "rm", "rmdir", "mkdir", "timeout", "nsenter", "env", "sh"} {
		if at := regexp.MustCompile(`(^|[\s;(])` + name + `\b`).FindString(scripts); at != "" {
			t.Errorf("%s is looked for by PATH", name)
		}
	}
	for _, dir := range filepath.SplitList(searchPath) {
		if !strings.HasPrefix(dir, "/") || strings.Contains(dir, "local") {
			t.Errorf("PATH has %q", dir)
		}
	}
}

// hostile sets every variable that an image could bring.
func hostile(mark string) []string {
	return []string{
		"PATH=/nowhere", "HOME=/nowhere", "ENV=" + mark, "BASH_ENV=" + mark, "IFS=/", "PS4=$(touch " + mark + ")", "SHELLOPTS=xtrace",
		"BASH_FUNC_mkdir%%=() { touch " + mark + "; }", "BASH_FUNC_exec%%=() { touch " + mark + "; }", "BASH_FUNC_echo%%=() { touch " + mark + "; }",
		"BASH_FUNC_test%%=() { touch " + mark + "; }", "BASH_FUNC_[%%=() { touch " + mark + "; }", "POSIXLY_CORRECT=1", "LC_ALL=evil", "LOCPATH=/nowhere",
	}
}

// TestNoEnvironment: whatever variables an image brings, a command of the pod has none of them, and no shell of the pod is told by one.
func TestNoEnvironment(t *testing.T) {
	shells := []string{"/bin/sh"}
	if bash, err := exec.LookPath("bash"); err == nil {
		// On many systems bash is sh, which takes functions from its environment.
		link := filepath.Join(t.TempDir(), "sh")
		if err := os.Symlink(bash, link); err != nil {
			t.Fatal(err)
		}
		shells = append(shells, link)
	}
	for _, shell := range shells {
		mark := filepath.Join(t.TempDir(), "mark")
		argv := speaking(t.TempDir(), append([]string{shell, "-c", `test -z "$X" && echo ran && exec /usr/bin/env`}, ManagedBy))
		argv[slices.Index(argv, "/bin/sh")] = shell
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = hostile(mark)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", shell, err, out)
		}
		if _, err := os.Stat(mark); err == nil {
			t.Errorf("%s: a variable was run", shell)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		lines = slices.DeleteFunc(lines, func(line string) bool {
			// What a shell sets by itself.
			return strings.HasPrefix(line, "PWD=") || strings.HasPrefix(line, "_=") || strings.HasPrefix(line, "SHLVL=") || strings.HasPrefix(line, "OLDPWD=")
		})
		slices.Sort(lines)
		if diff := cmp.Diff([]string{"HOME=/", "LC_ALL=C", "PATH=" + searchPath, "ran"}, lines); diff != "" {
			t.Errorf("%s: -want +got:\n%s", shell, diff)
		}
	}
}

// TestImageEnv: what acts on the very first program is overridden, and by a value that is as good as none: with all of them in force
// the dynamic linker and the shell do as they do without.
func TestImageEnv(t *testing.T) {
	set := map[string]string{}
	var env []string
	for _, e := range imageEnv() {
		if _, twice := set[e.Name]; twice {
			t.Errorf("%s is set twice", e.Name)
		}
		set[e.Name] = e.Value
		env = append(env, e.Name+"="+e.Value)
	}
	for _, name := range []string{"LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "LD_DEBUG", "GLIBC_TUNABLES", "GCONV_PATH", "LOCPATH", "NLSPATH", "BASH_ENV", "ENV"} {
		if value, ok := set[name]; !ok || value != "" {
			t.Errorf("%s: %q, %t", name, value, ok)
		}
	}
	// These count by being there at all.
	for _, name := range []string{"LD_TRACE_LOADED_OBJECTS", "LD_SHOW_AUXV", "LD_ASSUME_KERNEL", "MALLOC_MMAP_THRESHOLD_", "POSIXLY_CORRECT"} {
		if _, ok := set[name]; ok {
			t.Errorf("%s is set", name)
		}
	}
	cmd := exec.Command("/usr/bin/env", "/bin/sh", "-c", "echo ran; echo said >&2")
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "ran\nsaid\n" {
		t.Errorf("%v: %q", err, out)
	}
}
