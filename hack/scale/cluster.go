package main

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
)

// object is one of the API.
type object interface {
	runtime.Object
	metav1.Object
}

// cluster fills a cluster.
type cluster struct {
	size
	// create makes an object as it stands, status and all, and gives it its UID.
	create func(ctx context.Context, o object) error
	// each calls a function for 0 to n-1, some at once.
	parallel int

	mu   sync.Mutex // guards made
	made record
	// namespaces holds of each what makes it once.
	namespaces sync.Map
	next       atomic.Int64
}

func (c *cluster) count(add func(r *record)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add(&c.made)
}

// put makes an object, and before the first one of a namespace that.
func (c *cluster) put(ctx context.Context, o object) error {
	if name := o.GetNamespace(); name != "" {
		once, _ := c.namespaces.LoadOrStore(name, sync.OnceValue(func() error {
			return c.put(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}))
		if err := once.(func() error)(); err != nil {
			return err
		}
	}
	if err := c.create(ctx, o); err != nil {
		return fmt.Errorf("%T %s/%s: %w", o, o.GetNamespace(), o.GetName(), err)
	}
	c.count(func(r *record) { r.Objects++ })
	return nil
}

func (c *cluster) each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(c.parallel)
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return f(ctx, i) })
	}
	return group.Wait()
}

// fill makes everything.
func (c *cluster) fill(ctx context.Context, corpus []exhibit) error {
	if err := c.each(ctx, c.Nodes, func(ctx context.Context, i int) error {
		n := node(i)
		if runtimeOf(i) != v1alpha1.Docker && runtimeOf(i) != v1alpha1.Containerd {
			c.count(func(r *record) { r.Want = append(r.Want, wanted("C004", "warning", "Node/"+n.Name)) })
		}
		c.count(func(r *record) { r.Nodes++ })
		return c.put(ctx, n)
	}); err != nil {
		return err
	}
	if err := c.plant(ctx, corpus); err != nil {
		return err
	}
	// Some of the harmless ones have an emptyDir, which is told once for all.
	c.count(func(r *record) { r.Want = append(r.Want, wanted("W034", "warning", "")) })
	left, pods := c.Deployments-c.made.Deployments, c.Pods-c.made.Pods
	if left < 1 || pods < left {
		return fmt.Errorf("%d Deployments and %d pods are too few: the guilty and what looks like them are %d with %d", c.Deployments, c.Pods, c.made.Deployments, c.made.Pods)
	}
	if err := c.each(ctx, teams, func(ctx context.Context, i int) error {
		return c.put(ctx, configMap(namespaceOf(i), "kube-root-ca.crt", "ca.crt", rootCA()))
	}); err != nil {
		return err
	}
	if err := c.each(ctx, left, func(ctx context.Context, i int) error {
		return c.app(ctx, i, pods/left+atMost1(i < pods%left))
	}); err != nil {
		return err
	}
	return c.each(ctx, left/100+1, c.others)
}

func atMost1(b bool) int {
	if b {
		return 1
	}
	return 0
}

// app makes a harmless Deployment with its ConfigMap.
func (c *cluster) app(ctx context.Context, i, pods int) error {
	name, ns, replicas := fmt.Sprintf("app-%d", i), namespaceOf(i), int32(pods)
	if i%3 == 0 {
		if err := c.put(ctx, configMap(ns, name+"-config", "app.yaml", settings(i))); err != nil {
			return err
		}
	}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labelsOf(name, ns)}}
	d.Spec = appsv1.DeploymentSpec{Replicas: &replicas, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labelsOf(name, ns)}, Spec: harmless(i)}}
	return c.workload(ctx, d, c.anyNode)
}

// others makes one harmless workload of each other kind.
func (c *cluster) others(ctx context.Context, i int) error {
	ns, three := namespaceOf(i), int32(3)
	template := corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labelsOf("other", ns)}, Spec: harmless(i)}
	meta := func(kind string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprintf("%s-%d", kind, i), Labels: labelsOf("other", ns)}
	}
	for _, o := range []object{
		&appsv1.StatefulSet{ObjectMeta: meta("store"), Spec: appsv1.StatefulSetSpec{Replicas: &three, Template: template}},
		&appsv1.DaemonSet{ObjectMeta: meta("agent"), Spec: appsv1.DaemonSetSpec{Template: template}},
		&batchv1.Job{ObjectMeta: meta("task"), Spec: batchv1.JobSpec{Template: template}},
		&batchv1.CronJob{ObjectMeta: meta("nightly"), Spec: batchv1.CronJobSpec{JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template}}}},
	} {
		if err := c.workload(ctx, o.DeepCopyObject().(object), c.anyNode); err != nil {
			return err
		}
	}
	return nil
}

// perDaemonSet is how many pods a DaemonSet gets: one on each node would make them more than all others.
const perDaemonSet = 3

// workload makes an object with a template, what its controllers would make of it, and its pods.
func (c *cluster) workload(ctx context.Context, o object, node func() string) error {
	template := templateOf(o)
	complete(o, template)
	pods, owner := 1, o
	switch x := o.(type) {
	case *appsv1.Deployment:
		x.Annotations = applied(x.Annotations, x)
		pods = replicas(x.Spec.Replicas)
		c.count(func(r *record) { r.Deployments++; r.Pods += pods })
	case *appsv1.StatefulSet:
		pods = replicas(x.Spec.Replicas)
	case *appsv1.DaemonSet:
		pods = perDaemonSet
	case *batchv1.CronJob:
		pods = 0
	}
	if err := c.put(ctx, o); err != nil {
		return err
	}
	if d, is := o.(*appsv1.Deployment); is {
		if c.next.Add(1)%2 == 0 {
			if err := c.put(ctx, replicaSet(d, 0, 1)); err != nil {
				return err
			}
		}
		rs := replicaSet(d, pods, 2)
		if err := c.put(ctx, rs); err != nil {
			return err
		}
		owner, template = rs, &rs.Spec.Template
	}
	for i := range pods {
		if err := c.put(ctx, pod(owner, template, i, node())); err != nil {
			return err
		}
	}
	return nil
}

func replicas(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

// complete adds what an API server insists on and manifests about other things leave out.
func complete(o object, t *corev1.PodTemplateSpec) {
	if len(t.Labels) == 0 {
		t.Labels = map[string]string{"app": o.GetName()}
	}
	selector := &metav1.LabelSelector{MatchLabels: t.Labels}
	switch x := o.(type) {
	case *appsv1.Deployment:
		x.Spec.Selector = cmp.Or(x.Spec.Selector, selector)
	case *appsv1.StatefulSet:
		x.Spec.Selector = cmp.Or(x.Spec.Selector, selector)
		x.Spec.ServiceName = cmp.Or(x.Spec.ServiceName, x.Name)
	case *appsv1.DaemonSet:
		x.Spec.Selector = cmp.Or(x.Spec.Selector, selector)
	case *batchv1.Job:
		t.Spec.RestartPolicy = corev1.RestartPolicyNever
	case *batchv1.CronJob:
		t.Spec.RestartPolicy = corev1.RestartPolicyNever
		x.Spec.Schedule = cmp.Or(x.Spec.Schedule, "0 3 * * *")
	}
}

// anyNode takes nodes in turn.
func (c *cluster) anyNode() string { return nodeName(int(c.next.Add(1)) % c.Nodes) }

// dockerNode takes the nodes with Docker in turn.
func (c *cluster) dockerNode() string {
	for {
		i := int(c.next.Add(1)) % c.Nodes
		if runtimeOf(i) == v1alpha1.Docker {
			return nodeName(i)
		}
	}
}
