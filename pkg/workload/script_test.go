package workload

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// lines shows a script's commands: @ before what runs on the node, DIR> before what runs below a chroot.
func lines(s script) []string {
	var out []string
	for _, k := range s.calls {
		line := strings.Join(k.argv, " ")
		if k.root != "" {
			line = k.root + "> " + line
		}
		if k.host {
			line = "@ " + line
		}
		out = append(out, line)
	}
	for _, h := range s.dockerHosts {
		out = append(out, "DOCKER_HOST="+h.value)
	}
	for _, r := range s.runs {
		out = append(out, "run "+r)
	}
	return out
}

func TestScript(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         []string
	}{
		{"plain", "docker ps", []string{"docker ps"}},
		{"comment", "# docker ps\n: # docker ps", []string{":"}},
		{"here document", "cat <<EOF > x\ndocker ps\nEOF", []string{"cat"}},
		{"here document for a shell", "bash -s <<EOF\ndocker ps\nEOF", []string{"docker ps"}},
		{"string", `echo "docker ps"`, []string{"echo docker ps"}},
		{"substitution", `x=$(docker ps -q)`, []string{"docker ps -q"}},
		{"backquotes", "x=`docker ps -q | wc -l`", []string{"docker ps -q", "wc -l"}},
		{"condition", "if ! docker info; then\n  exit 1\nfi", []string{"docker info", "exit 1"}},
		{"half a condition", "if docker info; then", []string{"docker info"}},
		{"broken elsewhere", "docker ps\n)(\nwhile docker info; do", []string{"docker ps", "docker info"}},
		{"wrappers", "sudo -u root -E nice -n 5 timeout -s KILL 30 docker ps", []string{"docker ps"}},
		{"long options", "timeout --signal=KILL --kill-after 5 30 docker ps", []string{"docker ps"}},
		{"env", "env -i A=b DOCKER_HOST=tcp://x:2375 docker ps", []string{"docker ps", "DOCKER_HOST=tcp://x:2375"}},
		{"assignment", "DOCKER_HOST=tcp://x:2375 docker ps", []string{"docker ps", "DOCKER_HOST=tcp://x:2375"}},
		{"export", "export DOCKER_HOST=unix:///x.sock", []string{"DOCKER_HOST=unix:///x.sock"}},
		{"xargs", "ls | xargs -r -n 1 docker rm", []string{"ls", "docker rm"}},
		{"nested shell", `sh -ec 'bash -lc "docker ps"'`, []string{"docker ps"}},
		{"shell options", `bash -o pipefail -c 'docker ps'`, []string{"docker ps"}},
		{"shell file", `bash -x /scripts/a 1`, []string{"run /scripts/a"}},
		{"command -v", "command -v docker", nil},
		{"command", "command docker ps", []string{"docker ps"}},
		{"eval", `eval "docker ps"`, []string{"docker ps"}},
		{"trap", `trap 'docker rm x' EXIT`, []string{"docker rm x"}},
		{"su", `su - ci -c 'docker ps'`, []string{"docker ps"}},
		{"chroot", "chroot /host docker ps", []string{"chroot /host docker ps", "/host> docker ps"}},
		{"chroot with shell", "chroot /host sh -c 'docker ps'", []string{"chroot /host sh -c docker ps", "/host> docker ps"}},
		{"nsenter", "nsenter -t 1 -m -u -- docker ps", []string{"@ docker ps"}},
		{"nsenter joined", "nsenter -t1 -mun docker ps", []string{"@ docker ps"}},
		{"nsenter by file", "nsenter --mount=/proc/1/ns/mnt -- docker ps", []string{"@ docker ps"}},
		{"nsenter to another", "nsenter -t 42 -m docker ps", []string{"docker ps"}},
		{"nsenter, network alone", "nsenter -t 1 -n docker ps", []string{"docker ps"}},
		{"flock with a line", "flock /lock -c 'docker ps'", []string{"docker ps"}},
		{"watch with a line", "watch -n 5 'docker ps'", []string{"docker ps"}},
		{"default of a variable", `${DOCKER:-docker} ps`, []string{"docker ps"}},
		{"variable", `$DOCKER ps`, []string{"$ ps"}},
		{"path", "/usr/bin/docker ps", []string{"/usr/bin/docker ps", "run /usr/bin/docker"}},
		{"escaped", `\docker ps`, []string{"docker ps"}},
		{"continued", "docker \\\n  ps", []string{"docker ps"}},
		{"deeper than anybody writes", "eval eval eval eval eval eval eval docker ps", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, lines(readScript(newParser(), c.script))); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
		})
	}
}

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
