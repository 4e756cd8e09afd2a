package layout

import (
	"fmt"
	"strings"
)

// containerdConfig is config.toml and what "containerd config dump" says of it. At rest it is what packages ship.
func (b *builder) containerdConfig(serves bool) (config, dump string) {
	version := minorVersion(b.containerd)
	if !serves {
		switch {
		case b.Runtime == "docker":
			return dockerContainerd, containerdDump(version, "cgroupfs", defaultPause(version), "/opt/cni/bin", "")
		case b.Installer == KubeadmOld:
			return debianContainerd, containerdDump(version, "cgroupfs", defaultPause(version), "/usr/lib/cni", "")
		case b.Installer == KubeKey:
			return "", containerdDump(version, "cgroupfs", defaultPause(version), "/opt/cni/bin", "")
		}
		return strings.ReplaceAll(restingContainerd, "@PAUSE@", defaultPause(version)),
			containerdDump(version, "cgroupfs", defaultPause(version), "/opt/cni/bin", "")
	}
	switch {
	case version < 105:
		config = containerdV1
	case version < 107:
		config = containerdV2Mirrors
	case version < 200 || b.Installer == Kind:
		config = containerdV2
	case version < 203:
		config = containerdV3
	default:
		config = containerdV4
	}
	certs := "/etc/containerd/certs.d"
	if version < 107 {
		certs = ""
	}
	return strings.ReplaceAll(config, "@PAUSE@", b.pauseImage()), containerdDump(version, "systemd", b.pauseImage(), "/opt/cni/bin", certs)
}

func defaultPause(version int) string {
	switch {
	case version <= 104:
		return "k8s.gcr.io/pause:3.2"
	case version == 105:
		return "k8s.gcr.io/pause:3.5"
	case version == 106:
		return "registry.k8s.io/pause:3.6"
	case version == 107:
		return "registry.k8s.io/pause:3.8"
	case version < 204:
		return "registry.k8s.io/pause:3.10.1"
	}
	return "registry.k8s.io/pause:3.10.2"
}

// containerdDump is the part of the dump that anybody reads.
func containerdDump(version int, driver, pause, bin, certs string) string {
	systemd := driver == "systemd"
	if version >= 200 {
		n := 3
		if version >= 203 {
			n = 4
		}
		return fmt.Sprintf(`version = %d
root = '/var/lib/containerd'
state = '/run/containerd'

[plugins]
  [plugins.'io.containerd.cri.v1.images']
    snapshotter = 'overlayfs'
    max_concurrent_downloads = 3

    [plugins.'io.containerd.cri.v1.images'.pinned_images]
      sandbox = '%s'

    [plugins.'io.containerd.cri.v1.images'.registry]
      config_path = '%s'

  [plugins.'io.containerd.cri.v1.runtime']
    enable_selinux = false

    [plugins.'io.containerd.cri.v1.runtime'.containerd]
      default_runtime_name = 'runc'

      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes]
        [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
          runtime_type = 'io.containerd.runc.v2'
          base_runtime_spec = ''

          [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
            BinaryName = ''
            SystemdCgroup = %t

    [plugins.'io.containerd.cri.v1.runtime'.cni]
      bin_dirs = ['%s']
      conf_dir = '/etc/cni/net.d'
`, n, pause, certs, systemd, bin)
	}
	mirrors := ""
	if certs == "" && systemd {
		mirrors = `
      [plugins."io.containerd.grpc.v1.cri".registry.mirrors]
        [plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]
          endpoint = ["https://mirror.corp.example"]
`
	}
	return fmt.Sprintf(`root = "/var/lib/containerd"
state = "/run/containerd"
version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    enable_selinux = false
    max_concurrent_downloads = 3
    sandbox_image = "%s"

    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "%s"
      conf_dir = "/etc/cni/net.d"

    [plugins."io.containerd.grpc.v1.cri".containerd]
      default_runtime_name = "runc"
      snapshotter = "overlayfs"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes]
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
          base_runtime_spec = ""
          runtime_type = "io.containerd.runc.v2"

          [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
            BinaryName = ""
            SystemdCgroup = %t

    [plugins."io.containerd.grpc.v1.cri".registry]
      config_path = "%s"
%s`, pause, bin, systemd, certs, mirrors)
}

