package hostpod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/redact"
)

// Execer runs a command in a container of a pod.
type Execer interface {
	Exec(ctx context.Context, namespace, pod, container string, argv []string, stdin io.Reader, stdout, stderr io.Writer) error
}

// remote is exec through the API server, over WebSocket and, where a proxy or an old server doesn't let that through,
// over SPDY.
type remote struct {
	client kubernetes.Interface
	config *rest.Config
}

func (r remote) Exec(ctx context.Context, namespace, pod, container string, argv []string, stdin io.Reader, stdout, stderr io.Writer) error {
	url := r.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: container, Command: argv, Stdin: stdin != nil, Stdout: true, Stderr: true},
			scheme.ParameterCodec).URL()
	spdy, err := remotecommand.NewSPDYExecutor(r.config, "POST", url)
	if err != nil {
		return err
	}
	socket, err := remotecommand.NewWebSocketExecutor(r.config, "GET", url.String())
	if err != nil {
		return err
	}
	both, err := remotecommand.NewFallbackExecutor(socket, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	if err != nil {
		return err
	}
	return both.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: stdin, Stdout: stdout, Stderr: stderr})
}

// CommandError says that a command ran on the node and failed.
type CommandError struct {
	What   string
	Code   int
	Stderr string
}

// Error implements error.
func (e *CommandError) Error() string {
	if e.Stderr == "" {
		return fmt.Sprintf("%s: exit code %d", e.What, e.Code)
	}
	return fmt.Sprintf("%s: exit code %d: %s", e.What, e.Code, e.Stderr)
}

// run executes a command and returns its output. A command that ran and failed is a *CommandError, and its output is
// returned all the same; every other error means that it isn't known whether it ran.
func run(ctx context.Context, x Execer, p *corev1.Pod, what string, argv []string, stdin io.Reader) ([]byte, error) {
	var out bytes.Buffer
	tail := &tail{keep: 2048}
	err := x.Exec(ctx, p.Namespace, p.Name, Container, argv, stdin, &limited{w: &out, left: maxAnswer}, tail)
	var code utilexec.CodeExitError
	// Above 128 a signal ended it: its container was going away.
	if errors.As(err, &code) && code.Code <= 128 && !notStarted(tail.String()+out.String()) {
		return out.Bytes(), &CommandError{What: what, Code: code.Code, Stderr: tail.String()}
	}
	if err != nil {
		if s := tail.String(); s != "" {
			return out.Bytes(), fmt.Errorf("%s: %w: %s", what, err, s)
		}
		return out.Bytes(), fmt.Errorf("%s: %w", what, err)
	}
	return out.Bytes(), nil
}

// maxAnswer bounds what is taken in from a node.
const maxAnswer = 64 << 20

type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		return 0, errors.New("the node sends more than it should")
	}
	l.left -= len(p)
	return l.w.Write(p)
}

// tail keeps the end of what is written to it.
type tail struct {
	keep int
	b    []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if extra := len(t.b) - t.keep; extra > 0 {
		t.b = append(t.b[:0], t.b[extra:]...)
	}
	return len(p), nil
}

// String is the end on one line, without control characters and secrets: it comes from the node and goes to a terminal.
func (t *tail) String() string {
	return redact.Text(string(bytes.TrimSpace(bytes.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, t.b))))
}
