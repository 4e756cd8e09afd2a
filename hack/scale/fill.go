package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// filled fills an API server and writes down what it made.
func filled(ctx context.Context, o *options) error {
	// Most of what it makes is garbage at once, and nobody counts its memory.
	debug.SetGCPercent(400)
	corpus, err := exhibits(o.corpus)
	if err != nil {
		return err
	}
	w, err := newWriter(o.fill)
	if err != nil {
		return err
	}
	c := &cluster{size: o.size, create: w.create, parallel: 32}
	if err := c.fill(ctx, corpus); err != nil {
		return err
	}
	slices.Sort(c.made.Want)
	c.made.Want = slices.Compact(c.made.Want)
	return c.made.write(o.record)
}

// writer creates objects as those do who create them in a real cluster: the API server notes it in every object.
type writer struct{ manager, kubelet *kubernetes.Clientset }

func newWriter(kubeconfig string) (*writer, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf
	// One connection for each request that is under way, not one for all.
	config.NextProtos = []string{"http/1.1"}
	config.UserAgent = "kube-controller-manager/v1.34.4"
	w := &writer{}
	if w.manager, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	config.UserAgent = "kubelet/v1.34.4"
	w.kubelet, err = kubernetes.NewForConfig(config)
	return w, err
}

// resourceOf returns how the API server calls objects of this kind.
func resourceOf(o object) (schema.GroupVersionResource, error) {
	kinds, _, err := scheme.Scheme.ObjectKinds(o)
	if err != nil {
		return schema.GroupVersionResource{}, err
	}
	resource, _ := meta.UnsafeGuessKindToResource(kinds[0])
	return resource, nil
}

// clientOf returns a client's part for the group of a resource.
func clientOf(c *kubernetes.Clientset, group string) (rest.Interface, error) {
	switch group {
	case "":
		return c.CoreV1().RESTClient(), nil
	case "apps":
		return c.AppsV1().RESTClient(), nil
	case "batch":
		return c.BatchV1().RESTClient(), nil
	case "policy":
		return c.PolicyV1().RESTClient(), nil
	}
	return nil, fmt.Errorf("nothing of group %s is made here", group)
}

// create makes an object. A pod's status is the kubelet's to write; a node's is taken as it comes.
func (w *writer) create(ctx context.Context, o object) error {
	by := w.manager
	if _, node := o.(*corev1.Node); node {
		by = w.kubelet
	}
	resource, err := resourceOf(o)
	if err != nil {
		return err
	}
	client, err := clientOf(by, resource.Group)
	if err != nil {
		return err
	}
	answer := client.Post().Resource(resource.Resource).NamespaceIfScoped(o.GetNamespace(), o.GetNamespace() != "").
		VersionedParams(&metav1.CreateOptions{}, scheme.ParameterCodec).Body(o).Do(ctx)
	p, is := o.(*corev1.Pod)
	if !is {
		made, err := answer.Get()
		if err != nil {
			return err
		}
		o.SetUID(made.(object).GetUID())
		return nil
	}
	if err := answer.Error(); err != nil {
		return err
	}
	return w.kubelet.CoreV1().RESTClient().Put().Namespace(p.Namespace).Resource("pods").Name(p.Name).SubResource("status").
		VersionedParams(&metav1.UpdateOptions{}, scheme.ParameterCodec).Body(p).Do(ctx).Error()
}
