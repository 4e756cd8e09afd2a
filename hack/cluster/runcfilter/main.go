// Command runcfilter stands in for runc on a node whose capability bounding set
// lacks CAP_SYS_RESOURCE. An OCI specification asks there for capabilities,
// rlimits and OOM scores that nobody can have, and runc refuses the container.
// It takes out of the specification what can't be had and becomes the real runc.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const realRunc = "/usr/sbin/runc.real"

// Indexed by the kernel's capability number.
var capabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID",
	"CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK",
	"CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
	"CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG",
	"CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
}

func main() {
	if err := filterArguments(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "runcfilter: %v\n", err)
		os.Exit(1)
	}
	err := syscall.Exec(realRunc, append([]string{realRunc}, os.Args[1:]...), os.Environ())
	fmt.Fprintf(os.Stderr, "runcfilter: %s: %v\n", realRunc, err)
	os.Exit(1)
}

func filterArguments(args []string) error {
	command := ""
	for _, arg := range args {
		switch arg {
		case "create", "run", "restore", "exec":
			command = arg
		}
		if command != "" {
			break
		}
	}
	switch command {
	case "":
		return nil
	case "exec":
		if file := flagValue(args, "process", "p"); file != "" {
			return filterFile(file, filterProcess)
		}
		return nil
	default:
		return filterFile(filepath.Join(flagValue(args, "bundle", "b"), "config.json"), filterSpec)
	}
}

func flagValue(args []string, long, short string) string {
	for i, arg := range args {
		name := strings.TrimLeft(arg, "-")
		if name == arg {
			continue
		}
		if value, ok := strings.CutPrefix(name, long+"="); ok {
			return value
		}
		if value, ok := strings.CutPrefix(name, short+"="); ok {
			return value
		}
		if (name == long || name == short) && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

type object map[string]json.RawMessage

func filterFile(path string, filter func([]byte) ([]byte, error)) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	filtered, err := filter(data)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if bytes.Equal(data, filtered) {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, filtered, info.Mode().Perm())
}

func filterSpec(data []byte) ([]byte, error) {
	spec := object{}
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, err
	}
	if len(spec["process"]) == 0 {
		return data, nil
	}
	process, err := filterProcess(spec["process"])
	if err != nil {
		return nil, err
	}
	spec["process"] = process
	return json.Marshal(spec)
}

func filterProcess(data []byte) ([]byte, error) {
	process := object{}
	if err := json.Unmarshal(data, &process); err != nil {
		return nil, err
	}
	delete(process, "rlimits")

	if raw, ok := process["oomScoreAdj"]; ok {
		own, err := ownOOMScoreAdj()
		if err != nil {
			return nil, err
		}
		if asked, err := strconv.Atoi(string(raw)); err == nil && asked < own {
			process["oomScoreAdj"] = json.RawMessage(strconv.Itoa(own))
		}
	}

	if raw, ok := process["capabilities"]; ok {
		sets := map[string][]string{}
		if err := json.Unmarshal(raw, &sets); err != nil {
			return nil, err
		}
		bounding, err := boundingSet()
		if err != nil {
			return nil, err
		}
		for name, set := range sets {
			kept := []string{}
			for _, capability := range set {
				if bounding[capability] {
					kept = append(kept, capability)
				}
			}
			sets[name] = kept
		}
		if process["capabilities"], err = json.Marshal(sets); err != nil {
			return nil, err
		}
	}
	return json.Marshal(process)
}

func ownOOMScoreAdj() (int, error) {
	data, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}

func boundingSet() (map[string]bool, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(status)) {
		value, ok := strings.CutPrefix(line, "CapBnd:")
		if !ok {
			continue
		}
		bits, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil {
			return nil, err
		}
		set := map[string]bool{}
		for number, name := range capabilities {
			if bits&(1<<number) != 0 {
				set[name] = true
			}
		}
		return set, nil
	}
	return nil, fmt.Errorf("/proc/self/status has no CapBnd line")
}
