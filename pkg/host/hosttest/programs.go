package hosttest

import (
	"regexp"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

var (
	noCRI       = regexp.MustCompile(`(?m)^\s*disabled_plugins\s*=.*"(io\.containerd\.grpc\.v1\.)?cri"`)
	crioListen  = regexp.MustCompile(`(?m)^\s*listen\s*=\s*"([^"]+)"`)
	kubeletCRI  = regexp.MustCompile(`(?m)^containerRuntimeEndpoint:\s*"?([^"\s]+)"?\s*$`)
	grpcAddress = regexp.MustCompile(`(?m)^\s*address\s*=\s*"([^"]+\.sock)"`)
)

// flag returns the last value of --name in argv.
func flag(argv []string, name string) string {
	value := ""
	for k, a := range argv {
		if v, ok := strings.CutPrefix(a, "--"+name+"="); ok {
			value = v
		}
		if a == "--"+name && k+1 < len(argv) {
			value = argv[k+1]
		}
	}
	return value
}

// Containerd is containerd at /usr/bin/containerd. With its CRI plugin disabled it serves none.
func Containerd(version string) Program {
	return Program{
		Path: "/usr/bin/containerd", Version: version, Runtime: v1alpha1.Containerd,
		Reads: []string{"/etc/containerd/config.toml", "/etc/containerd/conf.d/*.toml", "/etc/containerd/certs.d/*/hosts.toml"},
		CRI:   v1alpha1.CRIInfo{RuntimeName: "containerd", RuntimeReady: true, NetworkReady: true},
		Serves: func(argv []string, read func(string) (string, bool)) string {
			file := flag(argv, "config")
			if file == "" {
				file = "/etc/containerd/config.toml"
			}
			text, _ := read(file)
			if noCRI.MatchString(text) {
				return ""
			}
			if a := flag(argv, "address"); a != "" {
				return "unix://" + a
			}
			if m := grpcAddress.FindStringSubmatch(text); m != nil {
				return "unix://" + m[1]
			}
			return "unix:///run/containerd/containerd.sock"
		},
		ImageStore: "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs",
	}
}

// CRIO is CRI-O at /usr/bin/crio.
func CRIO(version string) Program {
	return Program{
		Path: "/usr/bin/crio", Version: version, Runtime: v1alpha1.CRIO,
		Reads: []string{
			"/etc/crio/crio.conf", "/etc/crio/crio.conf.d/*", "/etc/containers/registries.conf",
			"/etc/containers/registries.conf.d/*", "/etc/containers/policy.json", "/etc/containers/storage.conf",
		},
		CRI: v1alpha1.CRIInfo{RuntimeName: "cri-o", RuntimeReady: true, NetworkReady: true},
		Serves: func(argv []string, read func(string) (string, bool)) string {
			if l := flag(argv, "listen"); l != "" {
				return "unix://" + l
			}
			file := flag(argv, "config")
			if file == "" {
				file = "/etc/crio/crio.conf"
			}
			text, _ := read(file)
			if m := crioListen.FindStringSubmatch(text); m != nil {
				return "unix://" + m[1]
			}
			return "unix:///var/run/crio/crio.sock"
		},
		ImageStore: "/var/lib/containers/storage",
	}
}

// Dockerd is Docker Engine's daemon at /usr/bin/dockerd.
func Dockerd(version string) Program {
	return Program{
		Path: "/usr/bin/dockerd", Version: version, Runtime: v1alpha1.Docker, StopsPods: true,
		Reads: []string{"/etc/docker/daemon.json"},
	}
}

// CRIDockerd is cri-dockerd at /usr/bin/cri-dockerd; without dockerd its endpoint answers nothing.
func CRIDockerd(version, docker string) Program {
	return Program{
		Path: "/usr/bin/cri-dockerd", Version: version, Runtime: v1alpha1.Docker, Needs: []string{"dockerd"},
		CRI: v1alpha1.CRIInfo{RuntimeName: "docker", RuntimeVersion: docker, RuntimeReady: true, NetworkReady: true},
		Serves: func(argv []string, _ func(string) (string, bool)) string {
			if e := flag(argv, "container-runtime-endpoint"); e != "" && e != "fd://" {
				return e
			}
			return "unix:///run/cri-dockerd.sock"
		},
		ImageStore: "/var/lib/docker",
	}
}

// Kubelet is the kubelet at path. Its flag --container-runtime-endpoint beats its configuration file.
func Kubelet(path, version string) Program {
	return Program{
		Path: path, Version: version, Kubelet: true,
		Reads: []string{"/var/lib/kubelet/config.yaml", "/etc/kubernetes/kubelet-config.yaml", "/etc/kubernetes/kubelet.conf.d/*.conf"},
		Serves: func(argv []string, read func(string) (string, bool)) string {
			if e := flag(argv, "container-runtime-endpoint"); e != "" {
				if !strings.Contains(e, "://") {
					e = "unix://" + e
				}
				return e
			}
			file := flag(argv, "config")
			if file == "" {
				file = "/var/lib/kubelet/config.yaml"
			}
			text, _ := read(file)
			if m := kubeletCRI.FindStringSubmatch(text); m != nil {
				return m[1]
			}
			if flag(argv, "container-runtime") == "docker" {
				return "unix:///var/run/dockershim.sock"
			}
			return "unix:///run/containerd/containerd.sock"
		},
	}
}
