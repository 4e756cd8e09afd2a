package rollout

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/cluster"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/hostpod/agentbin"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/plan"
)

// pod is our pod on the machine.
type pod struct {
	m       *machine
	uid     string
	stopped bool
	gone    bool
	lost    error // what it answers with, since it was lost
	deaf    int   // so often does it answer with hostpod.ErrUnheard
}

func (p *pod) Call(ctx context.Context, req v1alpha1.Request) (v1alpha1.Response, error) {
	if p.gone {
		return v1alpha1.Response{}, hostpod.ErrGone
	}
	p.m.mu.Lock()
	p.m.asked++
	if err := p.m.loses; err != nil && (p.m.asked == p.m.losesAt || p.m.losesAll && p.m.asked > p.m.losesAt) {
		p.lost, p.deaf = err, 2
	}
	p.m.mu.Unlock()
	if p.lost != nil && (!errors.Is(p.lost, hostpod.ErrUnheard) || p.deaf > 0) {
		p.deaf--
		return v1alpha1.Response{}, p.lost
	}
	if p.stopped {
		p.m.t.Errorf("%s was asked through a pod that was stopped", req.Verb)
	}
	return p.m.call(ctx, req)
}

func (p *pod) EnsureAgent(_ context.Context, agent agentbin.Agent) error {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	if p.m.run != nil && p.m.run.Phase.Open() {
		p.m.t.Errorf("%s was brought beside an open run", agent.SHA256)
	}
	p.m.brought++
	return nil
}

func (p *pod) Ref() v1alpha1.PodRef {
	return v1alpha1.PodRef{Namespace: "kube-system", Name: "kubectl-runtime-x", UID: p.uid}
}

func (p *pod) Image() hostpod.Image {
	return hostpod.Image{Ref: "registry.k8s.io/pause:3.10"}
}

func (p *pod) WaitRuntime(ctx context.Context, scheme string) error {
	if p.m.endsWaiting && p.uid == "pod-0" {
		p.gone = true
		return fmt.Errorf("the pod doesn't run under %s: %w", scheme, hostpod.ErrGone)
	}
	p.m.mu.Lock()
	runs := strings.HasPrefix(p.m.runtime, scheme+"://")
	p.m.mu.Unlock()
	if !runs {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return ctx.Err()
}

func (p *pod) StartCanary(ctx context.Context, _ time.Duration) (canaryPod, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	if p.m.barred {
		return nil, errors.New("creating the canary pod: exceeded quota")
	}
	p.m.canary++
	p.m.canaries++
	return &canary{m: p.m, of: p.m.canaries}, nil
}

func (p *pod) Stop(context.Context) error {
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	if !p.stopped && !p.gone {
		p.m.pods--
	}
	p.stopped = true
	return nil
}

type canary struct {
	m       *machine
	of      int // which of the run's canaries it is
	stopped bool
}

func (c *canary) Ref() v1alpha1.PodRef {
	return v1alpha1.PodRef{Namespace: "kube-system", Name: "kubectl-runtime-x-canary", UID: fmt.Sprintf("canary-%d", c.of)}
}

func (c *canary) Wait(ctx context.Context, scheme string) error {
	if c.of <= c.m.outlived {
		return fmt.Errorf("the canary pod isn't Ready: %w", hostpod.ErrGone)
	}
	if c.m.unstarted && scheme != string(v1alpha1.CRIO) {
		return errors.New("the canary pod isn't Ready: RunContainerError")
	}
	if c.m.unproved && scheme == string(v1alpha1.CRIO) {
		<-ctx.Done()
		return fmt.Errorf("the canary pod isn't Ready: %w", context.Cause(ctx))
	}
	return ctx.Err()
}

func (c *canary) Stop(context.Context) error {
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	if !c.stopped {
		c.stopped = true
		c.m.canary--
	}
	return nil
}

// engine is an engine whose pods are on the machine.
func (m *machine) engine(opts Options, events *[]Event) *Engine {
	opts.By = "ana@laptop"
	opts.ConfirmTimeout = cmp.Or(opts.ConfirmTimeout, 5*time.Minute)
	e := New(m.api.Client(), m.api.Config(), opts, func(x Event) {
		if events != nil {
			*events = append(*events, x)
		}
	})
	e.agents = func(arch string) (agentbin.Agent, error) { return agentbin.Agent{Arch: arch, SHA256: "abc"}, nil }
	e.start = func(ctx context.Context, _ *corev1.Node, _ hostpod.Purpose, _ time.Duration) (hostPod, error) {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.pods++
		p := &pod{m: m, uid: fmt.Sprintf("pod-%d", len(m.ours))}
		m.ours = append(m.ours, p)
		return p, nil
	}
	e.decide.build = func(_ *v1alpha1.Facts, g plan.Goal) (*v1alpha1.Plan, error) {
		if m.runtime == crio && g.To == v1alpha1.CRIO {
			return nil, &plan.NothingError{Runtime: v1alpha1.RuntimeRef{Name: g.To}}
		}
		return &v1alpha1.Plan{
			Node: worker, Run: g.Run, From: v1alpha1.RuntimeRef{Name: v1alpha1.Docker, Version: "28.5.2"}, To: v1alpha1.RuntimeRef{Name: g.To},
			KubeadmSocketBefore: g.KubeadmAnnotation, KubeadmSocket: "unix:///var/run/crio/crio.sock",
		}, nil
	}
	return e
}

func (m *machine) node() *corev1.Node {
	var node corev1.Node
	if !m.api.Get("nodes", "", worker, &node) {
		m.t.Fatal("the node is gone")
	}
	return &node
}

// nothingLeft checks what must hold at every end.
func (m *machine) nothingLeft(t *testing.T, cordonedBefore bool) {
	t.Helper()
	if m.pods != 0 || m.canary != 0 {
		t.Errorf("%d pods and %d canaries are left", m.pods, m.canary)
	}
	if leases := slices.DeleteFunc(m.api.Names("coordination.k8s.io/leases"), func(n string) bool { return strings.HasPrefix(n, "kube-node-lease/") }); len(leases) > 0 {
		t.Errorf("left: Leases %v", leases)
	}
	if got := m.node().Spec.Unschedulable; got != cordonedBefore {
		t.Errorf("the node is cordoned: %v, was: %v", got, cordonedBefore)
	}
	if m.run != nil && m.run.Phase.Open() {
		t.Errorf("run is left %s", m.run.Phase)
	}
	socket := m.node().Annotations[cluster.KubeadmSocketAnnotation]
	if want := map[string]string{docker: "unix:///var/run/dockershim.sock", crio: "unix:///var/run/crio/crio.sock"}[m.runtime]; socket != want {
		t.Errorf("kubeadm's record is %s under %s", socket, m.runtime)
	}
}

// onRequest calls f at each request to the API server that this test's engine makes.
func (m *machine) onRequest(f func(what string) error) {
	m.api.Before(func(what string, _ *http.Request) error { return f(what) })
}
