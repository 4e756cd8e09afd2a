package shell_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/shell"
)

// lines shows a script's commands: @ before what runs on the node, DIR> before what runs below a chroot.
func lines(s shell.Script) []string {
	var out []string
	for _, k := range s.Calls {
		line := strings.Join(k.Argv, " ")
		if k.Root != "" {
			line = k.Root + "> " + line
		}
		if k.Host {
			line = "@ " + line
		}
		out = append(out, line)
	}
	for _, h := range s.DockerHosts {
		out = append(out, "DOCKER_HOST="+h.Value)
	}
	for _, r := range s.Runs {
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
		{"variable that is set", "DOCKER=/usr/bin/docker\n\"$DOCKER\" ps", []string{"/usr/bin/docker ps", "run /usr/bin/docker"}},
		{"variable of several words", `D="sudo docker -H x"; $D ps "$D"`, []string{"docker -H x ps sudo docker -H x"}},
		{"variable in a function", `readonly D=docker; f() { ${D} ps; }`, []string{"docker ps"}},
		{"variable that is set later", "$D ps\nD=docker", []string{"$ ps"}},
		{"variable that is added to", `D=dock; D+=er; ${D:-podman} ps; ${#D} x`, []string{"docker ps", "$ x"}},
		{"variable that is located", "D=$(command -v docker) || exit 1\nE=`which ctr`; $D ps; $E ls; F=$(type docker); $F", []string{
			"exit 1", "which ctr", "docker ps", "ctr ls", "type docker", "$",
		}},
		{"variable that is empty", `OPTS=; docker $OPTS ps; $OPTS`, []string{"docker ps"}},
		{"host by a variable", `H=tcp://x:2375; export DOCKER_HOST=$H`, []string{"DOCKER_HOST=tcp://x:2375"}},
		{"path", "/usr/bin/docker ps", []string{"/usr/bin/docker ps", "run /usr/bin/docker"}},
		{"escaped", `\docker ps`, []string{"docker ps"}},
		{"continued", "docker \\\n  ps", []string{"docker ps"}},
		{"deeper than anybody writes", "eval eval eval eval eval eval eval docker ps", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, lines(shell.NewParser().Script(c.script))); diff != "" {
				t.Errorf("(-want +have)\n%s", diff)
			}
		})
	}
}

// TestVariablesBounded reads a script that doubles a variable until no memory holds it, and writes it out again and again.
func TestVariablesBounded(t *testing.T) {
	script := "A=docker\n" + strings.Repeat("A=$A$A\n", 9) + "echo " + strings.Repeat("$A", 40000) + strings.Repeat(" $A", 40000) + "\n" + strings.Repeat("A=$A$A\n", 60) + "$A"
	bytes := 0
	for _, c := range shell.NewParser().Script(script).Calls {
		for _, w := range c.Argv {
			bytes += len(w)
		}
	}
	if bytes < 1<<19 || bytes > 4<<20 {
		t.Errorf("%d bytes", bytes)
	}
}
