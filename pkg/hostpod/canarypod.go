package hostpod

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/rand"
)

// Canary is the proof that pods with a network work on the node.
type Canary struct{ pod *Pod }

// StartCanary creates the canary beside the pod. The agent must stand on the node (EnsureAgent).
func (p *Pod) StartCanary(ctx context.Context, lifetime time.Duration) (*Canary, error) {
	c := &Pod{client: p.client, exec: p.exec, image: p.image, agent: p.agent, pause: p.pause, reached: p.reached}
	c.pod = BuildCanary(CanaryOptions{Host: p.pod, Agent: p.agent.SHA256, Image: p.image, Lifetime: lifetime, Suffix: rand.String(5)})
	created, err := create(ctx, p.client, c.pod)
	if err != nil {
		return nil, fmt.Errorf("creating the canary pod: %w", err)
	}
	c.pod = created
	return &Canary{c}, nil
}

// Wait waits until the canary is Ready. One that can't become so is an error; the caller may start another.
func (c *Canary) Wait(ctx context.Context) error {
	pod, err := c.pod.await(ctx, func(pod *corev1.Pod) (bool, error) { return ready(pod), hopeless(pod) })
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
func (c *Canary) Ref() string { return c.pod.pod.Namespace + "/" + c.pod.pod.Name }

// UID is that of the canary's pod.
func (c *Canary) UID() string { return string(c.pod.pod.UID) }

// Stop deletes the canary and waits until it is gone.
func (c *Canary) Stop(ctx context.Context) error { return c.pod.Stop(ctx) }

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}