// containerdCerts are the directories of registries, from 1.7 on.
func (b *builder) containerdCerts() {
	if minorVersion(b.containerd) < 107 {
		return
	}
	b.write("/etc/containerd/certs.d/docker.io/hosts.toml", "# Pull-through cache in the data centre; the hub itself is the fallback.\nserver = \"https://registry-1.docker.io\"\n\n[host.\"https://mirror.corp.example\"]\n  capabilities = [\"pull\", \"resolve\"]\n  ca = \"/etc/ssl/corp-ca.pem\"\n")
	b.write("/etc/containerd/certs.d/registry.lab.example:5000/hosts.toml", "server = \"http://registry.lab.example:5000\"\n\n[host.\"http://registry.lab.example:5000\"]\n  capabilities = [\"pull\", \"resolve\", \"push\"]\n")
	b.write("/etc/ssl/corp-ca.pem", "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUcorp\n-----END CERTIFICATE-----\n")
}

// crioConfig lays out CRI-O's files: those of its package, and an operator's where it serves.
func (b *builder) crioConfig(serves bool) {
	minor := minorOf(b.crio)
	b.write("/etc/containers/policy.json", "{\n    \"default\": [{\"type\": \"insecureAcceptAnything\"}]\n}\n")
	b.m.Dir("/etc/containers/registries.conf.d", 0o755)
	if minor < 28 {
		b.write("/etc/crio/crio.conf", oldCRIO)
		b.m.Dir("/etc/crio/crio.conf.d", 0o755)
		if minor < 24 {
			b.write("/etc/crio/crio.conf.d/01-crio-runc.conf", "[crio.runtime.runtimes.runc]\nruntime_path = \"/usr/bin/runc\"\nruntime_type = \"oci\"\nruntime_root = \"/run/runc\"\n")
		}
	} else {
		b.write("/etc/crio/crio.conf.d/10-crio.conf", strings.ReplaceAll(packagedCRIO, "@RUNTIME@", map[bool]string{true: "crun", false: "runc"}[minor >= 31]))
		b.write("/etc/crio/policy.json", "{ \"default\": [{ \"type\": \"insecureAcceptAnything\" }] }\n")
		b.write("/etc/containers/registries.conf.d/crio.conf", "unqualified-search-registries = [\"docker.io\"]\n")
	}
	if !serves {
		return
	}
	pause := ""
	if b.pauseImage() != b.crioPause() {
		pause = "\n[crio.image]\npause_image = \"" + b.pauseImage() + "\"\n"
	}
	b.write("/etc/crio/crio.conf.d/20-site.conf", siteCRIO+pause)
	b.write("/etc/containers/registries.conf", siteRegistries)
	if b.Installer == Kubespray {
		b.write("/etc/systemd/system/crio.service.d/http-proxy.conf", proxyDropIn)
	}
}

// dockerConfig lays out daemon.json: an operator's where it serves; at rest only some installers leave one.
func (b *builder) dockerConfig(serves bool) {
	switch {
	case serves:
		b.write("/etc/docker/daemon.json", siteDocker)
	case b.Installer == KubeadmOld:
		b.write("/etc/docker/daemon.json", "{\n\t\"log-driver\": \"json-file\",\n\t\"exec-opts\": [\"native.cgroupdriver=cgroupfs\"]\n}\n")
	case b.Installer == Kubespray:
		b.write("/etc/docker/daemon.json", "{}\n")
	}
	b.m.Dir("/etc/docker", 0o755)
}
