package hostpod

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilexec "k8s.io/client-go/util/exec"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod/agentbin"
)

// node-side of exec: answers in turn, and remembers what was run. A command beyond its script fails the test.
type scripted struct {
	t       *testing.T
	answers []func(stdin []byte, stdout, stderr io.Writer) error
	argv    [][]string
}

func (s *scripted) Exec(_ context.Context, _, _, container string, argv []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if container != Container {
		s.t.Errorf("exec in container %q", container)
	}
	s.argv = append(s.argv, argv)
	if len(s.answers) == 0 {
		s.t.Errorf("unexpected command %q", argv)
		return utilexec.CodeExitError{Err: errors.New("unexpected"), Code: 99} // final, or it would be asked for ever
	}
	var in []byte
	if stdin != nil {
		in, _ = io.ReadAll(stdin)
	}
	f := s.answers[0]
	s.answers = s.answers[1:]
	return f(in, stdout, stderr)
}

type answer = func(stdin []byte, stdout, stderr io.Writer) error

func say(r v1alpha1.Response) answer {
	return func(_ []byte, stdout, _ io.Writer) error {
		r.APIVersion = v1alpha1.APIVersion
		return json.NewEncoder(stdout).Encode(r)
	}
}

func cut(text string) answer {
	return func(_ []byte, w, _ io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

func exit(code int, text string) answer {
	return func(_ []byte, _, stderr io.Writer) error {
		_, _ = io.WriteString(stderr, text)
		return utilexec.CodeExitError{Err: errors.New("exit"), Code: code}
	}
}

func broken(err error) answer { return func([]byte, io.Writer, io.Writer) error { return err } }

var ok answer = func([]byte, io.Writer, io.Writer) error { return nil }

// testPod is a pod that runs on the test's API server.
func testPod(t *testing.T, answers ...answer) (*Pod, *scripted, *apitest.Server) {
	t.Helper()
	api := apitest.New(t)
	x := &scripted{t: t, answers: answers}
	object := Build(options("amd64"))
	object.UID = "pod-uid"
	object.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: Container, ContainerID: "docker://1", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	api.Put("pods", object)
	var stored corev1.Pod
	api.Get("pods", object.Namespace, object.Name, &stored)
	p := &Pod{client: api.Client(), exec: x, pod: &stored, agent: agentbin.Agent{SHA256: "abc"}, pause: time.Millisecond}
	t.Cleanup(func() {
		if len(x.answers) > 0 {
			t.Errorf("%d commands were not run", len(x.answers))
		}
	})
	return p, x, api
}

func TestCall(t *testing.T) {
	reset := errors.New("read: connection reset by peer")
	facts := v1alpha1.Response{APIVersion: v1alpha1.APIVersion, Facts: &v1alpha1.Facts{Node: "worker-1"}}
	tests := map[string]struct {
		answers []answer
		want    v1alpha1.Response
		err     string
	}{
		"answers":                       {answers: []answer{say(facts)}, want: facts},
		"asks again after broken lines": {answers: []answer{broken(reset), broken(errors.New(`container not found ("agent")`)), say(facts)}, want: facts},
		"an error is an answer": {
			answers: []answer{say(v1alpha1.Response{Error: "another run is open", Code: v1alpha1.CodeBusy})},
			want:    v1alpha1.Response{APIVersion: v1alpha1.APIVersion, Error: "another run is open", Code: v1alpha1.CodeBusy},
			err:     "the agent on node worker-1 answered to gather: another run is open",
		},
		"a crash is told with its last words": {answers: []answer{exit(2, "panic: x\n\tgoroutine 1 [running]\x1b[31m")}, err: "exit code 2: panic: x  goroutine 1 [running][31m"},
		"asks again after a stream that was cut": {
			answers: []answer{ok, cut(`{"apiVersion":"kubectl-run`), cut(`{"apiVersion":"kubectl-runtime/v1alpha1","run":`), exit(137, ""), say(facts)}, want: facts,
		},
		"nonsense": {answers: []answer{cut("ld.so: bad ELF")}, err: "its answer can't be read"},
		"the agent was taken away": {
			answers: []answer{exit(127, "no such file"), exit(1, ""), ok, say(facts)}, want: facts,
		},
		"another version": {
			answers: []answer{cut(`{"apiVersion":"kubectl-runtime/v9"}`)},
			want:    v1alpha1.Response{APIVersion: "kubectl-runtime/v9"}, err: `it speaks "kubectl-runtime/v9"`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, x, _ := testPod(t, tt.answers...)
			got, err := p.Call(t.Context(), v1alpha1.Request{Verb: v1alpha1.VerbGather})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
			want := []string{"nsenter", "-t", "1", "-m", "-u", "-i", "-n", "-p", "--", "/var/lib/kubectl-runtime/agents/abc"}
			if !slices.Equal(x.argv[0], want) {
				t.Errorf("ran %q", x.argv[0])
			}
		})
	}
}

func TestCallOfAPodThatIsGone(t *testing.T) {
	lost := errors.New(`pods "x" not found`)
	tests := map[string]func(*apitest.Server, *corev1.Pod){
		"deleted":           func(api *apitest.Server, p *corev1.Pod) { api.Delete("pods", p.Namespace, p.Name) },
		"past its lifetime": func(api *apitest.Server, p *corev1.Pod) { p.Status.Phase = corev1.PodFailed; api.Put("pods", p) },
		"on its way out":    func(api *apitest.Server, p *corev1.Pod) { p.DeletionTimestamp = new(metav1.Now()); api.Put("pods", p) },
		"replaced by a stranger": func(api *apitest.Server, p *corev1.Pod) {
			api.Delete("pods", p.Namespace, p.Name)
			p.UID = "another"
			api.Put("pods", p)
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			p, _, api := testPod(t, broken(lost))
			change(api, p.pod.DeepCopy())
			if _, err := p.Call(t.Context(), v1alpha1.Request{Verb: v1alpha1.VerbGather}); !errors.Is(err, ErrGone) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCallEndsWithItsContext(t *testing.T) {
	p, _, _ := testPod(t)
	p.exec = hanging{}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := p.Call(ctx, v1alpha1.Request{Verb: v1alpha1.VerbGather}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

type hanging struct{}

func (hanging) Exec(ctx context.Context, _, _, _ string, _ []string, _ io.Reader, _, _ io.Writer) error {
	<-ctx.Done()
	return ctx.Err()
}

func packed(t *testing.T, program string) agentbin.Agent {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, program)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := agentbin.New("amd64", b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestEnsureAgent(t *testing.T) {
	agent := packed(t, "program")
	t.Run("is there", func(t *testing.T) {
		p, _, _ := testPod(t, ok)
		if err := p.EnsureAgent(t.Context(), agent); err != nil {
			t.Error(err)
		}
	})
	t.Run("is sent", func(t *testing.T) {
		p, x, _ := testPod(t, exit(1, ""), broken(errors.New("EOF")), func(in []byte, _, _ io.Writer) error {
			if !bytes.Equal(in, agent.Gzip) {
				t.Error("something else was sent")
			}
			return nil
		})
		if err := p.EnsureAgent(t.Context(), agent); err != nil {
			t.Error(err)
		}
		want := []string{"nsenter", "-t", "1", "-m", "-u", "-i", "-n", "-p", "--", "sh", "-c", uploadScript, "kubectl-runtime", "/var/lib/kubectl-runtime/agents", agent.SHA256}
		if diff := cmp.Diff(want, x.argv[2]); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
	t.Run("a host without nsenter", func(t *testing.T) {
		p, _, _ := testPod(t, exit(127, "nsenter: not found"))
		if err := p.EnsureAgent(t.Context(), agent); err == nil || !strings.Contains(err.Error(), "no nsenter") {
			t.Errorf("got %v", err)
		}
	})
}

// The scripts run in a real shell, on a directory of their own.
func TestScripts(t *testing.T) {
	agent := packed(t, "#!/bin/sh\necho here\n")
	base := filepath.Join(t.TempDir(), "kubectl-runtime")
	dir := filepath.Join(base, "agents")
	sh := func(text, sha string, stdin []byte) error {
		argv := script(text, dir, sha)
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin = bytes.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return errors.New(string(out))
		}
		return nil
	}
	if sh(verifyScript, agent.SHA256, nil) == nil {
		t.Error("verified what isn't there")
	}
	if err := sh(uploadScript, agent.SHA256, agent.Gzip); err != nil {
		t.Fatal(err)
	}
	if err := sh(verifyScript, agent.SHA256, nil); err != nil {
		t.Errorf("not verified: %v", err)
	}
	if out, err := exec.Command(filepath.Join(dir, agent.SHA256)).Output(); err != nil || string(out) != "here\n" {
		t.Errorf("ran: %q, %v", out, err)
	}
	for _, path := range []string{base, dir, filepath.Join(dir, agent.SHA256)} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	t.Run("damaged on the way", func(t *testing.T) {
		other := packed(t, "something else")
		if err := sh(uploadScript, agent.SHA256, other.Gzip); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("got %v", err)
		}
		if err := sh(uploadScript, agent.SHA256, agent.Gzip[:20]); err == nil {
			t.Error("took half an agent")
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("left: %v, %v", entries, err)
		}
		if err := sh(verifyScript, agent.SHA256, nil); err != nil {
			t.Errorf("the good one is gone: %v", err)
		}
	})
	t.Run("changed on the node", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(dir, agent.SHA256), []byte("#!/bin/sh\necho evil\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		if sh(verifyScript, agent.SHA256, nil) == nil {
			t.Error("verified a changed agent")
		}
	})
	t.Run("input can't become a command", func(t *testing.T) {
		mark := filepath.Join(t.TempDir(), "mark")
		if sh(verifyScript, "$(touch "+mark+")", nil) == nil {
			t.Error("verified nonsense")
		}
		if _, err := os.Stat(mark); err == nil {
			t.Error("a parameter was run")
		}
	})
}

// kubelet runs every pod that is created, or keeps it in the state that it is given.
func kubelet(api *apitest.Server, status func(pod *corev1.Pod)) (stop func()) {
	done := make(chan struct{})
	go func() {
		seen := map[string]bool{}
		for {
			select {
			case <-done:
				return
			case <-time.After(2 * time.Millisecond):
			}
			for _, id := range api.Names("pods") {
				if seen[id] {
					continue
				}
				seen[id] = true
				namespace, name, _ := strings.Cut(id, "/")
				var pod corev1.Pod
				if api.Get("pods", namespace, name, &pod) {
					status(&pod)
					api.Put("pods", &pod)
				}
			}
		}
	}()
	return func() { close(done) }
}

func waiting(reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: Container, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}
	}
}

func TestStart(t *testing.T) {
	runs := func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: Container, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	}
	tests := map[string]struct {
		status   func(*corev1.Pod)
		admit    func(*unstructured.Unstructured)
		err      string
		requests []string
	}{
		"runs": {status: runs, requests: []string{"create pods", "create pods", "watch pods", "delete pods", "list pods"}},
		"the image isn't there": {
			status: waiting("ErrImageNeverPull", "Container image \"x\" is not present"), err: "ErrImageNeverPull: Container image \"x\" is not present",
		},
		"the kubelet refuses it": {
			status: func(pod *corev1.Pod) {
				pod.Status.Phase, pod.Status.Reason, pod.Status.Message = corev1.PodFailed, "OutOfpods", "Node didn't have enough resource: pods"
			},
			err: "the node refused it: OutOfpods: Node didn't have enough resource: pods",
		},
		"admission changes it": {
			admit: func(pod *unstructured.Unstructured) {
				_ = unstructured.SetNestedField(pod.Object, false, "spec", "hostPID")
			},
			err: "spec.hostPID: true became nothing", requests: []string{"create pods"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			api := apitest.New(t)
			if tt.admit != nil {
				api.Admit(tt.admit)
			}
			if tt.status != nil {
				defer kubelet(api, tt.status)()
			}
			p, err := Start(t.Context(), Client{Kube: api.Client(), Exec: &scripted{t: t}}, options("amd64"))
			if tt.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			} else if _, ok := errors.AsType[*StartError](err); !ok || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v", err)
			}
			if left := api.Names("pods"); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			if diff := cmp.Diff(tt.requests, api.Requests()); tt.requests != nil && diff != "" {
				t.Errorf("requests, -want +got:\n%s", diff)
			}
		})
	}
}

func TestStartInterruptedLeavesNothing(t *testing.T) {
	for at := 1; at <= 4; at++ {
		api := apitest.New(t)
		stop := kubelet(api, func(*corev1.Pod) {})
		ctx, cancel := context.WithCancel(t.Context())
		count := 0
		api.Before(func(string, *http.Request) error {
			if count++; count == at {
				cancel()
			}
			return nil
		})
		time.AfterFunc(200*time.Millisecond, cancel)
		if _, err := Start(ctx, Client{Kube: api.Client(), Exec: &scripted{t: t}}, options("amd64")); err == nil {
			t.Errorf("%d: started", at)
		}
		if left := api.Names("pods"); len(left) > 0 {
			t.Errorf("%d: left: %v", at, left)
		}
		cancel()
		stop()
	}
}

func TestStopLeavesStrangersAlone(t *testing.T) {
	p, _, api := testPod(t)
	stranger := p.pod.DeepCopy()
	api.Delete("pods", stranger.Namespace, stranger.Name)
	stranger.UID = "another"
	api.Put("pods", stranger)
	if err := p.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if len(api.Names("pods")) != 1 {
		t.Error("a pod of the same name was deleted")
	}
}

func TestSweep(t *testing.T) {
	api := apitest.New(t)
	add := func(name, node string, purpose Purpose, phase corev1.PodPhase, labels map[string]string) {
		if labels == nil {
			labels = map[string]string{LabelManagedBy: ManagedBy, LabelPurpose: string(purpose)}
		}
		api.Put("pods", &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name, Labels: labels},
			Spec:       corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{Phase: phase},
		})
	}
	add("left-by-a-run", "worker-1", PurposeSwitch, corev1.PodRunning, nil)
	add("somebody-looks", "worker-1", PurposeGather, corev1.PodRunning, nil)
	add("looked-long-ago", "worker-1", PurposeGather, corev1.PodFailed, nil)
	add("another-node", "worker-2", PurposeSwitch, corev1.PodRunning, nil)
	add("not-ours", "worker-1", "", corev1.PodRunning, map[string]string{"app": "x"})
	if err := Sweep(t.Context(), api.Client(), "kube-system", "worker-1"); err != nil {
		t.Fatal(err)
	}
	want := []string{"kube-system/another-node", "kube-system/not-ours", "kube-system/somebody-looks"}
	if diff := cmp.Diff(want, api.Names("pods")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
