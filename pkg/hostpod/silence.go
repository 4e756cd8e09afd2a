package hostpod

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Silence is how long a host pod waits for a word of the plugin before it ends by itself, and how long a canary pod runs
// at all. It ends so whatever became of the plugin, and of the node in between.
const Silence = 3 * time.Minute

const (
	// silenceTick is how often a host pod looks whether it was spoken to.
	silenceTick = 5 * time.Second
	// keepAlive is how long the plugin leaves a host pod that it holds without a word.
	keepAlive = 40 * time.Second
)

// heardDir is a directory in memory that every container of every runtime has of its own, so that a full disk keeps nobody from
// being heard, and the pod has no volume that would stop a drain. Whoever speaks to the pod leaves heardMark in it: a directory, as
// making one follows no link that an image may have put there. The scripts of the pod redirect nothing into it either.
const (
	heardDir  = "/dev"
	heardMark = "kubectl-runtime-heard"
)

// watchdog is the script that a host pod runs. It counts silent ticks and reads no clock, as clocks jump; it takes no
// input; and it names its programs by their paths. It ends with 0 after the silence alone: whatever else ends it, as the
// exchange of the runtime does, has the kubelet start it again, and the silence begins anew.
func watchdog(dir string, tick, silence time.Duration) string {
	return fmt.Sprintf(`silent=0
while [ "$silent" -lt %[3]d ]; do
  /bin/sleep %[2]g || exit 1
  silent=$((silent + 1))
  if [ -d %[1]s/%[4]s ]; then
    /bin/rmdir %[1]s/%[4]s || exit 1
    silent=0
  fi
done
`, dir, tick.Seconds(), silence/tick, heardMark)
}

// farewell is what a host pod does after the silence: the agent that was brought through it, $2 in the directory $1, removes what nothing
// needs on the node, itself among that, as its plugin would have done; callScript, which runs it, is $3. An upload that a power cut
// ended has left a part of one. The words of host enter the host's namespaces.
func farewell(host ...string) string {
	return fmt.Sprintf(`host() { /usr/bin/timeout 120 %s "$@"; }
host /bin/sh -c "$3" "$0" "$1" "$2" finish
host find "$1" -maxdepth 1 -name '*.tmp.*' -mmin +2 -exec /bin/rm -f {} +
exit 0
`, strings.Join(host, " "))
}

// speaking is a command that leaves the mark first, without the container's environment. Without a command it leaves the mark alone.
func speaking(dir string, argv []string) []string {
	return clean(script(fmt.Sprintf(`/bin/mkdir %s/%s 2>&-; exec "$@"`, dir, heardMark), argv...)...)
}

// line is the way to run commands in one host pod: each of them tells the pod that somebody is there.
type line struct {
	Execer
	mu    sync.Mutex
	busy  int
	spoke time.Time
}

// Exec implements Execer.
func (l *line) Exec(ctx context.Context, namespace, pod, container string, argv []string, stdin io.Reader, stdout, stderr io.Writer) error {
	l.begin()
	defer l.end()
	return l.Execer.Exec(ctx, namespace, pod, container, speaking(heardDir, argv), stdin, stdout, stderr)
}

func (l *line) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy++
	l.spoke = time.Now()
}

func (l *line) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy--
}

// quiet is how long nobody has spoken; nothing while a command is under way, as none lasts as long as the silence.
func (l *line) quiet() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy > 0 {
		return 0
	}
	return time.Since(l.spoke)
}

// keep speaks to the pod whenever nobody else has for a while, until ctx ends: a plugin that waits for its operator or for
// a drain holds its pod all the same. A word that doesn't arrive is told by the next question, whose answer is needed.
func (l *line) keep(ctx context.Context, pod *corev1.Pod) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(keepAlive - min(l.quiet(), keepAlive)):
		}
		if l.quiet() < keepAlive {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, shortCall)
		_ = l.Exec(bounded, pod.Namespace, pod.Name, Container, nil, nil, io.Discard, io.Discard)
		cancel()
	}
}
