package rollout

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod/agentbin"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// agentCaller asks the agent on one node.
type agentCaller interface {
	Call(ctx context.Context, req v1alpha1.Request) (v1alpha1.Response, error)
}

// hostPod is our pod on one node, with the agent behind it.
type hostPod interface {
	agentCaller
	// EnsureAgent finds the agent that is to be asked, and brings the given one where that is it.
	EnsureAgent(ctx context.Context, agent agentbin.Agent) error
	Ref() v1alpha1.PodRef
	Image() hostpod.Image
	// WaitRuntime waits until the pod runs under the runtime whose name starts its container's ID.
	WaitRuntime(ctx context.Context, scheme string) error
	StartCanary(ctx context.Context, lifetime time.Duration) (canaryPod, error)
	Stop(ctx context.Context) error
}

// canaryPod is the proof that pods with a network work.
type canaryPod interface {
	Ref() v1alpha1.PodRef
	// Wait waits until it is Ready under the runtime whose name starts its container's ID.
	Wait(ctx context.Context, scheme string) error
	Stop(ctx context.Context) error
}

// decider is package plan, and what stands in for it in tests.
type decider struct {
	build   func(f *v1alpha1.Facts, g plan.Goal) (*v1alpha1.Plan, error)
	inverse func(view v1alpha1.RunView, f *v1alpha1.Facts, run string) (*v1alpha1.Plan, error)
	compose func(views []v1alpha1.RunView) (v1alpha1.RunView, error)
	verify  func(p *v1alpha1.Plan) error
	compare func(saved, made *v1alpha1.Plan, f *v1alpha1.Facts) error
}

// Engine takes nodes through their runs.
type Engine struct {
	client kubernetes.Interface
	opts   Options
	report func(Event)
	decide decider
	// start puts a pod with the agent on a node.
	start func(ctx context.Context, node *corev1.Node, purpose hostpod.Purpose, lifetime time.Duration) (hostPod, error)
	judge judge
	// agents opens the carried agent of an architecture.
	agents func(arch string) (agentbin.Agent, error)

	mu       sync.Mutex // serialises report and guards what follows
	opened   map[string]agentbin.Agent
	images   map[string]hostpod.Image // by node: of the first pod that ran there
	reviewed map[string]error

	entrants sync.Once
}

// New returns an engine. The report callback is called from one goroutine at a time; nil drops the events.
func New(client kubernetes.Interface, config *rest.Config, opts Options, report func(Event)) *Engine {
	opts.Namespace = cmp.Or(opts.Namespace, cluster.LockNamespace)
	opts.Program = cmp.Or(opts.Program, "kubectl runtime")
	opts.By = cmp.Or(opts.By, "somebody")
	opts.Parallel = max(cmp.Or(opts.Parallel, 8), 1)
	if report == nil {
		report = func(Event) {}
	}
	e := &Engine{
		client: client, opts: opts, report: report, agents: agentbin.Open,
		decide: decider{build: plan.Build, inverse: plan.Inverse, compose: plan.Compose, verify: plan.Verify, compare: plan.Compare},
		judge:  judging(client, config),
		opened: map[string]agentbin.Agent{}, images: map[string]hostpod.Image{}, reviewed: map[string]error{},
	}
	e.start = e.starter(hostpod.Client{Kube: client, REST: config})
	return e
}

// realPod makes a *hostpod.Pod what the engine asks for.
type realPod struct{ *hostpod.Pod }

func (p realPod) StartCanary(ctx context.Context, lifetime time.Duration) (canaryPod, error) {
	c, err := p.Pod.StartCanary(ctx, lifetime)
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (e *Engine) starter(c hostpod.Client) func(context.Context, *corev1.Node, hostpod.Purpose, time.Duration) (hostPod, error) {
	return func(ctx context.Context, node *corev1.Node, purpose hostpod.Purpose, lifetime time.Duration) (hostPod, error) {
		agent, err := e.agent(node.Status.NodeInfo.Architecture)
		if err != nil {
			return nil, err
		}
		image, err := e.image(ctx, node)
		if err != nil {
			return nil, err
		}
		pod, err := hostpod.Start(ctx, c, hostpod.Options{
			Namespace: e.opts.Namespace, Node: node, Image: image, Purpose: purpose, Agent: agent.SHA256, Lifetime: lifetime,
		})
		if err != nil {
			return nil, err
		}
		e.keepImage(node, image)
		err = e.ensure(ctx, realPod{pod}, agent)
		if err == nil && ctx.Err() == nil {
			return realPod{pod}, nil
		}
		late, cancel := e.outlive(ctx, cleanupTimeout)
		defer cancel()
		if err != nil {
			return nil, errors.Join(err, pod.Stop(late))
		}
		return nil, errors.Join(context.Cause(ctx), e.leave(late, realPod{pod}))
	}
}

// image is what a pod on the node runs. One that runs already has the answer: the target runtime takes its image in, and what a node
// reports changes with its runtime.
func (e *Engine) image(ctx context.Context, node *corev1.Node) (hostpod.Image, error) {
	e.mu.Lock()
	image, kept := e.images[node.Name]
	e.mu.Unlock()
	if kept {
		return image, nil
	}
	return hostpod.FindImage(ctx, e.client, node, e.opts.Image)
}

func (e *Engine) keepImage(node *corev1.Node, image hostpod.Image) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.images[node.Name] = image
}

