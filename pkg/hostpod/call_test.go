package hostpod

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

func ok([]byte, io.Writer, io.Writer) error { return nil }

// testPod is a pod that runs on the test's API server.
func testPod(t *testing.T, answers ...answer) (*Pod, *scripted, *apitest.Server) {
	t.Helper()
	api := apitest.New(t)
	x := &scripted{t: t, answers: answers}
	object := Build(options("amd64"))
	object.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	object.UID = "pod-uid"
	object.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: Container, ContainerID: "docker://1", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	api.Put("pods", object)
	var stored corev1.Pod
	api.Get("pods", object.Namespace, object.Name, &stored)
	p := &Pod{client: api.Client(), exec: x, pod: &stored, agent: agentbin.Agent{SHA256: "abc"}, carried: agentbin.Agent{SHA256: "abc"}, pause: time.Millisecond, patience: unheard}
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
			answers: []answer{ok, cut(`{"apiVersion":"kubectl-run`), cut(`{"apiVersion":"kubectl-runtime/v1alpha2","run":`), exit(137, ""), say(facts)}, want: facts,
		},
		"nonsense": {answers: []answer{cut("ld.so: bad ELF")}, err: "its answer can't be read"},
		"the agent was taken away": {
			answers: []answer{exit(127, "no such file"), exit(1, ""), ok, say(facts)}, want: facts,
		},
		"the agent was damaged": {
			answers: []answer{exit(126, "its sha256 is another"), exit(1, ""), ok, say(facts)}, want: facts,
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
			want := []string{
				"/usr/bin/nsenter", "-t", "1", "-m", "-u", "-i", "-n", "-p", "--", "/bin/sh", "-c", callScript, "kubectl-runtime",
				"/var/lib/kubectl-runtime/agents", "abc",
			}
			if !slices.Equal(x.argv[0], want) {
				t.Errorf("ran %q", x.argv[0])
			}
		})
	}
}

// TestAnswersAreMasked: an agent of an earlier program tells what this one masks, and a command that fails what it was given.
func TestAnswersAreMasked(t *testing.T) {
	const secret = "hunter2-secret"
	quoted := "Get http://ana:" + secret + "@proxy:3128: refused"
	out, err := json.Marshal(v1alpha1.Response{
		APIVersion: v1alpha1.APIVersion, Error: quoted, Run: &v1alpha1.Run{Reason: quoted}, View: &v1alpha1.RunView{Run: v1alpha1.Run{Reason: quoted}},
		Progress: []v1alpha1.Progress{{Step: "pull", Detail: quoted, Error: quoted}},
		Facts:    &v1alpha1.Facts{Runs: []v1alpha1.Run{{Reason: quoted}}, OpenRun: &v1alpha1.Run{Reason: quoted}},
	})
	if err != nil {
		t.Fatal(err)
	}
	answer, said := read("asking", out, v1alpha1.APIVersion, AgentError{Node: "n"}, nil)
	text, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	failed := &tail{keep: 2048}
	if _, err := failed.Write([]byte(quoted)); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"the answer": string(text), "its error": said.Error(), "what a command said": failed.String()} {
		if strings.Contains(text, secret) || !strings.Contains(text, "@proxy:3128: refused") {
			t.Errorf("%s is %s", what, text)
		}
	}
}

func TestCallOfAPodThatIsGone(t *testing.T) {
	lost := errors.New(`pods "x" not found`)
	tests := map[string]func(*apitest.Server, *corev1.Pod){
		"deleted":           func(api *apitest.Server, p *corev1.Pod) { api.Delete("pods", p.Namespace, p.Name) },
		"past its lifetime": func(api *apitest.Server, p *corev1.Pod) { p.Status.Phase = corev1.PodFailed; api.Put("pods", p) },
		"ended by itself":   func(api *apitest.Server, p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded; api.Put("pods", p) },
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
			if err := p.WaitRuntime(t.Context(), "cri-o"); !errors.Is(err, ErrGone) {
				t.Errorf("waiting: %v", err)
			}
			if err := (&Canary{p}).Wait(t.Context(), "cri-o"); name != "past its lifetime" && !errors.Is(err, ErrGone) {
				t.Errorf("waiting for it as a canary: %v", err)
			}
		})
	}
}

