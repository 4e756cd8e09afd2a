package runtimes

import (
	"strconv"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

const dockershimEndpoint = "unix:///var/run/dockershim.sock"

// release returns major, minor and patch of a version as distributions write them (1.6.20~ds1, v2.2.0-rc.1).
func release(version string) [3]int {
	var out [3]int
	version = strings.TrimPrefix(version, "v")
	for i := range out {
		n := 0
		for n < len(version) && version[n] >= '0' && version[n] <= '9' {
			n++
		}
		out[i], _ = strconv.Atoi(version[:n])
		version = version[n:]
		if !strings.HasPrefix(version, ".") {
			break
		}
		version = version[1:]
	}
	return out
}

func minor(version string) int { return release(version)[1] }

// before reports whether a version is lower than major.minor.patch.
func before(version string, major, minor, patch int) bool {
	r, other := release(version), [3]int{major, minor, patch}
	for i := range r {
		if r[i] != other[i] {
			return r[i] < other[i]
		}
	}
	return false
}

// known reports whether a version could be read at all.
func known(version string) bool { return release(version) != [3]int{} }

// Serves returns the CRI versions that a runtime's daemon of that version serves. Unknown versions are taken for
// today's: v1.
func Serves(name v1alpha1.RuntimeName, version string) (v1, v1alpha2 bool) {
	if !known(version) {
		return true, false
	}
	switch name {
	case v1alpha1.Containerd:
		return !before(version, 1, 6, 0), before(version, 2, 0, 0)
	case v1alpha1.CRIO:
		return !before(version, 1, 20, 0), before(version, 1, 26, 0)
	default: // of cri-dockerd
		return !before(version, 0, 3, 0), before(version, 0, 4, 2)
	}
}

// CRIDaemon returns the version of the binary that serves CRI: cri-dockerd's for Docker.
func CRIDaemon(f *v1alpha1.Facts, name v1alpha1.RuntimeName) v1alpha1.Binary {
	r := f.Runtime(name)
	switch name {
	case v1alpha1.Containerd:
		return r.Binaries["containerd"]
	case v1alpha1.CRIO:
		return r.Binaries["crio"]
	}
	return r.Binaries["cri-dockerd"]
}

// SpokenCRI returns the CRI version that a kubelet of that minor speaks with the runtime on this node; ok is false when
// they have none in common.
func SpokenCRI(f *v1alpha1.Facts, name v1alpha1.RuntimeName, kubeletMinor int) (version string, ok bool) {
	v1, v1alpha2 := Serves(name, CRIDaemon(f, name).Version)
	switch {
	case kubeletMinor > 0 && kubeletMinor <= 22:
		return "v1alpha2", v1alpha2
	case v1:
		return "v1", true
	case kubeletMinor > 0 && kubeletMinor <= 25:
		return "v1alpha2", v1alpha2
	}
	return "v1", false
}

// Before reports whether a version is lower than another one.
func Before(version, other string) bool {
	r := release(other)
	return before(version, r[0], r[1], r[2])
}

// SameRelease reports whether two versions are of one release, whatever a distribution appends. One that can't be read is like
// any other.
func SameRelease(version, other string) bool {
	return !known(version) || !known(other) || release(version) == release(other)
}

// SameMinor reports whether two versions are patches of one release.
func SameMinor(version, other string) bool {
	a, b := release(version), release(other)
	return a[0] == b[0] && a[1] == b[1]
}

// Minor returns a version's minor.
func Minor(version string) int { return minor(version) }

// LeastDocker is the oldest Docker whose API a cri-dockerd accepts.
func LeastDocker(criDockerd string) string {
	if !before(criDockerd, 0, 4, 0) && before(criDockerd, 0, 4, 2) {
		return "23.0"
	}
	return "1.13"
}
