//go:build e2e

package bed

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Seen is what a prober saw; times are in milliseconds since its start.
type Seen struct {
	Sent, Lost int
	Losses     []struct {
		At    float64 `json:"atMillis"`
		Error string  `json:"error"`
	}
	LongestGap float64        `json:"longestGapMillis"`
	Slowest    float64        `json:"slowestMillis"`
	Servers    map[string]int `json:"servers"`
}

// Prober is a pod that asks a URL ten times a second.
type Prober struct {
	bed       *Bed
	node      *Node
	namespace string
	url       string
}

// Probe starts a prober on a node and returns when it runs.
func (b *Bed) Probe(t *testing.T, n *Node, url string) *Prober {
	t.Helper()
	p := &Prober{bed: b, node: n, namespace: b.Namespace(t, nil), url: url}
	template := Pin(Web("prober", ImageOpen, corev1.PullIfNotPresent), n.Name)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	c := &template.Spec.Containers[0]
	c.Args, c.ReadinessProbe = []string{"prober", url, "100ms", "15m"}, nil
	_, err := b.Client.CoreV1().Pods(p.namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "prober", Labels: template.Labels}, Spec: template.Spec,
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b.AwaitReady(t, p.namespace, "prober", 1, time.Minute)
	return p
}

// Stop ends the prober and returns what it saw.
func (p *Prober) Stop(t *testing.T) Seen {
	t.Helper()
	p.node.Sh(t, fmt.Sprintf("pkill --full --signal TERM '^/web prober %s '", p.url))
	Must(t, "the prober's end", time.Minute, func(ctx context.Context) string {
		pod, err := p.bed.Client.CoreV1().Pods(p.namespace).Get(ctx, "prober", metav1.GetOptions{})
		switch {
		case err != nil:
			return err.Error()
		case pod.Status.Phase != corev1.PodSucceeded:
			return describePod(pod)
		}
		return ""
	})
	log, err := p.bed.Client.CoreV1().Pods(p.namespace).GetLogs("prober", &corev1.PodLogOptions{}).DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var seen Seen
	if err := json.Unmarshal(log, &seen); err != nil {
		t.Fatalf("reading what the prober saw: %v: %s", err, log)
	}
	return seen
}