// TestImageThatIsChanged: whoever may change pods runs what he likes in ours. That is told, and the pod isn't asked again.
func TestImageThatIsChanged(t *testing.T) {
	p, _, api := testPod(t, broken(errors.New("the container was killed")))
	other := p.pod.DeepCopy()
	other.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	other.Spec.Containers[0].Image = "evil.example/x:1"
	api.Put("pods", other)
	_, called := p.Call(t.Context(), v1alpha1.Request{Verb: v1alpha1.VerbGather})
	for what, err := range map[string]error{"a call": called, "a wait": p.WaitRuntime(t.Context(), "cri-o")} {
		if !errors.Is(err, ErrAltered) || !strings.Contains(err.Error(), "and is evil.example/x:1") {
			t.Errorf("%s: %v", what, err)
		}
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

// noCgroup is how a runtime fails to start a command in a container that lost its cgroup.
const noCgroup = "exec failed: unable to start container process: error adding pid 1 to cgroups: no such file or directory"

// TestCallIntoAPodThatLetsNobodyIn: a few failures to start a command may pass; more of them count as the pod's loss, whatever else
// fails in between.
func TestCallIntoAPodThatLetsNobodyIn(t *testing.T) {
	facts := v1alpha1.Response{APIVersion: v1alpha1.APIVersion, Facts: &v1alpha1.Facts{Node: "worker-1"}}
	barred := exit(126, noCgroup)
	reset := broken(errors.New("read: connection reset by peer"))
	for name, tt := range map[string]struct {
		answers []answer
		mute    bool
	}{
		"a few times":                {answers: append(slices.Repeat([]answer{barred}, unstartedLimit-1), say(facts))},
		"always, by CRI-O":           {answers: slices.Repeat([]answer{exit(255, noCgroup)}, unstartedLimit), mute: true},
		"always, by Docker":          {answers: slices.Repeat([]answer{barred}, unstartedLimit), mute: true},
		"always, by crun":            {answers: slices.Repeat([]answer{exit(126, "openat2 /sys/fs/cgroup/x/cgroup.procs: no such file or directory")}, unstartedLimit), mute: true},
		"with others in between":     {answers: append(slices.Repeat([]answer{barred, reset}, unstartedLimit-1), barred), mute: true},
		"others only, for no time":   {answers: append(slices.Repeat([]answer{reset}, 3*unstartedLimit), say(facts))},
		"cut streams, then one more": {answers: append(slices.Repeat([]answer{ok, barred}, unstartedLimit-1), say(facts))},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, _ := testPod(t, tt.answers...)
			got, err := p.Call(t.Context(), v1alpha1.Request{Verb: v1alpha1.VerbGather})
			if tt.mute && !errors.Is(err, ErrMute) || !tt.mute && (err != nil || !cmp.Equal(facts, got)) {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// TestCallOfAPodThatDoesNotAnswer: it is told when the API server answers all the while, and only then.
func TestCallOfAPodThatDoesNotAnswer(t *testing.T) {
	const patience = 60 * time.Millisecond
	for name, away := range map[string]bool{"the API server answers": false, "the API server is away": true} {
		t.Run(name, func(t *testing.T) {
			p, x, api := testPod(t)
			p.patience = patience
			p.exec = failing{errors.New("error dialing backend: EOF")}
			began := time.Now()
			api.Before(func(string, *http.Request) error {
				if away && time.Since(began) < 4*patience {
					return errors.New("etcd is away")
				}
				return nil
			})
			_, err := p.Call(t.Context(), v1alpha1.Request{Verb: v1alpha1.VerbConfirm})
			took := time.Since(began)
			if !errors.Is(err, ErrUnheard) || !strings.Contains(err.Error(), "dialing backend") || len(x.argv) > 0 {
				t.Errorf("got %v", err)
			}
			if took < patience || away && took < 5*patience-20*time.Millisecond {
				t.Errorf("after %s", took)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Exec(context.Context, string, string, string, []string, io.Reader, io.Writer, io.Writer) error {
	return f.err
}

// TestLimits: what only starts or asks is asked again within seconds; what works while it is asked, and the one that waits for news,
// have their time.
func TestLimits(t *testing.T) {
	for _, verb := range []v1alpha1.Verb{v1alpha1.VerbStage, v1alpha1.VerbApply, v1alpha1.VerbConfirm, v1alpha1.VerbRollback, v1alpha1.VerbShow} {
		if got := limitOf(v1alpha1.Request{Verb: verb}); got > 20*time.Second {
			t.Errorf("%s: %s", verb, got)
		}
	}
	if got := limitOf(v1alpha1.Request{Verb: v1alpha1.VerbWatch, Wait: 20 * time.Second}); got != 30*time.Second {
		t.Errorf("watch: %s", got)
	}
	if got := limitOf(v1alpha1.Request{Verb: v1alpha1.VerbGather}); got != longCall || longCall > Silence-keepAlive {
		t.Errorf("gather: %s", got)
	}
}

// TestFinishWhenTheAgentIsGone: nothing is brought back only to be removed.
func TestFinishWhenTheAgentIsGone(t *testing.T) {
	p, _, _ := testPod(t, exit(127, "nsenter: failed to execute: No such file or directory"))
	if _, err := p.Call(t.Context(), v1alpha1.Request{Verb: v1alpha1.VerbFinish}); err != nil {
		t.Error(err)
	}
}

// TestFinishWhenTheAgentIsDamaged: what a damaged agent can't remove, another of the same does.
func TestFinishWhenTheAgentIsDamaged(t *testing.T) {
	p, _, _ := testPod(t, exit(126, "its sha256 is another"), exit(1, ""), ok, say(v1alpha1.Response{}))
	if _, err := p.Call(t.Context(), v1alpha1.Request{Verb: v1alpha1.VerbFinish}); err != nil {
		t.Error(err)
	}
}

// TestFinishEndsItsPod: the agent's last act ends the pod, and with it the stream: an answer that is whole is taken. Of any other verb the end
// of the answer says nothing of the end of the work.
func TestFinishEndsItsPod(t *testing.T) {
	killed := func(r v1alpha1.Response) answer {
		return func(in []byte, stdout, stderr io.Writer) error {
			return errors.Join(say(r)(in, stdout, stderr), utilexec.CodeExitError{Err: errors.New("exit"), Code: 137})
		}
	}
	p, _, _ := testPod(t, killed(v1alpha1.Response{}))
	if _, err := p.Call(t.Context(), v1alpha1.Request{Verb: v1alpha1.VerbFinish, Run: "r-1"}); err != nil {
		t.Error(err)
	}
	p, x, _ := testPod(t, killed(v1alpha1.Response{}), say(v1alpha1.Response{}))
	if _, err := p.Call(t.Context(), v1alpha1.Request{Verb: v1alpha1.VerbConfirm, Run: "r-1"}); err != nil || len(x.argv) != 2 {
		t.Errorf("asked %d times: %v", len(x.argv), err)
	}
	p, x, _ = testPod(t, func(in []byte, stdout, stderr io.Writer) error {
		return errors.Join(cut(`{"apiVersion":`)(in, stdout, stderr), io.ErrUnexpectedEOF)
	}, say(v1alpha1.Response{}))
	if _, err := p.Call(t.Context(), v1alpha1.Request{Verb: v1alpha1.VerbFinish, Run: "r-1"}); err != nil || len(x.argv) != 2 {
		t.Errorf("asked %d times: %v", len(x.argv), err)
	}
}
