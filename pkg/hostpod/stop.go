package hostpod

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apis/v1alpha1"
	"github.com/kubectl-runtime/kubectl-runtime/pkg/until"
)

// How long a deleted pod may take to go before it is removed without its kubelet's word, and to go then.
const (
	goneTimeout  = 15 * time.Second
	forceTimeout = 10 * time.Second
)

// Stop deletes the pod and waits until it is gone. What is gone already is no error. A pod that can't be deleted isn't
// spoken to any more, and ends by itself.
func (p *Pod) Stop(ctx context.Context) error {
	if p.release != nil {
		p.release()
	}
	return remove(ctx, p.client, p.Ref())
}

// remove deletes a pod by its UID: another pod of that name is not ours. A pod whose kubelet doesn't answer is taken
// out of the API; its process ends with the node's runtime or by its own silence.
func remove(ctx context.Context, client kubernetes.Interface, r v1alpha1.PodRef) error {
	for _, step := range []struct {
		grace   int64
		timeout time.Duration
	}{{1, goneTimeout}, {0, forceTimeout}} {
		gone, err := removeOnce(ctx, client, r, step.grace, step.timeout)
		if gone {
			return nil
		}
		if err != nil && (ctx.Err() != nil || step.grace == 0) {
			return fmt.Errorf("deleting pod %s/%s: %w", r.Namespace, r.Name, err)
		}
	}
	return nil
}

func removeOnce(ctx context.Context, client kubernetes.Interface, r v1alpha1.PodRef, grace int64, timeout time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it is still there after %s", timeout))
	defer cancel()
	options := metav1.DeleteOptions{GracePeriodSeconds: &grace}
	if r.UID != "" {
		uid := types.UID(r.UID)
		options.Preconditions = &metav1.Preconditions{UID: &uid}
	}
	err := until.Try(ctx, func(ctx context.Context) error {
		return client.CoreV1().Pods(r.Namespace).Delete(ctx, r.Name, options)
	})
	// A conflict is a UID that isn't ours: our pod is gone.
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	err = until.Set(ctx, until.Pods(client, r.Namespace, until.Named(r.Name)), func(items map[types.UID]*corev1.Pod) (bool, error) {
		if r.UID == "" {
			return len(items) == 0, nil
		}
		return items[types.UID(r.UID)] == nil, nil
	})
	return err == nil, err
}
