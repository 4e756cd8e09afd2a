package workload

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBrief(t *testing.T) {
	for _, c := range []struct {
		argv []string
		want string
	}{
		{[]string{"docker", "run", "-e", "DB_PASSWORD=hunter2", "--token=abc", "x=y"}, "docker run -e DB_PASSWORD=… --token=… x=y"},
		{[]string{"docker", "-H", "tcp://me:secret@host:2376", "ps"}, "docker -H tcp://me:…@host:2376 ps"},
		{[]string{"docker", "pull", "registry.example.org/a@sha256:12"}, "docker pull registry.example.org/a@sha256:12"},
		{[]string{"docker", "$"}, "docker …"},
		{[]string{"sh", "-c", "a\nb"}, "sh -c a …"},
	} {
		if have := brief(c.argv); have != c.want {
			t.Errorf("%q, want %q", have, c.want)
		}
	}
}

func TestPathsIn(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"unix:///var/run/docker.sock", []string{"/var/run/docker.sock"}},
		{"-v /var/run/docker.sock:/docker.sock:ro", []string{"/var/run/docker.sock", "/docker.sock"}},
		{`{"socket": "//run//containerd/containerd.sock"}`, []string{"/run/containerd/containerd.sock"}},
		{"/var/run/docker.sock.bak /var/run/mydocker.sock docker.sock", nil},
		{"# /var/run/docker.sock", nil},
		{"x: y # /var/run/docker.sock", nil},
		{"  // /var/run/docker.sock", nil},
		{"; /var/run/docker.sock", nil},
		{"/host/var/lib/docker/containers/*/*.log", []string{"/host/var/lib/docker/containers/*/*.log"}},
		{"/var/lib/dockerfoo", nil},
		{"--a=/etc/docker/daemon.json", []string{"/etc/docker/daemon.json"}},
		{"https://example.org/docker.socks", nil},
	} {
		var have []string
		for _, n := range pathsIn(c.text) {
			have = append(have, n.path)
		}
		if diff := cmp.Diff(c.want, have); diff != "" {
			t.Errorf("%s (-want +have)\n%s", c.text, diff)
		}
	}
}

func TestClassify(t *testing.T) {
	k := newKnown()
	for _, c := range []struct {
		path string
		want string
	}{
		{"/var/run/docker.sock", "docker socket"},
		{"/run/docker.sock", "docker socket"},
		{"//var///run/./docker.sock/", "docker socket"},
		{"/var/run/x/../docker.sock", "docker socket"},
		{`\\.\pipe\docker_engine`, "docker socket"},
		{"/run/user/1000/docker.sock", "docker socket"},
		{"/run/cri-dockerd.sock", "docker shim"},
		{"/var/run/dockershim.sock", "docker shim"},
		{"/var/lib/dockershim/sandbox", "docker shim"},
		{"/run/containerd/containerd.sock", "containerd socket"},
		{"/var/run/containerd", "containerd socket"},
		{"/run/containerd/fifo", "containerd data"},
		{"/run/k3s/containerd/containerd.sock", "containerd socket"},
		{"/run/crio/crio.sock", "cri-o socket"},
		{"/var/lib/docker/containers/abc", "docker logs"},
		{"/var/lib/docker/overlay2", "docker data"},
		{"/etc/docker/certs.d", "docker config"},
		{"/usr/bin/docker", "docker binary"},
		{"/usr/local/bin/ctr", "containerd binary"},
		{"/", "parent"},
		{"/var/run", "parent"},
		{"/var/lib/", "docker parent"},
		{"/var/run/dockerfoo", ""},
		{"/var/run/docker.sock.d", ""},
		{"/var/runner", ""},
		{"/runner", ""},
		{"/opt/docker", ""},
		{"/usr/bin", ""},
		{"/usr/bin/dockerize", ""},
		{"/home/bin/docker/x", ""},
		{"", "parent"},
	} {
		have := ""
		if p, ok := k.classify(c.path); ok {
			have = strings.TrimSpace(string(p.runtime) + " " + map[kind]string{
				socket: "socket", shim: "shim", logs: "logs", data: "data", config: "config", binary: "binary", parent: "parent",
			}[p.kind])
		}
		if have != c.want {
			t.Errorf("%q: %q, want %q", c.path, have, c.want)
		}
	}
}
