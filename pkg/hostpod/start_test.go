package hostpod

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/kubectl-runtime/kubectl-runtime/pkg/apitest"
)

// kubelet runs every pod that is created, or keeps it in the state that it is given.
func kubelet(api *apitest.Server, status func(pod *corev1.Pod)) (stop func()) {
	done := make(chan struct{})
	go func() {
		seen := map[string]bool{}
		for {
			select {
			case <-done:
				return
			case <-time.After(2 * time.Millisecond):
			}
			for _, id := range api.Names("pods") {
				if seen[id] {
					continue
				}
				seen[id] = true
				namespace, name, _ := strings.Cut(id, "/")
				var pod corev1.Pod
				if api.Get("pods", namespace, name, &pod) {
					status(&pod)
					api.Put("pods", &pod)
				}
			}
		}
	}()
	return func() { close(done) }
}

func waiting(reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: Container, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}
	}
}

func TestStart(t *testing.T) {
	runs := func(pod *corev1.Pod) {
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: Container, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	}
	tests := map[string]struct {
		status   func(*corev1.Pod)
		admit    func(*unstructured.Unstructured)
		err      string
		requests []string
	}{
		"runs": {status: runs, requests: []string{"create pods", "create pods", "watch pods", "delete pods", "list pods"}},
		"the image isn't there": {
			status: waiting("ErrImageNeverPull", "Container image \"x\" is not present"), err: "ErrImageNeverPull: Container image \"x\" is not present",
		},
		"the kubelet refuses it": {
			status: func(pod *corev1.Pod) {
				pod.Status.Phase, pod.Status.Reason, pod.Status.Message = corev1.PodFailed, "OutOfpods", "Node didn't have enough resource: pods"
			},
			err: "the node refused it: OutOfpods: Node didn't have enough resource: pods",
		},
		"admission changes it": {
			admit: func(pod *unstructured.Unstructured) {
				_ = unstructured.SetNestedField(pod.Object, false, "spec", "hostPID")
			},
			err: "spec.hostPID: true became nothing", requests: []string{"create pods"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			api := apitest.New(t)
			if tt.admit != nil {
				api.Admit(tt.admit)
			}
			if tt.status != nil {
				defer kubelet(api, tt.status)()
			}
			p, err := Start(t.Context(), Client{Kube: api.Client(), Exec: &scripted{t: t}}, options("amd64"))
			if tt.err == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			} else if _, ok := errors.AsType[*StartError](err); !ok || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v", err)
			}
			if left := api.Names("pods"); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			if diff := cmp.Diff(tt.requests, api.Requests()); tt.requests != nil && diff != "" {
				t.Errorf("requests, -want +got:\n%s", diff)
			}
		})
	}
}

// TestStartOnABareEtc: runtimes mount a file of their own at /etc/hostname in every container, which they can't where the host has none
// and its /etc is mounted read-only.
func TestStartOnABareEtc(t *testing.T) {
	for name, c := range map[string]struct {
		message string
		starts  bool
	}{
		"runc":                       {`failed to create containerd task: error mounting ".../hostname" to rootfs at "/etc/hostname": open /run/x/rootfs/etc/hostname: read-only file system`, true},
		"crun":                       {"creating `/etc/hostname`: openat2 `etc/hostname`: Read-only file system", true},
		"another failure of a mount": {`error mounting "/x" to rootfs at "/usr/x": mkdir /run/x/rootfs/usr/x: read-only file system`, false},
	} {
		t.Run(name, func(t *testing.T) {
			api := apitest.New(t)
			defer kubelet(api, func(pod *corev1.Pod) {
				if slices.ContainsFunc(pod.Spec.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/etc" }) {
					waiting("RunContainerError", c.message)(pod)
					return
				}
				pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: Container, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
			})()
			o := options("amd64")
			o.Suffix = ""
			p, err := Start(t.Context(), Client{Kube: api.Client(), Exec: &scripted{t: t}}, o)
			if (err == nil) != c.starts {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				err = p.Stop(t.Context())
			}
			if left := api.Names("pods"); len(left) > 0 || c.starts && err != nil {
				t.Errorf("left %v, %v", left, err)
			}
		})
	}
}

func TestStartInterruptedLeavesNothing(t *testing.T) {
	for at := 1; at <= 4; at++ {
		api := apitest.New(t)
		stop := kubelet(api, func(*corev1.Pod) {})
		ctx, cancel := context.WithCancel(t.Context())
		count := 0
		api.Before(func(string, *http.Request) error {
			if count++; count == at {
				cancel()
			}
			return nil
		})
		time.AfterFunc(200*time.Millisecond, cancel)
		if _, err := Start(ctx, Client{Kube: api.Client(), Exec: &scripted{t: t}}, options("amd64")); err == nil {
			t.Errorf("%d: started", at)
		}
		if left := api.Names("pods"); len(left) > 0 {
			t.Errorf("%d: left: %v", at, left)
		}
		cancel()
		stop()
	}
}

func TestStopLeavesStrangersAlone(t *testing.T) {
	p, _, api := testPod(t)
	stranger := p.pod.DeepCopy()
	api.Delete("pods", stranger.Namespace, stranger.Name)
	stranger.UID = "another"
	api.Put("pods", stranger)
	if err := p.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if len(api.Names("pods")) != 1 {
		t.Error("a pod of the same name was deleted")
	}
}

func TestSweep(t *testing.T) {
	for name, c := range map[string]struct {
		sweep func(api *apitest.Server) error
		want  []string
	}{
		"by who holds the node": {
			func(api *apitest.Server) error { return Sweep(t.Context(), api.Client(), "kube-system", "worker-1") },
			[]string{"another-node", "another-node-done", "not-ours", "somebody-looks"},
		},
		"by who looks": {
			func(api *apitest.Server) error {
				return SweepEnded(t.Context(), api.Client(), "kube-system", []string{"worker-0", "worker-1"})
			},
			[]string{"another-node", "another-node-done", "left-by-a-run", "not-ours", "somebody-looks"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			api := apitest.New(t)
			add := func(name, node string, purpose Purpose, phase corev1.PodPhase) {
				pod := &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name, Labels: map[string]string{"app": "x"}},
					Spec:       corev1.PodSpec{NodeName: node}, Status: corev1.PodStatus{Phase: phase},
				}
				if purpose != "" {
					pod.Labels = map[string]string{LabelManagedBy: ManagedBy, LabelPurpose: string(purpose)}
				}
				api.Put("pods", pod)
			}
			add("left-by-a-run", "worker-1", PurposeSwitch, corev1.PodRunning)
			add("ended-by-itself", "worker-1", PurposeSwitch, corev1.PodSucceeded)
			add("somebody-looks", "worker-1", PurposeGather, corev1.PodRunning)
			add("looked-long-ago", "worker-1", PurposeGather, corev1.PodFailed)
			add("another-node", "worker-2", PurposeSwitch, corev1.PodRunning)
			add("another-node-done", "worker-2", PurposeSwitch, corev1.PodSucceeded)
			add("not-ours", "worker-1", "", corev1.PodSucceeded)
			if err := c.sweep(api); err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, n := range api.Names("pods") {
				left = append(left, strings.TrimPrefix(n, "kube-system/"))
			}
			if diff := cmp.Diff(c.want, left); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
