package hostpod

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// container puts a root directory together as runtimes do, for as long as the test runs, and returns how it is reached: the pod's mounts
// over the image's files, the image's volumes over both unless at a path where the pod has a mount itself, those with fewer parts first.
func container(t *testing.T, root string, own []hostMount, volumes []hostMount) string {
	t.Helper()
	mounts := slices.Clone(own)
	for _, v := range volumes {
		if !slices.ContainsFunc(own, func(m hostMount) bool { return m.at == v.at }) {
			mounts = append(mounts, v)
		}
	}
	slices.SortStableFunc(mounts, func(a, b hostMount) int { return strings.Count(a.at, "/") - strings.Count(b.at, "/") })
	script := "set -e\n"
	for _, m := range mounts {
		at := filepath.Join(root, m.at)
		if m.kind == corev1.HostPathCharDev {
			script += "touch " + at + "\n"
		} else {
			script += "mkdir -p " + at + "\n"
		}
		script += "mount --bind " + m.path + " " + at + "\n"
	}
	cmd := exec.Command("unshare", "-m", "sh", "-c", script+"echo mounted; read end")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait() // that read met its end is no success to a shell
	})
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); line != "mounted\n" {
		_ = stdin.Close()
		_ = cmd.Wait()
		t.Skipf("can't mount here: %s", &stderr)
	}
	return fmt.Sprintf("/proc/%d/root%s", cmd.Process.Pid, root)
}

// TestHostileImage runs the commands of a host pod in a container whose image has a preload of the linker, variables, and volumes over
// every directory in which something is looked for: the host's own programs run, and nothing of the image.
func TestHostileImage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount")
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		t.Skip(err)
	}
	info := corev1.NodeSystemInfo{Architecture: runtime.GOARCH, OSImage: string(release)}
	for name, bareEtc := range map[string]bool{"over the host's /etc": false, "where the host has no /etc/hostname": true} {
		t.Run(name, func(t *testing.T) {
			root, volume := t.TempDir(), t.TempDir()
			for _, name := range []string{"sh", "env", "sleep", "rmdir", "mkdir", "timeout", "nsenter", "libc.so.6"} {
				if err := os.WriteFile(filepath.Join(volume, name), []byte("#!/bin/sh\necho evil\n"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			// The linker complains of a library that isn't there: so it shows that it was told to load it.
			for path, text := range map[string]string{"etc/ld.so.preload": "/evil-file.so\n", "dev/none": ""} {
				path = filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var volumes []hostMount
			for _, at := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/lib", "/usr/lib", "/lib/" + debianTriplet(info), "/usr/lib/" + debianTriplet(info)} {
				// Where the host has no such directory, a runtime can't mount.
				if _, err := os.Stat(at); err == nil {
					volumes = append(volumes, hostMount{path: volume, at: filepath.Clean(at), kind: corev1.HostPathDirectory})
				}
			}
			env := map[string]string{
				"LD_PRELOAD": "/evil-env.so", "LD_AUDIT": "/evil-audit.so", "LD_LIBRARY_PATH": "/usr/local/bin", "LD_DEBUG": "all",
				"PATH": "/usr/local/sbin", "LC_ALL": "evil", "BASH_FUNC_exec%%": "() { echo evil; }",
			}
			for _, e := range imageEnv() {
				env[e.Name] = e.Value // a pod's value wins over an image's
			}
			inside := container(t, root, hostMounts(info, bareEtc), volumes)
			for _, argv := range [][]string{
				{enter()[0], "--version"}, script("/bin/sleep 0; echo slept"), {"/usr/bin/timeout", "9", "/bin/sh", "-c", "echo in time"},
			} {
				argv = speaking(heardDir, argv)
				cmd := exec.Command(argv[0], argv[1:]...)
				cmd.SysProcAttr, cmd.Dir, cmd.Env = &syscall.SysProcAttr{Chroot: inside}, "/", nil
				for _, key := range slices.Sorted(maps.Keys(env)) {
					cmd.Env = append(cmd.Env, key+"="+env[key])
				}
				var stdout, stderr bytes.Buffer
				cmd.Stdout, cmd.Stderr = &stdout, &stderr
				if err := cmd.Run(); err != nil || strings.Contains(stdout.String(), "evil") || stdout.Len() == 0 || stderr.Len() > 0 {
					t.Errorf("%q: %v\n%s%s", argv, err, &stdout, &stderr)
				}
			}
		})
	}
}
