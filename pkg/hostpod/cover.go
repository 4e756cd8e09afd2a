package hostpod

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// This file is what keeps an image from having a say in what runs in the host pod. An image brings files, an environment, volumes, a
// user, a working directory and a command. The last three are said by the pod; files and volumes are covered by mounts of the host;
// and of the environment nothing reaches further than the first program.

// hostMount is a path of the host in the host pod.
type hostMount struct {
	path, at string
	// kind is checked by the kubelet: the mount fails where the host has no such thing, instead of making one.
	kind corev1.HostPathType
}

// hostMounts are all paths that the pod's programs, the dynamic linker and their configuration are read from. Runtimes mount what an
// image declares as volumes beneath mounts of the pod, but for those at the very path of one: so each directory in which a program or
// a library is looked for is a mount of its own.
func hostMounts(info corev1.NodeSystemInfo, bareEtc bool) []hostMount {
	dirs := []string{"/usr", "/bin", "/sbin", "/lib"}
	// The dynamic linker's path is part of the architecture's ABI: /lib64 on amd64, /lib on arm64.
	amd64, rpm := info.Architecture == "amd64", madeOf(info.OSImage, rpmSystems)
	if amd64 || rpm {
		dirs = append(dirs, "/lib64")
	}
	if !bareEtc {
		dirs = append(dirs, "/etc")
	}
	dirs = append(dirs, "/usr/bin", "/usr/lib")
	if rpm {
		dirs = append(dirs, "/usr/lib64")
	}
	if triplet := debianTriplet(info); triplet != "" {
		dirs = append(dirs, "/lib/"+triplet, "/usr/lib/"+triplet)
	}
	var mounts []hostMount
	for _, dir := range dirs {
		mounts = append(mounts, hostMount{dir, dir, corev1.HostPathDirectory})
	}
	if bareEtc {
		// Runtimes mount their /etc/hostname, /etc/hosts and /etc/resolv.conf above /etc, and on a read-only one they can't make what
		// isn't there. Then the image's own /etc stays, but for what the linker reads of it: nothing at all.
		for _, file := range []string{"/etc/ld.so.preload", "/etc/ld.so.cache"} {
			mounts = append(mounts, hostMount{"/dev/null", file, corev1.HostPathCharDev})
		}
	}
	return mounts
}

// Words of node.status.nodeInfo.osImage, which the kubelet reads from /etc/os-release.
var (
	debianSystems = []string{"Debian", "Ubuntu"}
	// Both architectures of these keep their libraries in /lib64.
	rpmSystems = []string{"Red Hat", "CentOS", "Fedora", "Rocky", "AlmaLinux", "Oracle Linux", "Amazon Linux", "SUSE", "openEuler", "Anolis", "Kylin"}
)

func madeOf(osImage string, systems []string) bool {
	return slices.ContainsFunc(systems, func(s string) bool { return strings.Contains(osImage, s) })
}

// debianTriplet names the directories in which Debian keeps the libraries of an architecture.
func debianTriplet(info corev1.NodeSystemInfo) string {
	if !madeOf(info.OSImage, debianSystems) {
		return ""
	}
	return map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[info.Architecture]
}

// searchPath is what programs are found by behind clean. Nothing in the pod itself is: its programs are named by their paths. On the
// host nothing that the scripts call stands elsewhere.
const searchPath = "/usr/sbin:/usr/bin:/sbin:/bin"

// clean runs a program without the environment of its container. That is the image's, and no list of names could cover it: a bash that
// is called sh takes functions from variables of any name. The first program of the container can only be kept from it by imageEnv.
func clean(argv ...string) []string {
	return append([]string{"/usr/bin/env", "-i", "PATH=" + searchPath, "HOME=/", "LC_ALL=C"}, argv...)
}

// imageEnv overrides the variables of an image that act on a program before it can drop them: those of the dynamic linker and of the
// C library, to which an empty one here is as good as none. Two others count by their mere presence, so they can't be overridden: with
// LD_TRACE_LOADED_OBJECTS no program runs, and with LD_SHOW_AUXV each prints a table first. An image that sets one of these can't be used, and
// gains nothing. The numbers of MALLOC_… are left alone, as an empty one is read as 0; and TZ, which some clusters set in every pod, and which
// nothing that runs here reads.
func imageEnv() []corev1.EnvVar {
	env := []corev1.EnvVar{
		{Name: "PATH", Value: searchPath},
		{Name: "HOME", Value: "/"},
		{Name: "LC_ALL", Value: "C"}, // it wins over LANG and every other LC_…
		// A hook of NVIDIA's runtime works in the container's files by the word of this.
		{Name: "NVIDIA_VISIBLE_DEVICES", Value: "void"},
	}
	for _, name := range []string{
		"LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "LD_ORIGIN_PATH", "LD_DEBUG", "LD_DEBUG_OUTPUT", "LD_PROFILE", "LD_PROFILE_OUTPUT",
		"GLIBC_TUNABLES", "MALLOC_TRACE", "LOCPATH", "NLSPATH", "GCONV_PATH", "GETCONF_DIR", "LANGUAGE", "TZDIR",
		"HOSTALIASES", "LOCALDOMAIN", "RES_OPTIONS", "BASH_ENV", "ENV", "IFS", "PS4", "SHELLOPTS", "BASHOPTS",
	} {
		env = append(env, corev1.EnvVar{Name: name})
	}
	return env
}

// goEnv overrides the variables of an image that act on a Go program.
func goEnv() []corev1.EnvVar {
	var env []corev1.EnvVar
	for _, name := range []string{"GODEBUG", "GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GOTRACEBACK"} {
		env = append(env, corev1.EnvVar{Name: name})
	}
	return env
}
