//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubectl-runtime/kubectl-runtime/e2e/bed"
)

// strangersHome is where the local user lives: /tmp of a node may not be run from.
const strangersHome = "/home/e2e-stranger"

// strangerScript starts, as a user without any rights, all that can be taken for a part of the node, again and again: daemons, a
// kubelet, monitors, with specifications that never end where they stand, and units of the user's that can't be read.
const strangerScript = `
home=` + strangersHome + `
mkdir -p $home/pipe $home/endless $home/.config/systemd/user/x.service.d
for name in containerd crio dockerd cri-dockerd kubelet containerd-shim-runc-v2 conmon; do
  cp $home/stranger $home/$name
done
mkfifo $home/pipe/config.json $home/.config/systemd/user/pipe.service
ln -s /dev/zero $home/endless/config.json
ln -s /dev/zero $home/.config/systemd/user/zero.service
chown -R 65534:65534 $home
start() { # a directory, then the command
  setsid -f setpriv --reuid 65534 --regid 65534 --clear-groups bash -c 'cd "$0" && while :; do "$@"; sleep 0.1; done' "$@" >/dev/null 2>&1 </dev/null
}
for name in containerd crio dockerd cri-dockerd kubelet; do
  start $home $home/$name
done
start $home/pipe $home/containerd-shim-runc-v2 -namespace moby -id 1
start $home/endless $home/containerd-shim-runc-v2 -namespace moby -id 2
start $home $home/containerd-shim-runc-v2 -namespace k8s.io -id 3 -address /run/containerd/containerd.sock
start $home $home/conmon -b /run/containers/storage/overlay-containers/1/userdata --exit-dir /var/run/crio/exits
for _ in $(seq 50); do
  [ "$(pgrep -c -u 65534 -f ^$home/)" -lt 9 ] || exit 0
  sleep 0.2
done
echo "the strangers don't run" >&2
exit 1
`

// strangerEnd ends them, and nobody else.
const strangerEnd = `
for _ in 1 2 3; do
  pkill -KILL -u 65534 -f ` + strangersHome + ` || true
  sleep 0.2
done
rm -rf ` + strangersHome

// strangersProgram puts their program on a node until the test ends.
func strangersProgram(t *testing.T, n *bed.Node) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "stranger")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./stranger")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the stranger: %v\n%s", err, out)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	n.Undo(t, strangerEnd)
	if _, err := n.RunIn(t.Context(), data, fmt.Sprintf("mkdir -p %[1]s && cat >%[1]s/stranger && chmod 755 %[1]s/stranger", strangersHome)); err != nil {
		t.Fatal(err)
	}
}

// strangers starts them on a node until the test ends.
func strangers(t *testing.T, n *bed.Node) {
	t.Helper()
	strangersProgram(t, n)
	n.Sh(t, strangerScript)
}

// noMark fails the test where one of the strangers' programs was run by root.
func noMark(t *testing.T, n *bed.Node, during string) {
	t.Helper()
	out, err := n.Run(context.WithoutCancel(t.Context()), "grep -H . "+strangersHome+"/*.ran-as-root 2>/dev/null || true")
	if err != nil {
		t.Fatal(err)
	}
	if marks := strings.TrimSpace(string(out)); marks != "" {
		t.Errorf("%s: root ran a local user's program:\n%s", during, marks)
	}
}

// TestLocalUser: a user of the node who calls his programs what the node's own are called gains nothing by it, and holds nothing up.
func TestLocalUser(t *testing.T) {
	const slower = 5 * time.Second
	b := bed.Open(t)
	n := b.Pool(t).Worker(t)
	before := n.Photo(t)
	thereAndBack := func(what string) (there, back time.Duration) {
		start := time.Now()
		b.Expect(t, 0, patience, switchArgs(n)...)
		there = time.Since(start)
		noMark(t, n, what+", switch")
		n.On(t, target, time.Minute)
		start = time.Now()
		b.Expect(t, 0, patience, rollbackArgs(n)...)
		back = time.Since(start)
		noMark(t, n, what+", rollback")
		n.On(t, bed.Home, time.Minute)
		return there, back
	}
	// A machine that is busy with other things delays now one, now the other: held up is what is slower each time.
	const tries = 3
	for try := 1; ; try++ {
		there, back := thereAndBack("undisturbed")
		strangers(t, n)
		for _, args := range [][]string{
			{"status", "--deep", n.Name},
			{"check", n.Name, "--to", target, "--fail-on", "never"},
		} {
			s := b.Expect(t, 0, patience, args...)
			noMark(t, n, s.String())
			if strings.Contains(s.Output(), strangersHome) {
				t.Errorf("%s tells a local user's process as one of the node's:\n%s", s, s.Output())
			}
		}
		thereNow, backNow := thereAndBack("beside strangers")
		// They live: rootless containers are no pods of this node.
		if left := n.Sh(t, "pgrep -c -u 65534 -f ^"+strangersHome+"/ || true"); left < "1" {
			t.Errorf("of the local user's processes %q are left", left)
		}
		n.Sh(t, strangerEnd)
		t.Logf("switch: %v undisturbed, %v beside strangers; rollback: %v and %v", there, thereNow, back, backNow)
		if thereNow <= there+slower && backNow <= back+slower {
			break
		}
		if try == tries {
			t.Errorf("a local user's processes hold a switch or a rollback up for more than %s, %d times of %d", slower, tries, tries)
			break
		}
	}
	unchanged(t, b, n, before)
}

// squatters start, as that user, what listens in the kubelet's place as soon as the kubelet is stopped: at its health check, where one
// follows another for ever, and at the port without which it doesn't start.
const squatters = `
home=` + strangersHome + `
cp $home/stranger $home/squatter
chown -R 65534:65534 $home
run() { setsid -f setpriv --reuid 65534 --regid 65534 --clear-groups "$@" >/dev/null 2>&1 </dev/null; }
run bash -c "cd $home && while :; do $home/squatter --listen 127.0.0.1:10248; done"
run $home/squatter --listen 127.0.0.1:10250
for _ in $(seq 50); do
  [ "$(pgrep -c -u 65534 -f ^$home/squatter)" -lt 2 ] || exit 0
  sleep 0.2
done
echo "the squatters don't run" >&2
exit 1
`

// healthAgain waits until the kubelet has its health check back: it tries that every few seconds.
const healthAgain = `
for _ in $(seq 60); do
  (exec 3<>/dev/tcp/127.0.0.1/10248) && exit 0
  sleep 0.5
done 2>/dev/null
echo "the kubelet doesn't listen for its health check" >&2
exit 1
`

// TestSquatter: a user of the node who takes the kubelet's ports while a switch has it stopped keeps the node from going neither there
// nor back, and is told of.
func TestSquatter(t *testing.T) {
	b := bed.Open(t)
	n := b.Pool(t).Worker(t)
	before := n.Photo(t)
	strangersProgram(t, n)
	for _, way := range []struct {
		args []string
		on   string
	}{
		{switchArgs(n), target},
		{rollbackArgs(n), bed.Home},
	} {
		n.Sh(t, squatters)
		s := b.Expect(t, 0, patience, way.args...)
		n.On(t, way.on, time.Minute)
		if out := s.Output(); !strings.Contains(out, "of user 65534") {
			t.Errorf("%s doesn't tell of who had taken the kubelet's place:\n%s", s, out)
		}
		noMark(t, n, s.String())
		n.Sh(t, strangerEnd+healthAgain)
		strangersProgram(t, n)
	}
	n.Sh(t, strangerEnd)
	unchanged(t, b, n, before)
}
