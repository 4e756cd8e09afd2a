package layout

import (
	"errors"
	"slices"
	"strings"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/host/hosttest"
)

var errUsage = errors.New("unknown command")

// answers makes a program say its version and what it prints of its configuration.
func answers(version, config string) func(argv, env []string) (string, error) {
	return func(argv, _ []string) (string, error) {
		switch {
		case slices.Contains(argv, "--version"):
			return version + "\n", nil
		case slices.Contains(argv, "config") && config != "":
			return config, nil
		}
		return "", errUsage
	}
}

func (b *builder) installRunc() {
	if _, ok := b.m.Content("/usr/bin/runc"); !ok {
		b.m.Install(hosttest.Program{Path: "/usr/bin/runc", Version: "1.1.12", Output: answers("runc version 1.1.12", "")})
	}
}

// containerdNode lays out containerd as the node's runtime or at rest.
func (b *builder) containerdNode(serves bool) {
	fragment := "/usr/lib/systemd/system/containerd.service"
	if b.Installer == KubeKey || b.Installer == Kind {
		fragment = "/etc/systemd/system/containerd.service"
	}
	b.write(fragment, containerdUnit)
	b.installRunc()
	config, dump := b.containerdConfig(serves)
	p := hosttest.Containerd(b.containerd)
	p.CRI.RuntimeVersion = b.containerd
	p.CRI.SandboxImage = b.pauseImage()
	p.SpeaksBoth = minorVersion(b.containerd) < 200 // 1.4 and 1.5 speak v1alpha2 alone
	if minorVersion(b.containerd) >= 200 {
		p.CRI.CgroupDriver, p.CRI.SandboxImage = "systemd", ""
	}
	p.Output = answers("containerd github.com/containerd/containerd v"+b.containerd+" 1c4457e", dump)
	b.m.Install(p)
	if config != "" {
		b.write("/etc/containerd/config.toml", config)
	}
	if serves || b.dockerUsesIt() {
		b.enable("containerd.service", fragment, "multi-user.target")
	}
	if serves {
		b.containerdCerts()
	}
	if serves && b.Installer != KubeadmOld {
		b.write("/etc/systemd/system/containerd.service.d/http-proxy.conf", proxyDropIn)
	}
}

// minorVersion is 100 × major + minor.
func minorVersion(version string) int {
	return 100*int(version[0]-'0') + minorOf(version)
}

// crioNode lays out CRI-O as the node's runtime or at rest.
func (b *builder) crioNode(serves bool) {
	fragment := "/usr/lib/systemd/system/crio.service"
	b.write(fragment, crioUnit)
	b.installRunc()
	for _, helper := range []string{"conmon", "pinns"} {
		b.m.Install(hosttest.Program{Path: "/usr/bin/" + helper, Version: "2.1.12", Output: answers(helper+" version 2.1.12", "")})
	}
	if minorOf(b.crio) >= 31 {
		b.m.Install(hosttest.Program{Path: "/usr/bin/crun", Version: "1.21", Output: answers("crun version 1.21", "")})
	}
	p := hosttest.CRIO(b.crio)
	p.CRI.RuntimeVersion = b.crio
	p.CRI.SandboxImage = b.crioPause()
	p.SpeaksBoth = minorOf(b.crio) < 26
	if minorOf(b.crio) >= 28 {
		p.CRI.CgroupDriver = "systemd"
	}
	p.Output = answers("crio version "+b.crio, "# The CRI-O configuration file.\n[crio.image]\n# pause_image = \""+b.crioPause()+"\"\n")
	b.m.Install(p)
	if serves {
		b.enable("crio.service", fragment, "multi-user.target")
	}
	b.crioConfig(serves)
}

// crioPause is the sandbox image that CRI-O has built in.
func (b *builder) crioPause() string {
	switch minor := minorOf(b.crio); {
	case minor <= 20:
		return "k8s.gcr.io/pause:3.2"
	case minor <= 23:
		return "k8s.gcr.io/pause:3.5"
	case minor <= 26:
		return "registry.k8s.io/pause:3.6"
	case minor <= 30:
		return "registry.k8s.io/pause:3.9"
	case minor <= 32:
		return "registry.k8s.io/pause:3.10"
	}
	return "registry.k8s.io/pause:3.10.1"
}

func (b *builder) dockerUsesIt() bool { return b.Runtime == "docker" }

// dockerNode lays out Docker, with cri-dockerd from 1.24 on or where it is to be the target.
func (b *builder) dockerNode(serves bool) {
	const dir = "/usr/lib/systemd/system/"
	b.write(dir+"docker.service", dockerUnit)
	b.write(dir+"docker.socket", dockerSocket)
	b.installRunc()
	docker := hosttest.Dockerd(b.docker)
	docker.Output = answers("Docker version "+b.docker+", build 0000000", "")
	b.m.Install(docker)
	b.m.Install(hosttest.Program{Path: "/usr/bin/docker", Version: b.docker, Output: answers("Docker version "+b.docker+", build 0000000", "")})
	if !b.dockershim() {
		b.write(dir+"cri-docker.service", b.criDockerService())
		b.write(dir+"cri-docker.socket", criDockerSocket)
		cri := hosttest.CRIDockerd(b.criDockerd, b.docker)
		cri.CRI.SandboxImage = b.dockerPause()
		cri.SpeaksBoth = !strings.HasPrefix(b.criDockerd, "0.4.2") && !strings.HasPrefix(b.criDockerd, "0.4.3")
		if strings.HasPrefix(b.criDockerd, "0.4") {
			cri.CRI.CgroupDriver = "systemd"
		}
		cri.Output = answers("cri-dockerd "+b.criDockerd+" (HEAD)", "")
		b.m.Install(cri)
	}
	if serves {
		for _, unit := range []string{"docker.service", "cri-docker.service"} {
			if unit == "docker.service" || !b.dockershim() {
				b.enable(unit, dir+unit, "multi-user.target")
				socket := strings.TrimSuffix(unit, ".service") + ".socket"
				b.enable(socket, dir+socket, "sockets.target")
			}
		}
		if b.Installer != KubeadmOld {
			b.write("/etc/systemd/system/docker.service.d/http-proxy.conf", proxyDropIn)
		}
	}
	b.dockerConfig(serves)
}

// dockerPause is the sandbox image that cri-dockerd uses: as it is told where it serves, else as it is built in.
func (b *builder) dockerPause() string {
	if b.Runtime == "docker" {
		return b.pauseImage()
	}
	switch {
	case minorVersion(b.criDockerd) < 3 || b.criDockerd == "0.3.4":
		return "registry.k8s.io/pause:3.6"
	case b.criDockerd == "0.3.10":
		return "registry.k8s.io/pause:3.9"
	}
	return "registry.k8s.io/pause:3.10"
}

// criDockerService is its unit; where it serves, an installer told it the sandbox image.
func (b *builder) criDockerService() string {
	unit := criDockerUnit
	if b.criDockerd == "0.2.6" {
		unit = strings.ReplaceAll(unit, "fd://", "fd:// --network-plugin=")
	}
	if b.Runtime == "docker" {
		unit = strings.ReplaceAll(unit, "--network-plugin=", "--network-plugin=cni")
		unit = strings.ReplaceAll(unit, "fd://", "fd:// --pod-infra-container-image="+b.pauseImage())
	}
	return unit
}