// ensure finds the agent that is to be asked through a pod. Cut off, one that is sent could come to stand there all the same, with
// nobody to remove it.
func (e *Engine) ensure(ctx context.Context, pod hostPod, agent agentbin.Agent) error {
	sending, done := e.linger(ctx, cleanupTimeout/4)
	defer done()
	return pod.EnsureAgent(sending, agent)
}

// agent opens the agent for an architecture once: its digest is computed over twelve megabytes.
func (e *Engine) agent(arch string) (agentbin.Agent, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a, ok := e.opened[arch]; ok {
		return a, nil
	}
	a, err := e.agents(arch)
	if err == nil {
		e.opened[arch] = a
	}
	return a, err
}

// supported says why a node can't be worked on at all.
func (e *Engine) supported(node *corev1.Node) error {
	if os := node.Status.NodeInfo.OperatingSystem; os != "linux" {
		return fmt.Errorf("node %s runs %s, not linux", node.Name, cmp.Or(os, "an unknown system"))
	}
	_, err := e.agent(node.Status.NodeInfo.Architecture)
	return err
}

// review asks once whether we have the rights that kind of work needs.
func (e *Engine) review(ctx context.Context, kind string, rights []cluster.Right) error {
	e.mu.Lock()
	err, known := e.reviewed[kind]
	e.mu.Unlock()
	if known {
		return err
	}
	err = cluster.Review(ctx, e.client, rights)
	if _, denied := errors.AsType[*cluster.DeniedError](err); err == nil || denied {
		e.mu.Lock()
		e.reviewed[kind] = err
		e.mu.Unlock()
	}
	return err
}

// tellEntrants says once who else may enter the pods of the namespace: for as long as ours is there, that is to be root on
// its node. In kube-system, which has privileged pods of its own, it is no news that this can't be found out.
func (e *Engine) tellEntrants(ctx context.Context) {
	e.entrants.Do(func() {
		found, err := cluster.Entrants(ctx, e.client, e.opts.Namespace)
		if len(found) > 0 {
			var who []string
			for _, f := range found {
				who = append(who, fmt.Sprintf("%s (RoleBinding %s)", f.Subject, f.Binding))
			}
			e.say(Event{Warning: true, Text: fmt.Sprintf("in namespace %s others may run commands in pods or change their images, and so become root on a node while its host pod is there: %s; "+
				"choose a namespace where only administrators may, with -n", e.opts.Namespace, strings.Join(who, ", "))})
		}
		if err != nil && e.opts.Namespace != metav1.NamespaceSystem {
			e.say(Event{Warning: true, Text: oneLine(fmt.Sprintf("who may run commands in the pods of namespace %s or change their images, and so become root on a node while its host pod is there, "+
				"could not be found out: %v", e.opts.Namespace, err))})
		}
	})
}

func (e *Engine) say(event Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.report(event)
}

// How long is waited for what only tidies up, and for a node to come back.
const (
	cleanupTimeout = time.Minute
	abortTimeout   = 2 * time.Second
)

// ErrAborted is why everything ends at once.
var ErrAborted = errors.New("interrupted twice")

// abortable returns a context that also ends when the operator wants everything to end at once.
func (e *Engine) abortable(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if e.opts.Abort != nil {
		go func() {
			select {
			case <-e.opts.Abort:
				cancel(ErrAborted)
			case <-ctx.Done():
			}
		}()
	}
	return ctx, func() { cancel(nil) }
}

// outlive returns a context for what must be done though ctx has ended: it is bounded, and ends with Abort.
func (e *Engine) outlive(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, stop := e.abortable(context.WithoutCancel(ctx))
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %s", limit))
	return ctx, func() { cancel(); stop() }
}

// linger returns a context that ends a while after ctx does, or with Abort at once: for a question whose answer decides
// what there is to put back. One that is cut off is still at work on the node.
func (e *Engine) linger(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	late, cancel := e.abortable(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(limit):
			cancel()
		case <-late.Done():
		}
	})
	return late, func() { stop(); cancel() }
}

func (e *Engine) aborted() bool {
	select {
	case <-e.opts.Abort:
		return true
	default: // a nil channel never is
		return false
	}
}

// newRun is a run's identifier.
func newRun() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b) // never fails
	return "r-" + hex.EncodeToString(b)
}
