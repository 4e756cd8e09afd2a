package hostpod

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod/agentbin"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/until"
)

// Pod is our pod on a node.
type Pod struct {
	client kubernetes.Interface
	exec   Execer
	pod    *corev1.Pod
	image  Image
	// agent is the one that is asked, in questions of that format; carried is the one that this program has.
	agent, carried agentbin.Agent
	format         int
	// reached says that the container has answered before: a refusal is then one of an API server that comes back.
	reached bool
	// pause is the first wait between two attempts to reach the container.
	pause time.Duration
	// patience is how long the pod may not answer before that is told.
	patience time.Duration
	// release lets the pod end by itself; nil where nothing keeps it from that.
	release context.CancelFunc
}

// Client is what the package needs of a connection.
type Client struct {
	Kube kubernetes.Interface
	REST *rest.Config
	// Exec stands in for exec through the API server; nil is the real one.
	Exec Execer
}

// StartTimeout is how long a pod may take to run. Its image is there already, so a second is usual.
const StartTimeout = time.Minute

// Start creates the pod on the node and waits until it runs. A pod that doesn't is deleted again, and the error says
// why. One that does is kept alive until Stop; when nobody is there to do either, it ends by itself. Nothing is created that admission would change: the server is asked first, with a dry run of exactly this pod.
func Start(ctx context.Context, c Client, o Options) (*Pod, error) {
	p, err := start(ctx, c, o)
	if failed, ok := errors.AsType[*StartError](err); ok && failed.Left == nil && lacksInEtc(failed.Err) {
		o.bareEtc = true
		return start(ctx, c, o)
	}
	return p, err
}

// lacksInEtc reports whether a container wasn't made because the host's /etc has no file where the runtime mounts its own: a system
// that learns its name from the network may have no /etc/hostname.
func lacksInEtc(err error) bool {
	text := strings.ToLower(err.Error())
	return strings.Contains(text, "etc/") && strings.Contains(text, "read-only file system")
}

func start(ctx context.Context, c Client, o Options) (*Pod, error) {
	if o.Suffix == "" {
		o.Suffix = rand.String(5)
	}
	l := &line{Execer: c.Exec}
	if c.Exec == nil {
		l.Execer = remote{c.Kube, c.REST}
	}
	p := &Pod{client: c.Kube, exec: l, image: o.Image, pod: Build(o), pause: 200 * time.Millisecond, patience: unheard}
	if err := p.rehearse(ctx); err != nil {
		return nil, &StartError{Node: o.Node.Name, Namespace: o.Namespace, Err: err}
	}
	asked := p.pod
	created, err := create(ctx, c.Kube, p.pod)
	if err != nil {
		return nil, &StartError{Node: o.Node.Name, Namespace: o.Namespace, Err: err}
	}
	p.pod = created
	if m := Compare(asked, created, o.Image); len(m) > 0 {
		err = &MutatedError{Pod: created.Name, Mutations: m}
	} else {
		err = p.waitRunning(ctx)
	}
	if err != nil {
		return nil, &StartError{Node: o.Node.Name, Namespace: o.Namespace, Err: err, Left: p.Stop(context.WithoutCancel(ctx))}
	}
	p.hold(ctx, l)
	return p, nil
}

// hold keeps the pod alive until Stop, whatever becomes of ctx.
func (p *Pod) hold(ctx context.Context, l *line) {
	l.spoke = time.Now()
	held, release := context.WithCancel(context.WithoutCancel(ctx))
	p.release = release
	go l.keep(held, p.pod)
}

// create makes a pod. The request isn't cut off when ctx ends; should its answer be lost all the same, the pod is
// deleted by its name, which is one of its own.
func create(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod) (*corev1.Pod, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	lingering, cancel := until.Linger(ctx, shortCall)
	defer cancel()
	created, err := client.CoreV1().Pods(pod.Namespace).Create(lingering, pod, metav1.CreateOptions{})
	if err == nil {
		return created, nil
	}
	if until.Away(err) || lingering.Err() != nil {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), shortCall)
		defer cancel()
		err = errors.Join(err, remove(late, client, ref(pod)))
	}
	return nil, err
}

// rehearse asks the server what it would make of the pod.
func (p *Pod) rehearse(ctx context.Context) error {
	got, err := p.client.CoreV1().Pods(p.pod.Namespace).Create(ctx, p.pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return err
	}
	if m := Compare(p.pod, got, p.image); len(m) > 0 {
		return &MutatedError{Pod: p.pod.Name, Mutations: m}
	}
	return nil
}

// Node is the node's name.
func (p *Pod) Node() string { return p.pod.Spec.NodeName }

// Object is the pod as it was last seen.
func (p *Pod) Object() *corev1.Pod { return p.pod.DeepCopy() }

// Image is what it runs.
func (p *Pod) Image() Image { return p.image }

// Ref names the pod for good.
func (p *Pod) Ref() v1alpha1.PodRef { return ref(p.pod) }

func ref(pod *corev1.Pod) v1alpha1.PodRef {
	return v1alpha1.PodRef{Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID)}
}

// Sweep deletes pods of ours on a node that nobody will come back for: those of runs, which only the holder of the
// node's Lease may call this for, and whatever has ended.
func Sweep(ctx context.Context, client kubernetes.Interface, namespace, node string) error {
	err := sweep(ctx, client, namespace, fields.OneTermEqualSelector("spec.nodeName", node).String(), func(pod *corev1.Pod) bool {
		return pod.Labels[LabelPurpose] == string(PurposeSwitch) || ended(pod)
	})
	if err != nil {
		return fmt.Errorf("removing pods that an earlier run left on node %s: %w", node, err)
	}
	return nil
}

// SweepEnded deletes pods of ours on these nodes that have ended. Nobody needs the Lease of a node for that.
func SweepEnded(ctx context.Context, client kubernetes.Interface, namespace string, nodes []string) error {
	err := sweep(ctx, client, namespace, "", func(pod *corev1.Pod) bool { return ended(pod) && slices.Contains(nodes, pod.Spec.NodeName) })
	if err != nil {
		return fmt.Errorf("removing pods of earlier commands that have ended: %w", err)
	}
	return nil
}

func sweep(ctx context.Context, client kubernetes.Interface, namespace, selector string, which func(*corev1.Pod) bool) error {
	list, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: LabelManagedBy + "=" + ManagedBy, FieldSelector: selector})
	if err != nil {
		return err
	}
	var errs []error
	for i := range list.Items {
		if pod := &list.Items[i]; which(pod) {
			errs = append(errs, remove(ctx, client, ref(pod)))
		}
	}
	return errors.Join(errs...)
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
}
