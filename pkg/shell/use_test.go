package shell_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

func TestUseOf(t *testing.T) {
	const docker, containerd, crio = v1alpha1.Docker, v1alpha1.Containerd, v1alpha1.CRIO
	for command, want := range map[string]shell.Use{
		"/usr/bin/docker run --rm redis":                                   {Runtime: docker},
		"docker -H ssh://build ps":                                         {Runtime: docker, Address: "ssh://build"},
		"docker --context default ps":                                      {Runtime: docker},
		"docker -c far ps":                                                 {Runtime: docker, Address: "context:far"},
		"docker run -H x redis":                                            {Runtime: docker},
		"docker-compose -f /srv/shop.yaml up -d":                           {Runtime: docker},
		"dockerd --data-root /srv/docker":                                  {Runtime: docker, Daemon: true},
		"dockerd":                                                          {Runtime: docker, Daemon: true},
		"ctr -n k8s.io images ls":                                          {Runtime: containerd},
		"nerdctl --address /run/k3s/containerd/containerd.sock ps":         {Runtime: containerd, Address: "/run/k3s/containerd/containerd.sock"},
		"crictl -r unix:///var/run/cri-dockerd.sock ps":                    {Runtime: docker, Address: "unix:///var/run/cri-dockerd.sock"},
		"crictl --runtime-endpoint=unix:///run/containerd/containerd.sock": {Runtime: containerd, Address: "unix:///run/containerd/containerd.sock"},
		"crio status info":                                                 {Runtime: crio},
		"crio-status config":                                               {Runtime: crio},
		"curl -s --unix-socket /var/run/docker.sock http://d/info":         {Runtime: docker, Address: "/var/run/docker.sock"},
		"socat - UNIX-CONNECT:/var/run/docker.sock,retry=3":                {Runtime: docker, Address: "/var/run/docker.sock"},
		"nc -NU /var/run/docker.sock":                                      {Runtime: docker, Address: "/var/run/docker.sock"},
		"systemctl restart docker":                                         {Runtime: docker, Daemon: true},
		"service docker status":                                            {Runtime: docker, Daemon: true},
		"systemctl is-active -q containerd.service":                        {Runtime: containerd, Daemon: true},
		"systemctl reload crio":                                            {Runtime: crio, Daemon: true},
		"pkill -HUP dockerd":                                               {Runtime: docker, Daemon: true},
	} {
		got, ok := shell.UseOf(strings.Fields(command))
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("%s: %v, (-want +have)\n%s", command, ok, diff)
		}
	}
	for _, command := range []string{
		"dockerize -wait tcp://db:5432", "podman ps", "docker --version", "docker login registry.example.org", "dockerd --version",
		"crictl ps", "crictl --timeout 5s ps", "crictl -r unix:///run/isulad.sock ps", "crio config", "crio", "containerd config dump",
		"curl https://get.docker.com", "curl --unix-socket /run/snapd.socket http://x", "curl -U docker.sock x", "socat - TCP:db:1",
		"rm -f /var/run/docker.sock", "ls /opt/docker-data", "systemctl stop docker", "systemctl disable --now docker.socket",
		"systemctl restart docker-registry", "journalctl -u docker", "apt-get install docker", "kubectl get pods", "echo docker ps",
	} {
		if got, ok := shell.UseOf(strings.Fields(command)); ok {
			t.Errorf("%s: %+v", command, got)
		}
	}
}
