//go:build linux

package host

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"golang.org/x/sys/unix"
)

type linuxKernel struct {
	units    *linuxUnits
	clock    linuxClock
	commands linuxCommands
}

func (k linuxKernel) Info() (v1alpha1.MachineInfo, error) {
	out := v1alpha1.MachineInfo{Architecture: runtime.GOARCH, Boot: k.clock.Boot()}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return out, fmt.Errorf("asking for the kernel's version: %w", err)
	}
	out.Kernel = unix.ByteSliceToString(uts.Release[:])
	release := osRelease()
	out.OSID, out.OSVersion, out.OSName, out.OSVariant = release["ID"], release["VERSION_ID"], release["PRETTY_NAME"], release["VARIANT_ID"]
	_, err := os.Lstat("/run/ostree-booted")
	out.OSTree = err == nil
	if conn, err := k.units.connect(); err == nil {
		out.SystemdVersion = managerVersion(conn)
	}
	out.CgroupVersion = cgroupVersion()
	out.SELinux = selinux()
	out.ReadOnlyUsr = readOnly("/usr") || readOnly("/etc")
	out.AppArmor = appArmor("/")
	out.Swap, err = swaps("/proc/swaps")
	return out, err
}

// osRelease reads the variables of os-release(5), whose values may be quoted as in a shell.
func osRelease() map[string]string {
	data, err := readFile("/etc/os-release")
	if err != nil {
		data, _ = readFile("/usr/lib/os-release")
	}
	return parseOSRelease(data)
}

func parseOSRelease(data []byte) map[string]string {
	out := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		name, value, ok := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = strings.NewReplacer(`\"`, `"`, `\$`, `$`, "\\`", "`", `\\`, `\`).Replace(value[1 : n-1])
		}
		out[name] = value
	}
	return out
}

// cgroupVersion is 2 only where the unified hierarchy has the controllers: mounted beside version 1 it has none.
func cgroupVersion() int {
	var st unix.Statfs_t
	if err := unix.Statfs("/sys/fs/cgroup", &st); err == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
		return 2
	}
	return 1
}

func selinux() string {
	data, err := readFile("/sys/fs/selinux/enforce")
	switch {
	case err != nil:
		return ""
	case strings.TrimSpace(string(data)) == "1":
		return "enforcing"
	}
	return "permissive"
}

// swaps reads the table of what is swapped to; a kernel without swapping has none.
func swaps(file string) ([]string, error) {
	data, err := readFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking for swap: %w", err)
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		if words := strings.Fields(line); len(words) == 5 && words[0] != "Filename" {
			out = append(out, words[0])
		}
	}
	return out, nil
}

func readOnly(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Flags&unix.ST_RDONLY != 0
}

// Modules are the loaded modules and those built into the kernel, which need no loading.
func (linuxKernel) Modules() ([]string, error) {
	data, err := readFile("/proc/modules")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		name, _, _ := strings.Cut(line, " ")
		seen[name] = true
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err == nil {
		builtin, _ := readFile(filepath.Join("/lib/modules", unix.ByteSliceToString(uts.Release[:]), "modules.builtin"))
		for line := range strings.Lines(string(builtin)) {
			name := strings.TrimSuffix(filepath.Base(strings.TrimSpace(line)), ".ko")
			seen[strings.ReplaceAll(name, "-", "_")] = true
		}
	}
	// A module without parameters that is built in shows in neither place of a node that is a container; what it brings
	// does: a file system, or parameters of the kernel.
	for name, trace := range map[string]string{"br_netfilter": "/proc/sys/net/bridge/bridge-nf-call-iptables"} {
		if _, err := os.Stat(trace); err == nil {
			seen[name] = true
		}
	}
	if data, err := readFile("/proc/filesystems"); err == nil && strings.Contains(string(data), "\toverlay\n") {
		seen["overlay"] = true
	}
	var out []string
	for name := range seen {
		out = append(out, name)
	}
	slices.Sort(out)
	return out, nil
}

func (k linuxKernel) LoadModule(ctx context.Context, name string) error {
	if !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(name) {
		return fmt.Errorf("loading module %q: not a module's name", name)
	}
	loaded, err := k.Modules()
	if err != nil {
		return err
	}
	if slices.Contains(loaded, strings.ReplaceAll(name, "-", "_")) {
		return nil
	}
	if _, err := k.commands.Output(ctx, []string{"modprobe", "--", name}, nil); err != nil {
		return fmt.Errorf("loading module %s: %w", name, err)
	}
	return nil
}

// sysctlPath is the file of a parameter. Dots separate; a slash stands for a dot in a name (net.ipv4.conf.eth0/1.rp_filter).
func sysctlPath(name string) (string, error) {
	swap := strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, name)
	if !filepath.IsLocal(swap) || filepath.Clean(swap) != swap {
		return "", fmt.Errorf("kernel parameter %q: not a parameter's name", name)
	}
	return filepath.Join("/proc/sys", swap), nil
}

func (linuxKernel) Sysctl(name string) (string, error) {
	path, err := sysctlPath(name)
	if err != nil {
		return "", err
	}
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading kernel parameter %s: %w", name, err)
	}
	return strings.TrimSpace(string(data)), nil
}

func (linuxKernel) SetSysctl(name, value string) error {
	path, err := sysctlPath(name)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(value+"\n"), 0o644); err != nil {
		return fmt.Errorf("setting kernel parameter %s: %w", name, err)
	}
	return nil
}
