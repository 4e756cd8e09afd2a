package hostpod

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// Canary is the proof that pods with a network work on the node.
type Canary struct{ pod *Pod }

// StartCanary creates the canary beside the pod. The agent must stand on the node (EnsureAgent). It may be created while the old
// runtime serves: then it comes with the first pods of the new one.
func (p *Pod) StartCanary(ctx context.Context, lifetime time.Duration) (*Canary, error) {
	c := &Pod{client: p.client, exec: p.exec, image: p.image, agent: p.agent, pause: p.pause, reached: p.reached}
	c.pod = BuildCanary(CanaryOptions{Host: p.pod, Agent: p.agent.SHA256, Format: p.format, Image: p.image, Lifetime: lifetime, Suffix: rand.String(5)})
	created, err := create(ctx, p.client, c.pod)
	if err != nil {
		return nil, fmt.Errorf("creating the canary pod: %w", err)
	}
	c.pod = created
	return &Canary{c}, nil
}

// Wait waits until the canary is Ready under the runtime of that name. One that can't become so is an error, ErrGone where it
// has ended by itself or was deleted; the caller may start another.
func (c *Canary) Wait(ctx context.Context, scheme string) error {
	pod, err := c.pod.await(ctx, func(pod *corev1.Pod) (bool, error) { return readyUnder(pod, scheme) })
	if pod != nil {
		c.pod.pod = pod
	}
	if err == nil {
		return nil
	}
	late := context.WithoutCancel(ctx)
	if notes := c.pod.events(late); notes != "" {
		return fmt.Errorf("the canary pod isn't Ready: %w; its events: %s", err, notes)
	}
	return fmt.Errorf("the canary pod isn't Ready: %w", err)
}

// Ref names the canary's pod for good.
func (c *Canary) Ref() v1alpha1.PodRef { return c.pod.Ref() }

// Stop deletes the canary and waits until it is gone.
func (c *Canary) Stop(ctx context.Context) error { return c.pod.Stop(ctx) }

// readyUnder reports whether the canary proves the runtime. One that ended under it has failed; that it was started again hides
// nothing.
func readyUnder(pod *corev1.Pod, scheme string) (bool, error) {
	s := statusOf(pod)
	under := func(id string) bool { return strings.HasPrefix(id, scheme+"://") }
	if s != nil && s.LastTerminationState.Terminated != nil && under(s.LastTerminationState.Terminated.ContainerID) {
		t := s.LastTerminationState.Terminated
		return false, fmt.Errorf("it ended under %s with exit code %d: %s", scheme, t.ExitCode, join(t.Reason, t.Message))
	}
	return s != nil && under(s.ContainerID) && ready(pod), hopeless(pod)
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}
